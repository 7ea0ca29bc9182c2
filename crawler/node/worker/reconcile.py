"""Decides which runs a worker must start and stop, as a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.model.records import Resource
from crawler.node.run.naming import RunKey


@dataclass(frozen=True, slots=True)
class Actions:
    """What to do. Stop first, then start: a task that was assigned again has one name and two
    runs."""

    stop: Sequence[str]
    start: Sequence[str]


def reconcile(desired: Mapping[str, RunKey], running: Mapping[str, RunKey]) -> Actions:
    """Return the names to stop and to start so that `running` becomes `desired`.

    `running` also has ended runs, until the leader has recorded their end. Otherwise they would run
    twice.
    """
    stop = [name for name, key in running.items() if desired.get(name) != key]
    start = [name for name, key in desired.items() if running.get(name) != key]
    return Actions(stop=sorted(stop), start=sorted(start))


def is_rolled(run: Resource, desired: Resource) -> bool:
    """Return whether the desired run is the very next one, and goes on with another bundle. Nobody
    can have run the task in between, as each assignment has an epoch."""
    return (
        (desired.id, desired.generation) == (run.id, run.generation)
        and desired.epoch == run.epoch + 1
        and bool(run.digest and desired.digest)
        and desired.digest != run.digest
    )

"""Decides which runs a worker must start and stop, as a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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

"""What a worker has to start and to stop, as a pure function of what it should run and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class RunKey(NamedTuple):
    """Identifies one run: a task of the same name may be another task, or be assigned anew."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Actions:
    """Stop first, then start: a task assigned anew has one name and two runs."""

    stop: Sequence[str]
    start: Sequence[str]


def reconcile(desired: Mapping[str, RunKey], running: Mapping[str, RunKey]) -> Actions:
    """Names to stop and to start so that `running` becomes `desired`.

    `running` holds ended runs too, as long as the leader has not recorded their end: they are
    wanted no more than once.
    """
    stop = [name for name, key in running.items() if desired.get(name) != key]
    start = [name for name, key in desired.items() if running.get(name) != key]
    return Actions(stop=sorted(stop), start=sorted(start))

"""What a worker remembers of its assignments, so that it takes on none that is out of date.

An older assignment cannot come over the watch, which never goes back; but a person may write an old
value into etcd, or restore a backup. Running it would be work that an owner after it has done.
"""

from __future__ import annotations

from collections.abc import Iterable

from crawler.logs import get_logger
from crawler.model.records import Report, Resource, State

log = get_logger(__name__)

MOST_KEPT = 10_000
"""Tasks remembered that are assigned elsewhere by now, before they are forgotten."""


class Epochs:
    """The highest epoch of each task that this worker was given, and the assignments refused."""

    def __init__(self) -> None:
        self._highest: dict[str, tuple[str, int]] = {}
        self._refused: dict[str, Resource] = {}
        self.refusals = 0
        """How many assignments were refused."""

    def admit(self, assigned: Iterable[Resource]) -> dict[str, Resource]:
        """Those that are not out of date, by name. One without an epoch, which another program
        wrote, is taken."""
        current = list(assigned)
        names = {resource.name for resource in current}
        self._refused = {name: r for name, r in self._refused.items() if name in names}
        if len(self._highest) > 2 * len(names) + MOST_KEPT:
            self._highest = {name: at for name, at in self._highest.items() if name in names}
        return {resource.name: resource for resource in current if self._admits(resource)}

    def protests(self) -> list[Report]:
        """What the leader has to know of refused assignments: the epoch that was there already."""
        return [
            Report(name, resource.id, self._highest[name][1], State.ASSIGNED)
            for name, resource in self._refused.items()
        ]

    def _admits(self, resource: Resource) -> bool:
        id, epoch = self._highest.get(resource.name, ("", 0))
        if id == resource.id and 0 < resource.epoch < epoch:
            self._refuse(resource, epoch)
            return False
        if resource.epoch:
            self._highest[resource.name] = (resource.id, resource.epoch)
        self._refused.pop(resource.name, None)
        return True

    def _refuse(self, resource: Resource, epoch: int) -> None:
        if self._refused.get(resource.name) == resource:
            return
        self._refused[resource.name] = resource
        self.refusals += 1
        log.error(
            "assignment refused; it is older than an earlier one",
            task=resource.name,
            epoch=resource.epoch,
            known=epoch,
        )

"""A worker's memory of its assignments, so that it accepts no outdated one.

The watch never goes back, so it never delivers an older assignment. But a person may write an old
value into etcd, or restore a backup. To run it would repeat the work of a later owner.
"""

from __future__ import annotations

from collections.abc import Iterable

from crawler.logs import get_logger
from crawler.model.records import Report, Resource, State

log = get_logger(__name__)

MOST_KEPT = 10_000
"""How many tasks that moved to other workers are remembered before they are forgotten."""


class Epochs:
    """The highest epoch of each task that this worker was given, and the refused assignments."""

    def __init__(self) -> None:
        self._highest: dict[str, tuple[str, int]] = {}
        self._refused: dict[str, Resource] = {}
        self.refusals = 0
        """How many assignments were refused."""

    def admit(self, assigned: Iterable[Resource]) -> dict[str, Resource]:
        """Return the assignments that are not outdated, by name. One without an epoch, which
        another program wrote, is accepted."""
        current = list(assigned)
        names = {resource.name for resource in current}
        self._refused = {name: r for name, r in self._refused.items() if name in names}
        if len(self._highest) > 2 * len(names) + MOST_KEPT:
            self._highest = {name: at for name, at in self._highest.items() if name in names}
        return {resource.name: resource for resource in current if self._admits(resource)}

    def protests(self) -> list[Report]:
        """Return reports of the refused assignments, with the epoch that was there before."""
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

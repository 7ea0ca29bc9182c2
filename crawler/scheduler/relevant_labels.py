"""Which words make a difference to the placement of tasks: the others need not be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from crawler.model.records import Node
from crawler.scheduler.task import Load


class RelevantLabels:
    """Labels that some task wants to be apart from, and spiders that some worker says it has.

    Of labels it forgets none; of spiders those that no live worker lists any more.
    """

    def __init__(self) -> None:
        self.labels: set[str] = set()
        self.version = 0
        """Rises when tasks that were alike may differ now, or the other way round."""
        self._spiders: Counter[str] = Counter()

    def __contains__(self, spider: str) -> bool:
        return spider in self._spiders

    def hear(self, load: Load) -> None:
        """A task wants to be apart from others."""
        for _, label, _ in load.repels:
            if label not in self.labels:
                self.labels.add(label)
                self.version += 1

    def join(self, node: Node) -> None:
        """A worker is there."""
        for spider in _listed(node):
            self.version += spider not in self._spiders
            self._spiders[spider] += 1

    def leave(self, node: Node) -> None:
        """A worker is gone."""
        for spider in _listed(node):
            self._spiders[spider] -= 1
            if not self._spiders[spider]:
                del self._spiders[spider]
                self.version += 1


def _listed(node: Node) -> Iterable[str]:
    return node.spiders or ()

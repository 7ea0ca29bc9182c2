"""The labels and spiders that make a difference to placement. The others are not compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from crawler.model.records import Node
from crawler.scheduler.task import Load


class RelevantLabels:
    """The labels that some task wants to be apart from, and the spiders that some worker lists.

    It never forgets a label. It forgets a spider when no live worker lists it any more.
    """

    def __init__(self) -> None:
        self.labels: set[str] = set()
        self.version = 0
        """Rises when tasks of the same shape may differ now, or the other way round."""
        self._spiders: Counter[str] = Counter()

    def __contains__(self, spider: str) -> bool:
        return spider in self._spiders

    def hear(self, load: Load) -> None:
        """Note the labels that a task wants to be apart from."""
        for _, label, _ in load.repels:
            if label not in self.labels:
                self.labels.add(label)
                self.version += 1

    def join(self, node: Node) -> None:
        """Note the spiders of a worker that registered."""
        for spider in _listed(node):
            self.version += spider not in self._spiders
            self._spiders[spider] += 1

    def leave(self, node: Node) -> None:
        """Drop the spiders of a worker that left."""
        for spider in _listed(node):
            self._spiders[spider] -= 1
            if not self._spiders[spider]:
                del self._spiders[spider]
                self.version += 1


def _listed(node: Node) -> Iterable[str]:
    return node.spiders or ()

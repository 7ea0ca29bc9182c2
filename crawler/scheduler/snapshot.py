"""What a pass of the scheduler looks at: the workers, and what each of them owns.

Load is derived from the assignments each time, never counted by hand, so it cannot drift.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crawler.records import Node, Resource


@dataclass(frozen=True, slots=True)
class Candidate:
    """A live worker with what it owns at this point of the pass."""

    node: Node
    unfinished: int = 0
    """Resources that are not done or failed, those placed earlier in this pass included."""
    owned: int = 0
    """Resources in all."""

    def with_one_more(self) -> Candidate:
        """The same worker after another resource was placed on it."""
        return Candidate(self.node, self.unfinished + 1, self.owned + 1)


def take(workers: Iterable[Node], resources: Iterable[Resource]) -> Sequence[Candidate]:
    """The workers, in the order of their ids, with their loads by the present assignments."""
    nodes = sorted(workers, key=lambda node: node.id)
    by_id = {node.id: node for node in nodes}
    unfinished: Counter[str] = Counter()
    owned: Counter[str] = Counter()
    for resource in resources:
        owner = resource.owner
        if owner is None or owner.node_id not in by_id or not by_id[owner.node_id].owns(owner):
            continue
        owned[owner.node_id] += 1
        unfinished[owner.node_id] += not resource.state.finished
    return [Candidate(node, unfinished[node.id], owned[node.id]) for node in nodes]

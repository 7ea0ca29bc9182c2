"""Who owns what, kept current with each change instead of being counted anew for each pass.

The cluster state believes of each task what it was last told: by the mirrors, by the draft of a
pass (a reservation), or by the mirrors again when that draft was not committed. All sums follow
from those beliefs: `see` takes the old one out before it puts the new one in, so they cannot drift;
a property test compares them with a cluster state made from nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from crawler.model.constraints import NODE
from crawler.model.records import Node, Owner, Resource, Spec, State, WorkerLoad
from crawler.scheduler.candidate import Candidate, Place
from crawler.scheduler.changes import Gatherer
from crawler.scheduler.domains import Domains
from crawler.scheduler.relevant_labels import RelevantLabels
from crawler.scheduler.task import PLAIN, Load, load_of

MOST_LEAVING = 10_000
"""Lives of workers remembered as about to leave; then they are forgotten, which only means that
their tasks may be blamed for their end."""


class Holding(NamedTuple):
    """What is believed of one task."""

    state: State
    owner: Owner | None
    load: Load
    group: str
    awaited: str
    """The spider it failed for want of; empty for all others."""
    spec: Spec

    def tells_of(self, resource: Resource) -> bool:
        """Whether all of this is known to hold of a resource, at a glance."""
        return (
            self.spec is resource.spec
            and self.state is resource.state
            and self.owner is resource.owner
            and bool(self.awaited) is resource.awaits_spider
        )

    @property
    def open(self) -> bool:
        """Whether it has an owner and work left."""
        return self.owner is not None and not self.state.finished


class ClusterState:
    """The workers, and what each of them owns."""

    def __init__(self, group_label: str = "") -> None:
        """Tasks with the same value of `group_label` are a group; empty is without groups."""
        self.states: Counter[State] = Counter()
        """How many tasks are in which state."""
        self.groups: Counter[str] = Counter()
        """How many unfinished tasks of each group are at workers that take tasks."""
        self.news = Gatherer()
        """What the next pass has to look at."""
        self.relevant_labels = RelevantLabels()
        self._leaving: set[tuple[str, int]] = set()
        """The lives of workers that said that they are about to leave: (id, incarnation)."""
        self._group_label = group_label
        self._held: dict[str, Holding] = {}
        self._on_node: dict[str, set[str]] = {}
        """Node id → the tasks assigned to a node of that id, in whichever life of it."""
        self._awaiting: dict[str, set[str]] = {}
        """Spider → the tasks that failed for want of it."""
        self._candidates: dict[str, Candidate] = {}
        self._places = Domains()
        self._repelling: dict[tuple[str, str], Counter[str]] = {}
        """Label and value that unfinished tasks want to be apart from → over which kinds of places.
        Those that wait count too: they may be placed in the middle of a pass."""
        self._cordoned: frozenset[str] = frozenset()
        self._schedulable: Sequence[Candidate] | None = None

    # -- what is read --------------------------------------------------------------------------

    @property
    def candidates(self) -> Mapping[str, Candidate]:
        """All live workers by id."""
        return self._candidates

    @property
    def cordoned(self) -> frozenset[str]:
        """Ids of the workers that take no tasks until somebody allows it again."""
        return self._cordoned

    @property
    def schedulable(self) -> Sequence[Candidate]:
        """The workers that take new tasks, in the order of their ids."""
        if self._schedulable is None:
            chosen = [candidate for candidate in self._candidates.values() if candidate.schedulable]
            self._schedulable = sorted(chosen, key=lambda candidate: candidate.id)
        return self._schedulable

    def schedulable_among(self, ids: Iterable[str]) -> Sequence[Candidate]:
        """Those of these workers that take new tasks, in the order of their ids."""
        present = (self._candidates[id] for id in sorted(ids) if id in self._candidates)
        return [candidate for candidate in present if candidate.schedulable]

    def places(self, key: str) -> Sequence[Place]:
        """The places over a label of workers that have a worker which takes tasks."""
        if key == NODE:
            return self.schedulable
        if key not in self._places:
            self._places.count(key, self._open_loads())
        return self._places.of(key, self.schedulable)

    def repelled_over(self, labels: Mapping[str, str]) -> set[str]:
        """The kinds of places over which some task wants to be apart from tasks so labelled."""
        return {over for pair in labels.items() for over in self._repelling.get(pair, ())}

    def tasks_of(self, node_id: str) -> Iterable[str]:
        """Names of the tasks assigned to a node of that id, whatever became of it."""
        return tuple(self._on_node.get(node_id, ()))

    def holding(self, name: str) -> Holding | None:
        """What is believed of a task."""
        return self._held.get(name)

    def __len__(self) -> int:
        return len(self._held)

    def left_in_order(self, life: tuple[str, int]) -> bool:
        """Whether that life of a worker, (id, incarnation), had said that it would leave."""
        return life in self._leaving

    def begin(self) -> None:
        """Somebody places tasks from now on: everything is news to it."""
        self.news.begin(self._held, self._candidates)

    def end(self) -> None:
        """Nobody places tasks any more."""
        self.news.end()

    # -- tasks ---------------------------------------------------------------------------------

    def see(self, name: str, resource: Resource | None) -> None:
        """Take what there is to know of a task now; None is that it is gone."""
        before = self._held.get(name)
        if before is not None and resource is not None and before.tells_of(resource):
            if resource.owner is None:
                self.news.suspect([name])
            return
        now = None if resource is None else self._holding_of(resource)
        if now == before:
            if now is not None and now.owner is None:
                self.news.suspect([name])
            return
        if before is not None:
            self._count_out(name, before)
            del self._held[name]
        if now is not None:
            self._held[name] = now
            self._count_in(name, now)
        self.news.suspect([name])

    def reserve(self, name: str, node: Node) -> bool:
        """A pass gives this task to that worker; `see` will confirm it, or take it back. False when
        there is no such task."""
        held = self._held.get(name)
        if held is None:
            return False
        state, owner, load, group, awaited, spec = held
        now = self._held[name] = Holding(State.ASSIGNED, node.as_owner, load, group, "", spec)
        if owner is None and state is State.PENDING and not awaited:  # there is little to count
            self.states[State.PENDING] -= 1
            self.states[State.ASSIGNED] += 1
            self._count_in_at_owner(name, now)
        else:
            self._count_out(name, held)
            self._count_in(name, now)
        return True

    def is_reserved(self, name: str, node: Node) -> bool:
        """Whether that reservation still stands: nobody has written the task meanwhile."""
        held = self._held.get(name)
        return held is not None and held.owner is node.as_owner

    def report(self, node_id: str, load: WorkerLoad) -> None:
        """Take what a worker says of its own load."""
        candidate = self._candidates.get(node_id)
        if candidate is not None:
            candidate.reported = load

    def _holding_of(self, resource: Resource) -> Holding:
        load = load_of(resource.spec)
        if load.repels:
            self.relevant_labels.hear(load)
        awaited = resource.spec.spider_name if resource.awaits_spider else ""
        group = self.group_of(resource)
        return Holding(resource.state, resource.owner, load, group, awaited, resource.spec)

    def group_of(self, resource: Resource) -> str:
        """The group that a task belongs to; empty is none."""
        return resource.spec.labels.get(self._group_label, "") if self._group_label else ""

    def _count_in(self, name: str, now: Holding) -> None:
        self.states[now.state] += 1
        if now.load.repels:
            self._repel(now, 1)
        if now.awaited:
            self._awaiting.setdefault(now.awaited, set()).add(name)
        if now.owner is not None:
            self._count_in_at_owner(name, now)

    def _count_in_at_owner(self, name: str, now: Holding) -> None:
        assert now.owner is not None  # the callers made sure
        node_id = now.owner.node_id
        there = self._on_node.get(node_id)
        if there is None:
            there = self._on_node[node_id] = set()
        there.add(name)
        self._weigh(now, 1)

    def _count_out(self, name: str, before: Holding) -> None:
        self.states[before.state] -= 1
        if before.load.repels:
            self._repel(before, -1)
        if before.awaited:
            _discard(self._awaiting, before.awaited, name)
        if before.owner is not None:
            _discard(self._on_node, before.owner.node_id, name)
            self._weigh(before, -1)

    def _repel(self, holding: Holding, sign: int) -> None:
        """Count in or out what an unfinished task wants to be apart from."""
        if holding.state.finished:
            return
        for over, label, value in holding.load.repels:
            kinds = self._repelling.get((label, value))
            if kinds is None:
                kinds = self._repelling[label, value] = Counter()
            kinds[over] += sign
            if not kinds[over]:
                del kinds[over]
            if not kinds:
                del self._repelling[label, value]

    def _weigh(self, holding: Holding, sign: int) -> None:
        """Count a task in or out, at its owner and in its group."""
        owner = holding.owner
        assert owner is not None  # the callers made sure
        candidate = self._candidates.get(owner.node_id)
        if candidate is None:
            return
        if owner is not candidate.node.as_owner and not candidate.node.owns(owner):
            return
        candidate.owned += sign
        if not holding.state.finished:
            self._add(candidate, holding, sign)
        self.news.weighed(candidate.id, sign)

    def _add(self, candidate: Candidate, holding: Holding, sign: int) -> None:
        load = holding.load
        candidate.add(load, sign)
        if not candidate.schedulable:
            return  # its tasks are about to move, and would be in their own way
        self.groups[holding.group] += sign
        if load is not PLAIN:
            self._places.add(candidate.node, load, sign)

    # -- workers -------------------------------------------------------------------------------

    def join(self, node: Node) -> None:
        """A worker is registered, or its registration changed."""
        present = self._candidates.get(node.id)
        if present is not None and present.node == node:
            return
        if present is not None:
            self._remove(present)
            self.news.left()  # it may have taken tasks that others take only if nobody better does
        same = present is not None and present.node.incarnation == node.incarnation
        self._enter(node, present.reported if present is not None and same else WorkerLoad())
        if node.draining:
            self._note_leaving(node)
        self.news.freed(node.id)
        self.news.suspect(self.tasks_of(node.id))
        self.news.suspect(self._awaited_from(node))
        self.suspect_all(self._cordoned)  # those there may have waited for such a worker

    def leave(self, node_id: str) -> None:
        """A worker is not registered any more."""
        present = self._candidates.get(node_id)
        if present is not None:
            self._remove(present)
            self.news.suspect(self.tasks_of(node_id))
            self.news.left()

    def cordon(self, node_ids: frozenset[str]) -> None:
        """Exactly these workers take no tasks from now on."""
        changed = node_ids ^ self._cordoned
        present = [self._candidates[id] for id in changed if id in self._candidates]
        for candidate in present:
            self._remove(candidate)
        self._cordoned = node_ids
        for candidate in present:
            self._enter(candidate.node, candidate.reported)
            self.news.suspect(self._awaited_from(candidate.node))
        if present:
            self.news.left()
        for node_id in changed:
            self.news.freed(node_id)
            self.news.suspect(self.tasks_of(node_id))

    def suspect_all(self, node_ids: Iterable[str]) -> None:
        """Have the next pass look at all tasks of these nodes."""
        for node_id in node_ids:
            self.news.suspect(self.tasks_of(node_id))

    def _enter(self, node: Node, reported: WorkerLoad) -> None:
        """Make a candidate of a worker, with all that it owns."""
        candidate = self._candidates[node.id] = Candidate(node)
        candidate.reported = reported
        candidate.schedulable = not node.draining and node.id not in self._cordoned
        self._schedulable = None
        self._places.join(node)
        self.relevant_labels.join(node)
        for holding in self._holdings(node.id):
            if holding.owner is not None and node.owns(holding.owner):
                candidate.owned += 1
                if not holding.state.finished:
                    self._add(candidate, holding, 1)

    def _remove(self, candidate: Candidate) -> None:
        """Take a worker out; nobody counts on this candidate any more."""
        node = candidate.node
        for holding in self._holdings(node.id):
            if holding.open and holding.owner is not None and node.owns(holding.owner):
                self._add(candidate, holding, -1)
        self._places.leave(node)
        self.relevant_labels.leave(node)
        del self._candidates[node.id]
        self._schedulable = None

    def _awaited_from(self, node: Node) -> Iterator[str]:
        """The tasks that failed for want of a spider which this worker has."""
        for spider, names in self._awaiting.items():
            if node.has_spider(spider):
                yield from names

    def _note_leaving(self, node: Node) -> None:
        if len(self._leaving) >= MOST_LEAVING:
            self._leaving.clear()
        self._leaving.add((node.id, node.incarnation))

    def _open_loads(self) -> Iterator[tuple[Node, Sequence[Load]]]:
        """Each worker with what its unfinished tasks take."""
        for candidate in self._candidates.values():
            node = candidate.node
            mine = (h for h in self._holdings(node.id) if h.open and h.owner and node.owns(h.owner))
            yield node, [each.load for each in mine] if candidate.schedulable else []

    def _holdings(self, node_id: str) -> Iterator[Holding]:
        return (self._held[name] for name in self._on_node.get(node_id, ()))


def _discard(index: dict[str, set[str]], key: str, name: str) -> None:
    names = index[key]
    names.discard(name)
    if not names:
        del index[key]

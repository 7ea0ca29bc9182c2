"""Everything that was ever written, who wrote it, and what each change must obey.

The history comes from one watch opened before any node lives; the links tell which process issued
which transaction, and the clients' operations say what anybody asked for. A change that breaks a
rule is noted in `violations`, with what led to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from crawler.coordination.codec import decode_resource
from crawler.coordination.keys import WORKER
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Event, KeyValue
from crawler.model.records import Owner, Resource, Spec, State
from crawler.model.shards import is_like_shard
from tests.model.engine import RunRecord
from tests.model.nodes import KEYS, Process
from tests.model.operations import Effect, Fare, Operation
from tests.model.schedules import Firings, is_scheduled
from tests.model.timeline import Timeline

FOREIGN = "another program"


Author = Process | str

OTHERWISE = {"run": "update"}
"""What may have the same effect as a wish: another spider makes a finished task run once more."""


class History:
    """The store's whole past, checked as it grows."""

    def __init__(self, timeline: Timeline, runs: Sequence[RunRecord]) -> None:
        self._timeline = timeline
        self._runs = runs
        self.violations: list[str] = []
        self.trace: list[str] = []
        self.revision = 1
        self.authors: dict[int, Author] = {}
        self.operations: list[Operation] = []
        self.resources: dict[str, Resource] = {}
        self.versions: dict[str, list[tuple[int, Resource | None]]] = defaultdict(list)
        self.values: dict[str, list[bytes]] = defaultdict(list)
        """Every value that a resource ever had, as it was stored."""
        self.workers: dict[tuple[str, int], float | None] = {}
        """Each registration of a worker that ever was; when it ended, None while it stands."""
        self.forced: dict[tuple[str, int], float] = {}
        """Registrations ended by hand, while their nodes had reason to rely on them."""
        self._candidates: dict[str, tuple[int, Author]] = {}
        self._ids: set[tuple[int, int]] = set()
        self._effects: list[Effect] = []
        self.changed_s: dict[str, float] = {}
        self.firings = Firings(self.blame)

    def follow(self, store: MemoryStore) -> None:
        """Take in everything that happens, from the store's first revision on."""
        for batch in store.watch("", 1, previous=True):
            for event in batch.events:
                self._take(event)

    def note(self, text: str) -> None:
        """Remember what happened, for people."""
        self.trace.append(f"{self._timeline.now_s:9.3f} s  {text}")

    def blame(self, text: str) -> None:
        self.note(f"VIOLATION {text}")
        self.violations.append(f"at {self._timeline.now_s:.3f} s: {text}")

    def began(self, kind: str, spec: Spec) -> Operation:
        operation = Operation(kind, spec, self.revision)
        self.operations.append(operation)
        return operation

    def ended(self, operation: Operation, fare: Fare, error: str = "") -> None:
        """An operation is answered: is what was said true?"""
        operation.ended, operation.error = self.revision, error
        operation.fare = Fare.UNKNOWN if fare is Fare.REFUSED and operation.tainted else fare
        self.note(f"client: {operation}")
        if operation.fare is Fare.REFUSED:
            for effect in self._effects:
                if effect.name == operation.spec.name and effect.revision > operation.began:
                    self._explain(effect)
        elif operation.fare is Fare.DONE and not self._came_true(operation):
            self.blame(f"acknowledged, but never so in the store: {operation}")

    # -- events ----------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        self.revision = event.revision
        author = self.authors.get(event.revision, "")
        if event.key.startswith(KEYS.election):
            self._take_candidate(event, author)
        elif event.key.startswith(KEYS.registrations(WORKER)):
            self._take_worker(event)
        elif KEYS.resource_name(event.key) and event.key.startswith(KEYS.resources):
            self._take_resource(event, author)
        elif event.key.startswith(KEYS.schedules):
            self._take_schedule(event, author)
        else:
            self.note(f"r{event.revision} {event.key}")

    def _take_candidate(self, event: Event, author: Author) -> None:
        self.note(f"r{event.revision} {'-' if event.current is None else '+'} {event.key} {author}")
        if event.current is None:
            self._candidates.pop(event.key, None)
        elif event.previous is None:
            self._candidates[event.key] = (event.revision, author)

    def _take_worker(self, event: Event) -> None:
        node_id = event.key.rpartition("/")[2]
        kv = event.current or event.previous
        assert kv is not None
        self.note(f"r{event.revision} {'-' if event.current is None else '+'} {node_id}")
        self.workers[(node_id, kv.create_revision)] = (
            None if event.current else self._timeline.now_s
        )

    def _take_schedule(self, event: Event, author: Author) -> None:
        self.firings.take(event)
        self.note(f"r{event.revision} {author}: {self.firings.present}")
        leader = self.leader()
        if author != FOREIGN and (leader is None or leader[1] is not author):
            self.blame(f"r{event.revision}: {author} decided a schedule while {leader} led")

    def _take_resource(self, event: Event, author: Author) -> None:
        name = KEYS.resource_name(event.key) or ""
        before, after = _decoded(name, event.previous), _decoded(name, event.current)
        self.note(f"r{event.revision} {author}: {_told(before)} → {_told(after)}")
        if event.current is not None:
            self.values[name].append(event.current.value)
        if before is not None and after is not None and before.id and before.id != after.id:
            # A task that is deleted and added again within one pass of the leader is one write.
            self._take_version(name, event.revision, before, None, author)
            before = None
        self._take_version(name, event.revision, before, after, author)

    def _take_version(
        self,
        name: str,
        revision: int,
        before: Resource | None,
        after: Resource | None,
        author: Author,
    ) -> None:
        self.versions[name].append((revision, after))
        self.changed_s[name] = self._timeline.now_s
        if after is None:
            self.resources.pop(name, None)
        else:
            self.resources[name] = after
        if author != FOREIGN:
            self._check_author(name, revision, author, after)
            self._check_change(name, revision, before, after, author)
        if after is not None and after.id:
            self._ids.add((revision, int(after.id)))

    def is_foreign(self, name: str) -> bool:
        """Whether another program ever wrote this task."""
        revisions = [r for each in {name, task_of(name)} for r, _ in self.versions[each]]
        return any(self.authors.get(revision) == FOREIGN for revision in revisions)

    def leader(self) -> tuple[int, Author] | None:
        """Who leads by the store's own word: the candidate that stood first."""
        return min(self._candidates.values(), key=lambda found: found[0], default=None)

    # -- rules -----------------------------------------------------------------------------------

    def _check_author(
        self, name: str, revision: int, author: Author, after: Resource | None
    ) -> None:
        """Only who leads writes, and says in which term."""
        leader = self.leader()
        if leader and after is not None and after.term != leader[0]:
            self.blame(f"r{revision}: {name!r} is of term {after.term}, not {leader[0]}")
        if leader is None or leader[1] is not author:
            led = leader[1] if leader else "nobody"
            self.blame(f"r{revision}: {author or 'nobody'} wrote {name!r} while {led} led")

    def _check_change(
        self,
        name: str,
        revision: int,
        before: Resource | None,
        after: Resource | None,
        author: Author,
    ) -> None:
        if is_like_shard(name):
            self._check_shard(name, revision, before, after, author)
            return
        if before is None and after is not None:
            self._check_id(name, revision, after)
            if is_scheduled(name):
                self.firings.began(revision, name)
            else:
                self._effect(Effect("add", name, after.spec, revision))
        elif after is None:
            self._effect(Effect("delete", name, None, revision))
        if before is not None and after is not None:
            self._check_life(name, revision, before, after)
            for kind in wishes_between(before, after):
                self._effect(Effect(kind, name, None, revision))
        if after is not None:
            self._check_rest(name, revision, before, after)
            self._check_owner(name, revision, before, after, author)
            self._check_state(name, revision, before, after)
        if before is not None and after is not None:
            self._check_blame(name, revision, before, after)

    def _check_shard(
        self,
        name: str,
        revision: int,
        before: Resource | None,
        after: Resource | None,
        author: Author,
    ) -> None:
        """Nobody asks for a shard: it follows from its task. It has an owner like any other."""
        if after is None:
            return
        if before is not None and after.epoch < before.epoch:
            self.blame(f"r{revision}: the epoch of {name!r} went back")
        self._check_rest(name, revision, before, after)
        self._check_owner(name, revision, before, after, author)
        head = self.resources.get(after.spec.task)
        if after.state is not State.DONE or head is None or not head.state.finished:
            self._check_state(name, revision, before, after)
        if before is not None and before.id == after.id:
            self._check_blame(name, revision, before, after)

    def _check_id(self, name: str, revision: int, created: Resource) -> None:
        """A new id is above all that were stored before, whatever the clocks say."""
        highest = max((id for r, id in self._ids if r < revision), default=0)
        if int(created.id) <= highest:
            self.blame(f"r{revision}: id {created.id} of {name!r} is not above {highest}")

    def _check_life(self, name: str, revision: int, before: Resource, after: Resource) -> None:
        if before.id and (before.id, before.creation_time) != (after.id, after.creation_time):
            self.blame(f"r{revision}: {name!r} changed its id or creation time")
        if before.foreign != after.foreign:
            self.blame(f"r{revision}: {name!r} lost what another program wrote: {before.foreign}")
        if after.epoch < before.epoch:
            self.blame(f"r{revision}: the epoch of {name!r} went back")
        if after.spec != before.spec:
            self._effect(Effect("update", name, after.spec, revision))

    def _check_rest(
        self, name: str, revision: int, before: Resource | None, after: Resource
    ) -> None:
        """No worker gets what is paused, and what is stopped goes on only if somebody asks."""
        if after.paused and (after.owner is not None or after.state is not State.PENDING):
            self.blame(f"r{revision}: {name!r} is paused, and {_told(after)}")
        if before is None or not before.stopped or before.id != after.id:
            return
        if not after.stopped and after.generation == before.generation:
            self.blame(f"r{revision}: {name!r} was stopped, and goes on by itself")

    def _check_owner(
        self, name: str, revision: int, before: Resource | None, after: Resource, author: Author
    ) -> None:
        """An assignment is a new epoch, to an incarnation that lives as far as its author knows."""
        owner, epoch = after.owner, after.epoch
        begins = before and (before.state, after.state) == (State.RUNNING, State.ASSIGNED)
        if begins and before and epoch <= before.epoch:
            self.blame(f"r{revision}: {name!r} is to run once more in epoch {epoch}")
        if owner is None or (before and (before.owner, before.epoch) == (owner, epoch)):
            return
        if before is not None and epoch <= before.epoch:
            self.blame(f"r{revision}: {name!r} was assigned from epoch {before.epoch} to {epoch}")
        self._check_lives(name, revision, owner, author)

    def _check_lives(self, name: str, revision: int, owner: Owner, author: Author) -> None:
        registration = (owner.node_id, owner.incarnation)
        if registration not in self.workers:
            self.blame(f"r{revision}: {name!r} was given to {owner}, which never was")
            return
        left_s = self.workers[registration]
        if left_s is not None and isinstance(author, Process) and author.informed_since(left_s):
            self.blame(f"r{revision}: {name!r} was given to {owner}, which had left")

    def _check_state(
        self, name: str, revision: int, before: Resource | None, after: Resource
    ) -> None:
        """What is recorded of a run is of the run that the resource names."""
        state = after.state
        if state in (State.PENDING, State.ASSIGNED) or (before and before.state is state):
            return
        if after.awaits_spider or after.stopped:
            return
        runs = [
            run
            for run in self._runs
            if (run.task, run.id, run.epoch) == (name, after.id, after.epoch)
            and after.owner is not None
            and run.node == after.owner.node_id
        ]
        ended = [run.outcome for run in runs if run.charged is None]
        if not (runs if state is State.RUNNING else state in ended):
            self.blame(f"r{revision}: {name!r} is recorded as {state.value}, which no run of it is")

    def _check_blame(self, name: str, revision: int, before: Resource, after: Resource) -> None:
        """A process is charged once, and only if its task was to blame; nothing else parks."""
        more = after.blame.processes - before.blame.processes
        charged = any(
            (run.task, run.id, run.epoch) == (name, before.id, before.epoch) and run.charged
            for run in self._runs
        )
        if more > int(charged):
            self.blame(f"r{revision}: {name!r} is charged with {more} more processes")
        is_parked = after.blame.parkings > before.blame.parkings
        if is_parked and not after.blame.processes and not self.is_foreign(name):
            self.blame(f"r{revision}: {name!r} is parked, and no process died of it")

    def _effect(self, effect: Effect) -> None:
        self._effects.append(effect)
        self._explain(effect)

    def _explain(self, effect: Effect) -> None:
        """Somebody asked for it, and was not told that it had not been done.

        One write may be the work of two requests: added, and updated before it was ever stored.
        """
        may = [
            operation
            for operation in self.operations
            if operation.spec.name == effect.name and operation.may_have(effect.revision)
        ]
        asked = any(
            operation.kind in (effect.kind, OTHERWISE.get(effect.kind)) for operation in may
        )
        if asked and (effect.spec is None or any(o.spec == effect.spec for o in may)):
            return
        self.blame(f"r{effect.revision}: {effect.kind} {effect.name!r}, which nobody asked for")

    def _came_true(self, operation: Operation) -> bool:
        """What was acknowledged stood in the store, unless a rival undid it in the same write."""
        if any(operation.rivals(other) for other in self.operations):
            return True
        versions = self.versions[operation.spec.name]
        standing = [version for revision, version in versions if revision <= operation.began][-1:]
        during = [version for revision, version in versions if revision > operation.began]
        runs = max((version.run for version in standing if version is not None), default=0)
        return any(_grants(version, operation, runs) for version in (standing or [None]) + during)


def task_of(name: str) -> str:
    """The task of a resource, which may be a shard."""
    return name.rpartition("~")[0] if is_like_shard(name) else name


def wishes_between(before: Resource, after: Resource) -> list[str]:
    """What somebody must have wanted of the life of a task, to make one of the other."""
    if after.run > before.run:
        return ["run"] if after.spec == before.spec else []
    if after.stopped and not before.stopped:
        return ["stop"]
    if bool(after.paused) is bool(before.paused):
        return []
    return ["pause" if after.paused else "resume"]


def _grants(version: Resource | None, operation: Operation, runs: int) -> bool:
    """Whether this is what an operation asked for; `runs` is how many there were before it."""
    if operation.kind == "delete" or version is None:
        return operation.kind == "delete" and version is None
    granted = {
        "pause": bool(version.paused),
        "resume": not version.paused,
        "stop": version.stopped,
        "run": version.run > runs,
    }
    return granted.get(operation.kind, version.spec == operation.spec)


def _decoded(name: str, kv: KeyValue | None) -> Resource | None:
    """Return what a value says; None for one that nobody can read, which is left out."""
    try:
        return None if kv is None else decode_resource(name, kv.value, kv.mod_revision)
    except ValueError:
        return None


def _told(resource: Resource | None) -> str:
    if resource is None:
        return "nothing"
    owner = resource.owner
    where = f" on {owner.node_id[-1]}@{owner.incarnation}" if owner else ""
    return f"{resource.name} {resource.state.value}{where} epoch {resource.epoch} id {resource.id}"

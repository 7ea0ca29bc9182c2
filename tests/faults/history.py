"""What must be true of everything that was ever written to etcd, whatever went wrong meanwhile.

Pure: it reads entries that a recorder wrote down, and test_history.py shows that it sees each kind
of violation in a history made by hand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

ELECTION = "/resources/election/"
RESOURCES = "/resources/"
WORKERS = "/micro/registry/go.micro.server.worker/"

FINISHED = ("done", "failed")
NEXT = {
    "assigned": ("running", *FINISHED),
    "running": FINISHED,
}
"""State → what its owner may report next, in the same epoch."""


class Entry(NamedTuple):
    """One change of one key."""

    revision: int
    at_s: float
    """Monotonic moment at which the recorder saw it."""
    key: str
    value: bytes | None
    """None for a delete."""
    created: int
    """Create revision of the key; of a deleted one, what it had."""


class Violation(NamedTuple):
    """Something that must never be."""

    kind: str
    """`term`, `owner`, `owners`, `epoch`, `identity`, `state`, `lost` or `run`."""
    revision: int
    text: str


class Owner(NamedTuple):
    """An incarnation of a worker."""

    id: str
    incarnation: int


def violations(entries: Iterable[Entry], late_s: float) -> list[Violation]:
    """Replay a history. A task may be given to a worker that left at most `late_s` before."""
    replay = _Replay(late_s)
    for entry in entries:
        replay.take(entry)
    return replay.found


def lost(
    entries: Iterable[Entry], acknowledged: Iterable[str], deleted: Iterable[str]
) -> list[Violation]:
    """Tasks whose add was acknowledged, which nobody asked to delete, and which are gone.

    Names must not be used twice.
    """
    present: dict[str, int] = {}
    for entry in entries:
        name = resource_name(entry.key)
        if name is not None:
            present[name] = 0 if entry.value is None else entry.revision
    kept = set(acknowledged) - set(deleted)
    gone = sorted(name for name in kept if not present.get(name))
    return [Violation("lost", 0, f"{name} was acknowledged and is gone") for name in gone]


def leaders(entries: Iterable[Entry]) -> list[int]:
    """The create revisions of the keys that led, one after another."""
    candidates: set[int] = set()
    found: list[int] = []
    for entry in entries:
        if entry.key.startswith(ELECTION):
            _follow(candidates, entry)
            if candidates and min(candidates) != (found[-1] if found else None):
                found.append(min(candidates))
    return found


def owners(entries: Iterable[Entry]) -> dict[tuple[str, int], set[str]]:
    """Id and epoch of each assignment → the workers it was made to; one, in a sound history. Behind
    the id of a shard stands its number, as in the names of its files."""
    found: dict[tuple[str, int], set[str]] = defaultdict(set)
    for entry in entries:
        if resource_name(entry.key) is not None and entry.value is not None:
            value = json.loads(entry.value)
            owner = owner_of(value)
            if owner is not None:
                found[run_id(value), value.get("Epoch", 0)].add(owner.id)
    return found


def resource_name(key: str) -> str | None:
    """The task of a key; None for what is no resource."""
    below = key.startswith(RESOURCES) and not key.startswith(ELECTION)
    return key.removeprefix(RESOURCES) if below else None


def run_id(value: dict[str, Any]) -> str:
    """What tells the runs of a resource from those of others: the shards of a task have its id."""
    return f"{value['ID']}~{value['Shard']}" if value.get("Shard") else value["ID"]


def owner_of(value: dict[str, Any]) -> Owner | None:
    """Whose task it is."""
    node_id = value.get("AssignedNode", "").partition("|")[0]
    return Owner(node_id, value.get("Incarnation", 0)) if node_id else None


def _follow(alive: set[int], entry: Entry) -> None:
    """Keep the create revisions of the keys that exist."""
    if entry.value is None:
        alive.discard(entry.created)
    else:
        alive.add(entry.created)


class _Replay:
    """The state of etcd as the history goes on, and what was wrong in it."""

    def __init__(self, late_s: float) -> None:
        self.found: list[Violation] = []
        self._late_s = late_s
        self._candidates: set[int] = set()
        self._live: set[Owner] = set()
        self._left_s: dict[Owner, float] = {}
        self._resources: dict[str, dict[str, Any]] = {}
        self._written: dict[str, int] = {}
        self._ids: dict[str, tuple[str, int]] = {}

    def take(self, entry: Entry) -> None:
        name = resource_name(entry.key)
        if entry.key.startswith(ELECTION):
            _follow(self._candidates, entry)
        elif entry.key.startswith(WORKERS):
            self._take_worker(entry)
        elif name is not None and entry.value is None:
            self._resources.pop(name, None)
            self._written.pop(name, None)
        elif name is not None:
            self._take_resource(name, entry)

    def _take_worker(self, entry: Entry) -> None:
        owner = Owner(entry.key.removeprefix(WORKERS), entry.created)
        if entry.value is None:
            self._live.discard(owner)
            self._left_s[owner] = entry.at_s
        else:
            self._live.add(owner)

    def _take_resource(self, name: str, entry: Entry) -> None:
        assert entry.value is not None
        before, after = self._resources.get(name), json.loads(entry.value)
        for kind, text in self._judged(name, entry, before, after):
            self.found.append(Violation(kind, entry.revision, f"{name}: {text}"))
        self._resources[name], self._written[name] = after, entry.revision

    def _judged(
        self, name: str, entry: Entry, before: dict[str, Any] | None, after: dict[str, Any]
    ) -> Iterator[tuple[str, str]]:
        yield from self._wrong_term(after)
        yield from self._wrong_identity(name, entry, before, after)
        if before is not None or not after.get("Shard"):  # a new shard begins above all before it
            yield from _wrong_epoch(before or {}, after, self._written.get(name, 0))
        same_epoch = before is not None and after.get("Epoch", 0) == before.get("Epoch", 0)
        if same_epoch:
            yield from _wrong_state(before, after)
        if not same_epoch or before["State"] != after["State"]:
            yield from self._wrong_owner(entry, after)

    def _wrong_term(self, after: dict[str, Any]) -> Iterator[tuple[str, str]]:
        term = after.get("Term")
        leading = min(self._candidates, default=None)
        if term is None or term != leading:
            yield "term", f"written in term {term} while {leading} led"

    def _wrong_identity(
        self, name: str, entry: Entry, before: dict[str, Any] | None, after: dict[str, Any]
    ) -> Iterator[tuple[str, str]]:
        id, life = run_id(after), (name, 0 if after.get("Shard") else entry.created)
        if self._ids.setdefault(id, life) != life:
            yield "identity", f"id {id} belongs to {self._ids[id][0]}"
        for field in ("ID", "CreationTime"):
            if before is not None and before[field] != after[field]:
                yield "identity", f"{field} was {before[field]}, is {after[field]}"

    def _wrong_owner(self, entry: Entry, after: dict[str, Any]) -> Iterator[tuple[str, str]]:
        owner = owner_of(after)
        if owner is None or owner in self._live:
            return
        left_s = self._left_s.get(owner)
        if left_s is None:
            yield "owner", f"{after['State']} on {owner}, which never was registered"
        elif entry.at_s - left_s > self._late_s:
            yield "owner", f"{after['State']} on {owner} {entry.at_s - left_s:.1f} s after it left"


def _wrong_epoch(
    before: dict[str, Any], after: dict[str, Any], revision: int
) -> Iterator[tuple[str, str]]:
    """One more for each assignment; the first of a value without an epoch is above its revision."""
    was, now = before.get("Epoch", 0), after.get("Epoch", 0)
    owned_by, owner = owner_of(before), owner_of(after)
    if now not in (was, (was or revision) + 1):
        yield "epoch", f"epoch was {was}, is {now}"
    elif now > was and owner is None:
        yield "epoch", f"epoch rose to {now} without an owner"
    elif now == was and owner not in (None, owned_by):
        yield "owners", f"epoch {now} belongs to {owned_by} and to {owner}"


def _wrong_state(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Within an epoch only its owner's reports change the state, and only forward."""
    was, now = before["State"], after["State"]
    if after.get("Shard") and now == "done" and was not in FINISHED:
        return  # its task is over
    if now not in (was, "pending", *NEXT.get(was, ())):
        yield "state", f"{was} became {now} in epoch {after.get('Epoch', 0)}"
    elif now not in (was, "pending") and owner_of(after) is None:
        yield "state", f"{now} without an owner"


Interval = tuple[float, float]


class Gap(NamedTuple):
    """A time in which a task had no live owner although a worker lived."""

    name: str
    from_s: float
    to_s: float
    duration_s: float
    """Without what was excused."""


def gaps(entries: Sequence[Entry], end_s: float, excused: Sequence[Interval] = ()) -> list[Gap]:
    """Every time a task was without a live owner while a worker lived, the longest first.

    `excused` are the times in which nobody could do anything about it: etcd did not answer.
    """
    watch = _Ownership(lambda from_s, to_s: _length(from_s, to_s, excused))
    for entry in entries:
        watch.take(entry)
    watch.end(end_s)
    return sorted(watch.gaps, key=lambda gap: -gap.duration_s)


def _length(from_s: float, to_s: float, excused: Sequence[Interval]) -> float:
    """How long that was; the excused times must not overlap each other."""
    less_s = sum(max(0.0, min(to_s, end) - max(from_s, start)) for start, end in excused)
    return to_s - from_s - less_s


class _Ownership:
    """Who has a live owner, as the history goes on."""

    def __init__(self, length: Callable[[float, float], float]) -> None:
        self.gaps: list[Gap] = []
        self._length = length
        self._live: set[Owner] = set()
        self._unfinished: dict[str, Owner | None] = {}
        self._since_s: dict[str, float] = {}

    def take(self, entry: Entry) -> None:
        name = resource_name(entry.key)
        if entry.key.startswith(WORKERS):
            self._take_worker(entry)
        elif name is not None:
            value = json.loads(entry.value) if entry.value else None
            if value is None or value["State"] in FINISHED or value.get("Paused"):
                self._unfinished.pop(name, None)
            else:
                self._unfinished[name] = owner_of(value)
            self._look_at(name, entry.at_s)

    def end(self, at_s: float) -> None:
        for name in list(self._since_s):
            self._close(name, at_s)

    def _take_worker(self, entry: Entry) -> None:
        owner = Owner(entry.key.removeprefix(WORKERS), entry.created)
        if entry.value is None:
            self._live.discard(owner)
        else:
            self._live.add(owner)
        for name in list(self._unfinished):
            self._look_at(name, entry.at_s)

    def _look_at(self, name: str, at_s: float) -> None:
        homeless = name in self._unfinished and self._unfinished[name] not in self._live
        if homeless and self._live:
            self._since_s.setdefault(name, at_s)
        elif name in self._since_s:
            self._close(name, at_s)

    def _close(self, name: str, at_s: float) -> None:
        from_s = self._since_s.pop(name)
        self.gaps.append(Gap(name, from_s, at_s, self._length(from_s, at_s)))

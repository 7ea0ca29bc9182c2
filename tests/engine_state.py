"""What the engine keeps twice has to agree: counts with what they count, queues with their heaps.

A fixture (`watched_engine`) notes what a test makes of the engine, and validates it afterwards.
What has ended has to agree to the last request; a crawl that runs may be dealing with one.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from crawler.engine.crawl.crawl import Crawl
from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.frontier.disk_queue import DiskQueue
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.journal import Journal
from crawler.engine.frontier.queues import SiteQueues
from crawler.engine.frontier.seen import Seen
from crawler.engine.frontier.shared_journal import SharedJournal
from crawler.engine.politeness.host_owner import HostOwner
from crawler.engine.politeness.hosts import Hosts
from crawler.engine.politeness.slots import Slots

KINDS = (Slots, SiteQueues, Frontier, Journal, Hosts, HostOwner, BodyMemory, Seen, Crawl)
MOST_KEPT = 50
"""So many of each kind are validated, those made last."""
MOST_SEEN = 20_000
"""A larger table is not counted anew: that would take longer than its test."""

Faults = Iterator[str]


@dataclass
class Known:
    """What was made, by class."""

    made: dict[type, deque[Any]] = field(
        default_factory=lambda: {kind: deque(maxlen=MOST_KEPT) for kind in KINDS}
    )

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Note all that is made from now on."""
        for kind in KINDS:
            monkeypatch.setattr(kind, "__init__", self._noting(kind, kind.__init__))

    def _noting(self, kind: type, initialise: Any) -> Any:
        def noted(self_: Any, *args: Any, **kwargs: Any) -> None:
            initialise(self_, *args, **kwargs)
            self.made[kind].append(self_)

        return noted

    def faults(self) -> list[str]:
        """What does not agree, for people."""
        checks = {
            Slots: of_slots,
            SiteQueues: of_queues,
            Frontier: of_frontier,
            Journal: of_journal,
            Hosts: of_hosts,
            HostOwner: of_host_owner,
            BodyMemory: of_memory,
            Seen: of_seen,
            Crawl: of_crawl,
        }
        found = [
            f"{kind.__name__}: {fault}"
            for kind, check in checks.items()
            for each in self.made[kind]
            for fault in check(each)
        ]
        return found + [f"shared: {fault}" for fault in self._of_shared()]

    def _of_shared(self) -> Faults:
        """What crawls share, if all of these are known."""
        crawls: list[Crawl] = list(self.made[Crawl])
        if len(crawls) == MOST_KEPT:
            return
        for shared in {id(c._context.shared): c._context.shared for c in crawls}.values():
            yield from of_shared(shared, [c for c in crawls if c._context.shared is shared])


def of_slots(slots: Slots) -> Faults:
    """Of the slots of one crawl."""
    waiting = [slot for slot in slots._waiting if slot.held]
    if not 0 <= slots._aside <= slots.busy:
        yield f"{slots._aside} set aside of {slots.busy} in use"
    if slots._aside > slots._most_aside:
        yield f"{slots._aside} set aside, {slots._most_aside} allowed"
    if len(waiting) > slots.busy - slots._aside:
        yield f"{len(waiting)} wait in {slots.busy - slots._aside} ordinary slots"
    if any(slot.aside for slot in waiting):
        yield "one that was set aside still waits to be"


def of_queues(queues: SiteQueues) -> Faults:
    """Of the requests that wait, in memory and on their way to disk."""
    held = sum(len(queue.jobs) for queue in queues.sites.values())
    if queues._held != held:
        yield f"{queues._held} held, {held} in its queues"
    leaving = sum(map(len, queues._leaving.values()))
    if queues._leaving_size != leaving:
        yield f"{queues._leaving_size} are leaving, {leaving} in the lists"
    if not 0 <= queues._leaving_apart <= leaving:
        yield f"{queues._leaving_apart} of {leaving} that leave belong to no queue"
    for origin, queue in queues.sites.items():
        if queue.origin != origin:
            yield f"the queue of {queue.origin} stands for {origin}"
        if any(queue.jobs[(at - 1) // 2] > job for at, job in enumerate(queue.jobs) if at):
            yield f"the queue of {origin} is no heap"
        if queue.busy < 0:
            yield f"{origin} has {queue.busy} requests on their way"
    yield from of_disk_queue(queues._disk_queue)


def of_disk_queue(disk: DiskQueue) -> Faults:
    """Of the requests on disk."""
    if disk._database is None or (disk._under_way and not disk._under_way.ready()):
        return
    rows = disk._database.execute("SELECT orphan, data FROM chunk").fetchall()
    size, orphans = sum(len(json.loads(data)) for _, data in rows), sum(row[0] for row in rows)
    if (disk.size, disk.orphans) != (size, orphans):
        yield f"{disk.size} said to be on disk, {size} are; orphans {disk.orphans}, {orphans}"


def of_frontier(frontier: Frontier) -> Faults:
    """Of the heaps of what is due."""
    dated = {(id(queue), due_s) for due_s, _, queue in frontier._due}
    for queue in frontier._queues.sites.values():
        if queue.jobs and queue.due_s < math.inf and (id(queue), queue.due_s) not in dated:
            yield f"{queue.origin} is due at {queue.due_s}, and stands nowhere"
    if len(frontier) < 0:
        yield f"{len(frontier)} wait"


def of_journal(journal: Journal) -> Faults:
    """Of the requests that a store knows, and of those that it cannot know."""
    twice = journal._added.keys() & journal._changed.keys()
    if twice:
        yield f"{sorted(twice)} are new, and have changed"
    over = set(journal._ended) & {*journal._added, *journal._changed, *journal._unwritten}
    if over:
        yield f"{sorted(over)} have an end, and wait"
    children = {child: id for id, parent in journal._parents.items() for child in parent.children}
    parents = {
        id: each.parent.order for id, each in journal._unwritten.items() if each.parent is not None
    }
    if children != parents:
        yield f"pages wait for {children}, and the requests say {parents}"
    held = sum(map(len, journal._held.values()))
    if not isinstance(journal, SharedJournal) and journal.seen.held != held:
        yield f"{journal.seen.held} fingerprints kept back, {held} in the lists"


def of_hosts(hosts: Hosts) -> Faults:
    """Of the terms of each host."""
    for name, host in hosts._hosts.items():
        if host.in_flight < 0:
            yield f"{name} has {host.in_flight} in flight"
        if not host.waiting.keys() <= host.members.keys():
            yield f"{name} has somebody waiting who is no member"
        if any(member.host != name for member in host.members):
            yield f"{name} has members of another host"
        terms = host.members.values()
        if terms and host.limit != min(each.host_concurrency for each in terms):
            yield f"{name} lets {host.limit} in at once"
        if terms and host.delay_s != max(each.delay_s for each in terms):
            yield f"{name} has a delay of {host.delay_s} s"


def of_host_owner(owner: HostOwner) -> Faults:
    """Of the hosts that a worker has, wants, and gives back."""
    tenures, wishes = owner._tenures, owner._wishes
    if both := tenures.keys() & wishes.keys():
        yield f"{sorted(both)} are owned and wanted"
    ending = {host for host, tenure in tenures.items() if tenure.is_ending}
    if ending != owner._ending.keys():
        yield f"{sorted(ending)} end, the list has {sorted(owner._ending)}"
    if strange := owner._sought.keys() - (tenures.keys() - ending):
        yield f"others want {sorted(strange)} of it, which it has not or gives back already"
    if strange := owner._holds.keys() - tenures.keys():
        yield f"it says that it has {sorted(strange)}, and has not"
    if strange := owner._new_wishes.keys() - wishes.keys():
        yield f"it says that it wants {sorted(strange)}, and does not"


def of_memory(memory: BodyMemory) -> Faults:
    """Of the bytes of responses."""
    if memory.held < 0:
        yield f"{memory.held} bytes held"


def of_seen(seen: Seen) -> Faults:
    """Of the table of fingerprints."""
    if len(seen) <= MOST_SEEN:
        cells = sum(sum(map(bool, cells)) for cells in seen._segments if cells)
        if cells != len(seen):
            yield f"{len(seen)} known, {cells} in the table"


def of_crawl(crawl: Crawl) -> Faults:
    """Of one crawl: each request and each item is in one place."""
    dealing = 1 if crawl.running else 0
    pending = crawl.counters.pending
    somewhere = len(crawl._frontier) + crawl._dispatcher.under_way
    if not 0 <= pending - somewhere <= dealing:
        yield f"{pending} requests have no end, {somewhere} wait or are on their way"
    yield from _of_items(crawl)
    if crawl.ended.is_set():
        yield from _of_end(crawl, somewhere)
    yield from _of_steps(crawl)
    if not crawl._dispatcher._aborted:
        yield from _of_live_queues(crawl, dealing)


def _of_items(crawl: Crawl) -> Faults:
    counters = crawl.counters
    ends = counters.items + counters.items_dropped.total() + counters.items_failed.total()
    in_hand = 1 if crawl.running or crawl.stopped or counters.fault else 0
    if not 0 <= counters.items_taken - ends <= in_hand:
        yield f"{counters.items_taken} items taken, {ends} have an end"


def _of_end(crawl: Crawl, left: int) -> Faults:
    if crawl._dispatcher._in_flight or crawl._dispatcher.arrived:
        yield "it has ended with requests in flight"
    if left and not crawl._close_conditions.over and not crawl.counters.fault:
        yield f"it has ended by itself, and {left} requests are left"


def _of_steps(crawl: Crawl) -> Faults:
    """Of what the store is told of requests on their way, and of those that are offered."""
    dispatcher, checkpoints = crawl._dispatcher, crawl._checkpoints
    journal = dispatcher._journal
    if not isinstance(journal, Journal) or dispatcher._aborted:
        return
    untold = {job.order for job in dispatcher._in_flight} - journal._in_flight.keys()
    if untold:
        yield f"{sorted(untold)} are in flight, and the store does not learn of it"
    if not isinstance(journal, SharedJournal) or checkpoints._is_busy or checkpoints._fault:
        return
    if journal.telling and checkpoints._answer is None:
        yield f"the store is being told of {journal.telling} offers, and no step is under way"


def _of_live_queues(crawl: Crawl, dealing: int) -> Faults:
    dispatcher = crawl._dispatcher
    queues = crawl._frontier.sites()
    sent = Counter(queue.origin for queue, _ in dispatcher._in_flight.values())
    sent += Counter(queue.origin for _, queue, _ in dispatcher.arrived)
    busy = sum(queue.busy for queue in queues)
    if not 0 <= busy - sent.total() <= dealing:
        yield f"its queues have {busy} requests on their way, it has {sent.total()}"
    shared = crawl._context.shared
    lost = [
        queue.origin
        for queue in queues
        if queue.jobs and queue.due_s == math.inf and not _will_be_woken(queue, shared, dispatcher)
    ]
    if len(lost) > dealing:
        yield f"nothing will wake {lost}"


def _will_be_woken(queue: Any, shared: Any, dispatcher: Any) -> bool:
    host = shared.hosts._hosts.get(queue.host)
    way = dispatcher._gatekeeper._robots._way(queue.origin)
    asked = (queue.origin, way) in shared.robots._asking
    if asked or host is None or queue not in host.waiting:
        return asked
    owner = shared.hosts._owner
    wakes = owner is not None and (queue.host in owner._wishes or queue.host in owner._tenures)
    return wakes or host.in_flight > 0


def of_shared(shared: Any, crawls: list[Crawl]) -> Faults:
    """Of hosts in flight, slots and bytes, over all crawls that share them."""
    running = sum(crawl.running for crawl in crawls)
    dispatchers = [crawl._dispatcher for crawl in crawls]
    sent = Counter(q.host for each in dispatchers for q, _ in each._in_flight.values())
    for name, host in shared.hosts._hosts.items():
        if host.in_flight != sent[name]:
            yield f"{name} has {host.in_flight} in flight, its crawls {sent[name]}"
    busy = sum(each._slots.busy for each in dispatchers)
    known = sum(each.under_way for each in dispatchers)
    known += sum(map(len, shared.robots._asking.values()))
    if not 0 <= busy - known <= running:
        yield f"{busy} slots in use, for {known} requests"
    arrived = [result for each in dispatchers for *_, result in each.arrived]
    bodies = sum(len(getattr(result, "body", b"")) for result in arrived)
    if not running and not getattr(shared.fetcher, "in_flight", 0) and shared.held.held != bodies:
        yield f"{shared.held.held} bytes held, {bodies} are there"


@pytest.fixture
def watched_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Known]:
    """Validates the engine after the test."""
    known = Known()
    known.watch(monkeypatch)
    yield known
    faults = known.faults()
    assert not faults, "\n".join(faults)

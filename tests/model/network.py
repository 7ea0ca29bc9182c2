"""A node's way to the store, with everything that can happen on it.

A call is a flight: it leaves the node, is carried out by the store, and its answer comes back. Both
ways have a valve. A flight held on its way out is carried out later, perhaps after its caller gave
up; one held on its way back has been carried out and nobody knows. What is held can be lost.
Batches of a watch keep their order, but each watch can be held on its own, so that news of one
prefix overtakes that of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any

import gevent
from gevent.event import Event

from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Batch, Compare, Operation, Range, TxnResult
from crawler.errors import CrawlerError, OutcomeUnknown, Unavailable
from tests.model.timeline import NodeClock

TIMEOUT_S = 3.0
"""The store's deadline of each call."""

MISSES = 2
"""Calls without an answer after which a connection is given up, and its watches with it."""

Record = Callable[[TxnResult, Sequence[Compare], Sequence[Operation]], None]


class Fate(Enum):
    """What happens to one transaction, after which the node hears that its fate is unknown."""

    DONE = "carried out"
    LOST = "not carried out"
    LATE = "carried out later, if ever"


class Wire:
    """The state of a node's connection to the store; outlives the node's processes."""

    def __init__(self) -> None:
        self.refused = False
        self.requests = Event()
        self.answers = Event()
        self.held_watches: dict[str, Event] = {}
        self.fates: list[Fate] = []
        self.late: list[Flight] = []
        """Transactions that their node gave up; they may arrive even after its death."""
        self.requests.set()
        self.answers.set()

    def hold(self, prefix: str) -> None:
        """Hold the news of one prefix."""
        self.held_watches.setdefault(prefix, Event())

    def land(self) -> None:
        """What was given up long ago is carried out now."""
        while self.late:
            self.late.pop(0).execute()

    @property
    def whole(self) -> bool:
        return (
            not self.refused
            and self.requests.is_set()
            and self.answers.is_set()
            and not self.held_watches
        )


class Flight:
    """One call on its way."""

    def __init__(self, carry_out: Callable[[], Any]) -> None:
        self._carry_out = carry_out
        self._result: Any = None
        self._error: CrawlerError | None = None
        self.done = Event()

    def execute(self) -> None:
        try:
            self._result = self._carry_out()
        except CrawlerError as error:
            self._error = error

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class Link:
    """The store as one process sees it."""

    def __init__(
        self,
        store: MemoryStore,
        wire: Wire,
        clock: NodeClock,
        record: Record,
        latency: Callable[[], int],
    ) -> None:
        """`latency` tells how many turns others get while a call is on its way."""
        self._latency = latency
        self._store = store
        self.wire = wire
        self.clock = clock
        self._record = record
        self._out: list[Flight] = []
        self._back: list[Flight] = []
        self._watches: dict[_LinkWatch, None] = {}
        self._misses = 0
        self.dead = False

    # -- what the node calls -------------------------------------------------------------------

    def get(self, key: str) -> Any:
        return self._call(lambda: self._store.get(key))

    def range(self, prefix: str, revision: int = 0) -> Range:
        found: Range = self._call(lambda: self._store.range(prefix, revision))
        return found

    def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
    ) -> TxnResult:
        def carry_out() -> TxnResult:
            result = self._store.txn(compares, success, failure)
            self._record(result, compares, success if result.succeeded else failure)
            return result

        if self.wire.fates and compares and not self.wire.refused:
            self._meet(self.wire.fates.pop(0), Flight(carry_out))
        result: TxnResult = self._call(carry_out, write=True)
        return result

    def lease_grant(self, ttl_s: int) -> tuple[int, int]:
        granted: tuple[int, int] = self._call(lambda: self._store.lease_grant(ttl_s), write=True)
        return granted

    def lease_keepalive(self, lease: int, timeout_s: float) -> int:
        call = self._store.lease_keepalive
        left: int = self._call(lambda: call(lease, timeout_s), timeout_s=timeout_s)
        return left

    def lease_revoke(self, lease: int) -> None:
        self._call(lambda: self._store.lease_revoke(lease), write=True)

    def watch(self, prefix: str, revision: int, *, exact: bool = False) -> _LinkWatch:
        return _LinkWatch(self, self._store, prefix, revision, exact)

    def close(self) -> None:
        """The store is everybody's."""

    # -- what the network does -----------------------------------------------------------------

    def pump(self) -> None:
        """Carry on what was held and may go on now."""
        while self._out and self.wire.requests.is_set():
            self._arrive(self._out.pop(0))
        while self._back and self.wire.answers.is_set():
            self._back.pop(0).done.set()

    def lose(self) -> None:
        """What was on its way never arrives; watches break with it."""
        self._out.clear()
        self._back.clear()
        self.break_watches()

    def abandon(self) -> None:
        """The node dies: what it had sent may arrive all the same."""
        self.dead = True
        self.wire.late.extend(self._out)
        self.lose()

    def break_watches(self) -> None:
        for watch in list(self._watches):
            watch.break_off()

    def _call(
        self, carry_out: Callable[[], Any], *, write: bool = False, timeout_s: float = TIMEOUT_S
    ) -> Any:
        self._check()
        flight = Flight(carry_out)
        self._dawdle()
        if self.wire.requests.is_set():
            self._arrive(flight)
        else:
            self._out.append(flight)
        if not self.clock.wait(flight.done, timeout_s):
            self._missed()
            message = "the store did not answer in time"
            raise OutcomeUnknown(message) if write else Unavailable(message)
        self._misses = 0
        self._dawdle()
        return flight.result()

    def _dawdle(self) -> None:
        for _ in range(self._latency()):
            gevent.sleep(0)

    def _meet(self, fate: Fate, flight: Flight) -> None:
        self._check()
        if fate is Fate.DONE:
            flight.execute()
        elif fate is Fate.LATE:
            self.wire.late.append(flight)
        gevent.sleep(0)
        self.clock.running.wait()
        raise OutcomeUnknown(f"the connection broke: {fate.value}")

    def _arrive(self, flight: Flight) -> None:
        flight.execute()
        if self.wire.answers.is_set():
            flight.done.set()
        else:
            self._back.append(flight)

    def _missed(self) -> None:
        self._misses += 1
        if self._misses >= MISSES:
            self._misses = 0
            self.break_watches()

    def _check(self) -> None:
        if self.dead:
            raise gevent.GreenletExit
        if self.wire.refused:
            gevent.sleep(0)
            self.clock.running.wait()
            raise Unavailable("the store cannot be reached")

    def follow(self, watch: _LinkWatch) -> None:
        self._check()
        self._watches[watch] = None

    def unfollow(self, watch: _LinkWatch) -> None:
        self._watches.pop(watch, None)


class _LinkWatch:
    """A watch behind the valves of its link."""

    def __init__(
        self, link: Link, store: MemoryStore, prefix: str, revision: int, exact: bool
    ) -> None:
        self._link = link
        self._store = store
        self._prefix = prefix
        self._revision = revision
        self._exact = exact
        self._inner: Any = None
        self._broken = Event()

    def __iter__(self) -> Iterator[Batch]:
        self._link.follow(self)
        self._pass([self._link.wire.requests])
        self._inner = self._store.watch(self._prefix, self._revision, exact=self._exact)
        entries = iter(self._inner)
        while True:
            try:
                batch = next(entries, None)
            except CrawlerError as error:
                self._pass([self._link.wire.answers])
                raise error
            if batch is None:
                return
            self._pass([self._link.wire.answers])
            yield batch

    def close(self) -> None:
        self._link.unfollow(self)
        if self._inner is not None:
            self._inner.close()

    def break_off(self) -> None:
        self._link.unfollow(self)
        self._broken.set()
        if self._inner is not None:
            self._inner.fail(Unavailable("the watch broke"))

    def _pass(self, valves: list[Event]) -> None:
        """Wait until all valves are open, the node runs, or the connection breaks."""
        while not self._broken.is_set():
            held = self._link.wire.held_watches.get(self._prefix)
            shut = [valve for valve in [*valves, *([held] if held else [])] if not valve.is_set()]
            if not shut:
                break
            gevent.wait([shut[0], self._broken], count=1)
        self._link.clock.running.wait()
        if self._broken.is_set():
            raise Unavailable("the watch broke")

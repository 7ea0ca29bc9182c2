"""The stores of the shards of one task in Redis.

Each shard has a journal of its own there, as any run has (`redis_store.py`). What the shards share
lies beside it in the same slot, so all of it is of one moment. A step and its exchange are one call
of a function (`redis_shared_functions.py`).

If Redis loses the end of its log, every shard is at the same earlier moment. A shard that notices
begins anew with what it has there. One that has lost no step of its own has forgotten nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from crawler.clock import Clock
from crawler.engine.frontier import redis_store
from crawler.engine.frontier.redis_access import NotYet
from crawler.engine.frontier.redis_commands import Commands
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_shared_entries import entry, offer_of, rank, signed
from crawler.engine.frontier.redis_shared_functions import DRAWN_AT_ONCE
from crawler.engine.frontier.redis_shared_run import SharedRun
from crawler.engine.frontier.redis_store import RedisStore
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.shared_store import ADOPT_S, Answer, Exchange, Offer
from crawler.engine.frontier.store import Found, StaleRun, Step, StoreDamaged, StoreFailed
from crawler.logs import get_logger
from crawler.model.records import Counts

log = get_logger(__name__)

MOST_OFFERS = 2000
"""With more offers in a step, some go ahead of it, so many in a call."""
MOVED_AT_ONCE = 256
"""So many requests of another shard are put into the pool in one call."""
LET_GO_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Noted:
    """What a shard tells of itself. What is empty stays as it was."""

    live: int | str = ""
    """1 if its run goes on, 0 if another shard empties it, 2 when that is done."""
    left: int | str = ""
    sites: int | str = ""
    wants: int | str = ""
    has_read_start: int | str = ""
    pages: int | str = ""
    items: int | str = ""
    failures: int | str = ""
    seconds: str = ""


_NOTHING = Exchange()
_LEAVES = _Noted(live=0, sites=0, wants=0)
"""What a shard tells that gives back all it holds."""


class RedisSharedStore(RedisStore):
    """Keeps the state of one shard in Redis, beside the others."""

    def __init__(
        self,
        server: RedisServer,
        name: str,
        shard: int,
        about: str = "",
        now_s: Callable[[], float] | None = None,
        clock: Clock | None = None,
        gives_away: Callable[[RedisSharedStore, Found], None] = lambda store, found: None,
    ) -> None:
        """`name` tells the task from others, and shard 0 is its head. `about` says what the task is
        about: a shard takes part only in a task whose head says the same. `gives_away` is told what
        a shard has, before others get what it holds. If it raises OSError, they do not."""
        self._shared = SharedRun(server, name, shard, now_s, clock)
        super().__init__(server, name, run=self._shared)
        self.shard = shard
        self.about = about
        """What the task is about. It may change between two runs of this store."""
        self._gives_away = gives_away
        self._beside = partial(
            RedisSharedStore,
            server,
            name,
            about=about,
            now_s=now_s,
            clock=clock,
            gives_away=gives_away,
        )

    def write(self, step: Step) -> None:
        """Take a step."""
        with self._run.calling:
            commands = self._begun(step)
            self._call(_Noted(left=len(self._requests)), marks=step.marks, commands=commands)

    def exchange(self, step: Step, exchange: Exchange) -> Answer:
        """Take a step, and what it means to the others. If it offers very many requests, most of
        them go ahead: a page that is fetched again offers what is known then."""
        with self._run.calling:
            ahead, offers = _divided(exchange.offers)
            known = self.offer(ahead)
            commands, noted = self._begun(step), self._noted(exchange)
            answer = self._call(noted, step.marks, offers, exchange, DRAWN_AT_ONCE, commands)
            return replace(answer, known=answer.known + known)

    def offer(self, offers: Sequence[Offer]) -> int:
        """Take offers before their step, in parts."""
        with self._run.calling:
            return sum(self._call(_Noted(), offers=part).known for part in _parts(offers))

    def adopt(self) -> int:
        """Put what other shards hold into the pool, of those that nobody runs any more. The own run
        goes on to say that it is there: much takes a while."""
        with self._run.calling:
            self._run.check()
            left = self._shared.forsaken(ADOPT_S)
        return sum(self._beside(shard).give_away() or 0 for shard in left)

    def texts(self, name: str) -> Mapping[int, str]:
        """What each other shard keeps under that name. It does not wait for a Redis that is
        silent. Raises StoreFailed."""
        try:
            return self._shared.texts(name)
        except NotYet as error:
            raise StoreFailed(error.told) from error

    def give_away(self, unused_s: float = ADOPT_S) -> int | None:
        """Take this shard over, if nobody has run it for so long, and put all it holds into the
        pool. Returns how many requests that were; None if somebody runs it."""
        try:
            if not self._shared.take_over(unused_s):
                return None
            found, is_whole = self._begin(), False
            try:
                self._gives_away(self, found)
                given = self._put_into_pool(is_dead=True)
                is_whole = True
            finally:
                self.close(found.is_clean and is_whole)
        except StaleRun:  # its next run has begun meanwhile
            return 0
        except StoreDamaged as error:
            log.error("what a shard held is lost", why=str(error))
            return 0
        except OSError as error:
            log.error("others do not get what a shard holds", place=self.place, why=str(error))
            return 0
        log.info("another shard does what this one held", place=self.place, requests=given)
        return given

    def clear(self) -> None:
        """Forget this shard, and end the run: what it held is in the pool, unless its head says now
        that the task is about something else. The head forgets all."""
        with self._run.calling:
            if self._shared.shard:
                if self._shared.about() == self.about:
                    self._put_into_pool(is_dead=False)
                super().clear()
                return
            self._supervisor.stop()
            self._shared.clear_all()

    # -- reading -----------------------------------------------------------------------------------

    def _read_all(self) -> Found:
        found = super()._read_all()
        if not self._shared.shard and (found.is_new or self._shared.about() is None):
            self._share()
        return found

    def _seen(self, count: int) -> LoggedSeen:
        self._known = count
        return LoggedSeen()

    def _share(self) -> None:
        """Begin to share the task. What a run alone knew, all know from now on."""
        self._shared.clear_shared()
        for part in self._entries("seen", self._marks):
            self._shared.know(array("q", part))
        self._marks = self._known = 0
        commands = Commands()
        commands.add("DEL", "seen")
        commands.add("HSET", "run", "marks", 0, "known", 0)
        self._shared.share(self.about, len(self._requests), commands.words())

    # -- writing -----------------------------------------------------------------------------------

    def _note_known(self, marks: array[int], ahead: Commands) -> None:
        """Nothing: all shards know them together."""

    def _noted(self, exchange: Exchange) -> _Noted:
        counts = exchange.counts
        return _Noted(
            1,
            max(exchange.left, len(self._requests)),
            exchange.sites,
            exchange.wants,
            int(exchange.has_read_start),
            counts.pages,
            counts.items,
            counts.failures,
            repr(counts.seconds),
        )

    def _call(
        self,
        noted: _Noted,
        marks: Sequence[int] = (),
        offers: Sequence[Offer] = (),
        exchange: Exchange = _NOTHING,
        most: int = 0,
        commands: Sequence[Any] = (),
    ) -> Answer:
        """Call the function for an exchange. It draws so many requests at most."""
        run, tells = self._shared, exchange.tells
        head = (run.shard, self.about, most, exchange.taken, *astuple(noted))
        counts = (len(tells), len(marks), len(exchange.let_go), len(offers))
        words = [*head, *counts]
        words += [part for pair in tells.items() for part in pair]
        words += map(signed, marks)
        words += exchange.let_go
        now_s = run.now_s()
        for each in offers:
            words += (signed(each.mark), each.site, rank(each.priority), entry(each, now_s))
        figures, told, drawn = run.exchange([*words, *commands])
        return _answer(figures, told, [offer_of(each, run.now_s()) for each in drawn])

    def _put_into_pool(self, is_dead: bool) -> int:
        """Give all requests back, and let go of all sites."""
        drawn, given = self._let_go_of_sites(), 0
        while drawn:
            given += len(drawn)
            drawn = self._moved(drawn, taken=len(drawn))
        held = self._requests.all()
        while part := self._reading(lambda: list(islice(held, MOVED_AT_ONCE))):
            given += len(part)
            offers = [Offer(0, each.site, each.priority, each.record, each.wait_s) for each in part]
            self._moved(offers, [each.id for each in part])
        self._call(replace(_LEAVES, live=2 if is_dead else 0, left=len(self._requests)))
        return given

    def _let_go_of_sites(self) -> Sequence[Offer]:
        """Let go of all sites. Returns requests that were drawn, and that nobody has taken."""
        sites = iter(list(self._shared.served_sites()))
        while part := list(islice(sites, LET_GO_AT_ONCE)):
            self._call(_LEAVES, exchange=Exchange(let_go=part))
        return self._call(_LEAVES, most=DRAWN_AT_ONCE).drawn

    def _moved(
        self, offers: Sequence[Offer], ended: Sequence[int] = (), taken: int = 0
    ) -> Sequence[Offer]:
        """Give some requests back. Returns some of those that were drawn."""
        commands = self._begun(Step(ended=ended, sent=self._sent))
        offers = [each._replace(mark=0) for each in offers]
        noted = replace(_LEAVES, left=len(self._requests))
        exchange = Exchange(taken=taken)
        return self._call(noted, (), offers, exchange, DRAWN_AT_ONCE, commands).drawn


def _divided(offers: Sequence[Offer]) -> tuple[Sequence[Offer], Sequence[Offer]]:
    """What goes ahead of a step, and what goes with it. What is wanted in any case would be there
    twice if the step does not come."""
    if len(offers) <= MOST_OFFERS:
        return (), offers
    return [each for each in offers if each.mark], [each for each in offers if not each.mark]


def _parts(offers: Sequence[Offer]) -> Iterator[Sequence[Offer]]:
    part, size = list[Offer](), 0
    for each in offers:
        part.append(each)
        size += len(each.record)
        if len(part) == MOST_OFFERS or size >= redis_store.PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _answer(figures: Sequence[bytes], texts: Sequence[bytes], drawn: Sequence[Offer]) -> Answer:
    known, spare, left, is_over, *others = figures
    told = [text.decode() for text in texts]
    return Answer(
        drawn,
        int(known),
        int(spare),
        {int(others[at]): _counts(others[at + 1 : at + 5]) for at in range(0, len(others), 5)},
        int(left),
        is_over == b"1",
        dict(zip(told[::2], told[1::2], strict=True)),
    )


def _counts(figures: Sequence[bytes]) -> Counts:
    pages, items, failures = map(int, figures[:3])
    return Counts(pages, items, failures, float(figures[3]))

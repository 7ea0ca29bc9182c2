"""A store in Redis, which runs on any machine can open.

The frontier and the seen set stay in the memory of the run, and Redis holds a journal of them. Each
step is one call of a function (`redis_functions.py`), so Redis takes it whole or not at all. What
is large goes ahead in parts that mean nothing before that call: rows of requests to which nothing
points, and fingerprints beyond the number that counts.

Each call has a number, and Redis keeps the last one. So a call that is repeated, because its answer
was lost, is carried out once. And if Redis has lost the end of its log (a loss of power, a replica
that was behind), the next number does not follow. What Redis has is then an earlier whole moment of
the crawl; the run ends, and another one goes on from there.
"""

from __future__ import annotations

import json
import math
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import gevent
from gevent.event import Event

from crawler.clock import Clock, give_turn
from crawler.engine.frontier.redis_access import NotYet
from crawler.engine.frontier.redis_commands import Commands
from crawler.engine.frontier.redis_requests import RedisRequests
from crawler.engine.frontier.redis_run import RedisRun
from crawler.engine.frontier.redis_server import RedisServer, pairs
from crawler.engine.frontier.sealed import BrokenSeal
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.store import Found, Rest, Step, StoreFailed, Waiting, left_s
from crawler.logs import get_logger
from crawler.supervision import Supervisor

log = get_logger(__name__)

T = TypeVar("T")

BEAT_S = 1.0
"""A run that writes nothing says so often that it goes on."""
SIZE_S = 10.0
"""So often it asks how much memory of Redis that takes."""
ASKED_S = 0.2
"""The seconds after which Redis knows that a request was sent. A step tells it too."""
MOST_ASKED = 16_384
"""Of so many requests that were sent since the last step Redis knows which they are."""
PART_BYTES = 1 << 20
"""A call takes about so much: Redis does nothing else meanwhile."""
NUMBERS_AT_ONCE = 1000
"""So many fingerprints are one entry of a list, and are added to the seen set at once."""
MANY = 100_000
"""For so many fingerprints the seen set makes room at once."""
READ_AT_ONCE = 32
"""So many entries of a list are read in one call."""
SCANNED_AT_ONCE = 500


class RedisStore:
    """Keeps the state of one crawl in Redis."""

    def __init__(
        self,
        server: RedisServer,
        name: str,
        now_s: Callable[[], float] | None = None,
        clock: Clock | None = None,
        takes_over: bool = True,
        run: RedisRun | None = None,
    ) -> None:
        """`name` tells the crawl from others. `now_s` replaces the clock of the server. `clock` is
        for the wait for another run. Without `takes_over`, it refuses to replace that one. `run`
        replaces the right to change the crawl."""
        self._run = run or RedisRun(server, name, now_s, clock, takes_over)
        self.place = self._run.place
        self._supervisor = Supervisor("frontier")
        self._news = Event()
        """Set when a request was sent."""
        self._requests = RedisRequests(self._fields, self._run.now_s)
        self._marks = self._starts = 0
        """How many entries of the lists count."""
        self._known = 0
        """How many fingerprints that are."""
        self._sent = 0
        self._sent_s = 0.0
        self._asked = array("Q")
        """The requests that were sent since the last step."""
        self._is_read = False
        """Whether this run has read what was there, which takes a while if it is much."""
        self._bytes = 0

    def open(self, epoch: int | None = None, patience_s: float = 0.0) -> Found:
        """Begin a run. A run that does not end in time can write nothing from then on, unless this
        store does not take over.

        Raises StaleRun, StoreInUse, StoreDamaged and StoreFailed.
        """
        self._run.begin(epoch, patience_s)
        return self._begin()

    def lease(self, most: int) -> Sequence[Waiting]:
        """Take requests that nobody holds."""
        return self._reading(lambda: self._requests.lease(most))

    def tally(self, kind: Callable[[bytes], T]) -> Counter[T]:
        """Count the requests without an end by what their records tell."""
        return self._reading(lambda: Counter(kind(each.record) for each in self._requests.all()))

    def sending(self, mark: int) -> None:
        """Note that a request is sent."""
        if self._run.epoch is None:
            return
        self._sent += 1
        self._sent_s = self._run.now_s()
        self._asked.append(mark)
        self._news.set()

    def size(self) -> int:
        """About how many bytes its keys take, as Redis told lately."""
        return self._bytes

    def write(self, step: Step) -> None:
        """Take a step. What is large goes ahead of it."""
        with self._run.calling:
            self._run.write(self._begun(step))

    def close(self, is_clean: bool = False) -> None:
        """End the run. `is_clean` says that the last step holds all that the run has done."""
        if self._run.epoch is None:
            return
        try:
            with self._run.calling:  # nobody is in the middle of a call
                self._supervisor.stop()
                if self._run.goes_on:
                    self._say_end(is_clean)
        finally:
            self._run.end()
            self._requests = RedisRequests(self._fields, self._run.now_s)

    def clear(self) -> None:
        """Remove the keys, and end the run."""
        with self._run.calling:
            self._supervisor.stop()
            self._run.clear()
            self._bytes = 0

    # -- reading -----------------------------------------------------------------------------------

    def _begin(self) -> Found:
        """Read what is there, in a run that has begun. Raises StoreDamaged and StoreFailed."""
        self._is_read = False
        with self._run.calling:  # a run that has lost its end may begin again
            self._supervisor.stop()
        self._supervisor = Supervisor("frontier")
        self._supervisor.spawn("beat", self._keep_beating)
        try:
            found = self._read_all()
        except BaseException as error:
            self._supervisor.stop()
            if isinstance(error, BrokenSeal | ValueError | KeyError | TypeError):
                raise self._run.damaged(error) from error
            raise
        self._is_read = True
        return found

    def _read_all(self) -> Found:
        values = dict(pairs(self._run.ask("HGETALL", "run")))
        self._run.number = int(values[b"number"])
        self._marks, self._starts = (int(values.get(n, 0)) for n in (b"marks", b"starts"))
        self._asked = array("Q")
        self._requests = RedisRequests(self._fields, self._run.now_s)
        self._requests.load(self._scanned("live"), (id for id, _ in self._scanned("later")))
        next_id, sent, *in_flight = json.loads(values.get(b"now", b"[0, 0]"))
        self._requests.next_id = next_id
        self._sent = int(values.get(b"sent", sent))
        self._sent_s = float(values.get(b"sent_s", 0))
        self._check_sizes(values)
        self._drop_orphans()
        found = Found(
            epoch=self._run.epoch or 0,
            is_new=b"now" not in values,  # no run has written a step
            is_clean=values.get(b"clean", b"1") == b"1",
            waiting=len(self._requests),
            next_id=next_id,
            seen=self._seen(int(values.get(b"known", 0))),
            starts=array("Q", b"".join(self._entries("starts", self._starts))),
            asked=[*in_flight, *array("Q", values.get(b"asked", b""))],
            sent=self._sent,
            rests=self._rests(json.loads(values.get(b"rests", b"{}"))),
            state={name.decode(): text.decode() for name, text in self._scanned("state")},
        )
        if found.sent:
            found.idle_s = max(0.0, self._run.now_s() - self._sent_s)
        return found

    def _check_sizes(self, values: Mapping[bytes, bytes]) -> None:
        """Notice that somebody has removed keys or fields. Raises BrokenSeal."""
        rows, later = json.loads(values.get(b"sizes", b"[0, 0]"))
        if self._requests.sizes != (rows, later):
            raise BrokenSeal("requests are missing")
        for name, count in (("seen", self._marks), ("starts", self._starts)):
            if self._run.ask("LLEN", name) < count:
                raise BrokenSeal("fingerprints are missing")

    def _drop_orphans(self) -> None:
        """Remove what went ahead of a step that never came."""
        commands = Commands()
        for name, count in (("seen", self._marks), ("starts", self._starts)):
            commands.add("LTRIM", name, *((0, count - 1) if count else (1, 0)))
        if self._run.ask("HLEN", "rows") != self._requests.sizes[0]:
            for first in self._run.ask("HKEYS", "rows"):
                if not self._requests.is_row(int(first)):
                    commands.add("HDEL", "rows", first)
        self._run.write(commands.words())

    def _seen(self, count: int) -> LoggedSeen:
        seen = LoggedSeen()
        if count > MANY:
            seen.expect(count)
        self._known = count
        for entry in self._entries("seen", self._marks):
            seen.restore(array("Q", entry))
            give_turn()
        return seen

    def _entries(self, name: str, count: int) -> Iterator[bytes]:
        for at in range(0, count, READ_AT_ONCE):
            yield from self._run.ask("LRANGE", name, at, min(at + READ_AT_ONCE, count) - 1)

    def _scanned(self, name: str) -> Iterator[tuple[bytes, bytes]]:
        """The fields of a hash. Nobody changes it meanwhile, but a scan may tell some twice."""
        found, cursor = dict[bytes, bytes](), b"0"
        while True:
            cursor, fields = self._run.ask("HSCAN", name, cursor, "COUNT", SCANNED_AT_ONCE)
            found.update(pairs(fields))
            if int(cursor) == 0:
                return iter(found.items())
            give_turn()

    def _fields(self, name: str, fields: Sequence[int]) -> Sequence[bytes | None]:
        if not fields:
            return ()
        found: Sequence[bytes | None] = self._run.ask("HMGET", name, *fields)
        return found

    def _rests(self, kept: dict[str, Any]) -> dict[str, Rest]:
        now_s = self._run.now_s()
        found = {
            host: Rest(left_s(until_s, asked_s, now_s), pause_s, is_down)
            for host, (until_s, asked_s, pause_s, is_down) in kept.items()
        }
        return {host: rest for host, rest in found.items() if rest.left_s > 0}

    def _reading(self, step: Callable[[], T]) -> T:
        """Do something that may read rows. Raises StoreDamaged if they are not as they were."""
        with self._run.calling:
            self._run.check()
            try:
                return step()
            except BrokenSeal as error:
                raise self._run.damaged(error) from error

    # -- writing -----------------------------------------------------------------------------------

    def _begun(self, step: Step) -> list[Any]:
        """Send what goes ahead of a step. Returns the commands that make it count."""
        ahead, commands = Commands(), Commands()
        if step.given_back:
            self._reading(lambda: self._requests.give_back(step.given_back))
        self._reading(lambda: self._requests.write(step, ahead, commands))
        self._note_known(step.marks, ahead)
        self._starts += _append(ahead, "starts", step.starts)
        self._put(commands, step)
        *parts, last = ahead.parts(PART_BYTES)
        for part in parts:
            self._run.write(part)
        return last + commands.words()

    def _note_known(self, marks: array[int], ahead: Commands) -> None:
        self._known += len(marks)
        self._marks += _append(ahead, "seen", marks)

    def _put(self, commands: Commands, step: Step) -> None:
        """All values that the step replaces."""
        now_s = self._run.now_s()
        self._asked = self._asked[len(self._asked) - (self._sent - step.sent) :]
        values = {
            "clean": 0,
            "marks": self._marks,
            "known": self._known,
            "starts": self._starts,
            "sizes": json.dumps(self._requests.sizes),
            "now": json.dumps([self._requests.next_id, step.sent, *step.in_flight]),
            **self._sends(),
        }
        if step.rests is not None:
            values["rests"] = json.dumps(
                {host: (now_s + rest.left_s, *rest) for host, rest in step.rests.items()}
            )
        commands.add("HSET", "run", *_flat(values))
        for name, text in step.state.items():
            commands.add("HSET", "state", name, text.encode())

    def _sends(self) -> dict[str, Any]:
        """What Redis has to know of the requests that were sent."""
        self._news.clear()
        asked = self._asked[-MOST_ASKED:].tobytes()
        return {"sent": self._sent, "sent_s": repr(self._sent_s), "asked": asked}

    def _say_end(self, is_clean: bool) -> None:
        """Let the next run begin at once. If Redis cannot be told, the next one waits a while."""
        commands = Commands()
        values = self._sends() | ({"clean": 1} if is_clean else {})
        commands.add("HSET", "run", *_flat(values))
        try:
            self._run.write(commands.words(), is_end=True, is_patient=is_clean)
        except (StoreFailed, NotYet):
            if is_clean:
                raise

    def _keep_beating(self) -> None:
        """Say again and again that the run goes on, and what it has sent."""
        size_s = -math.inf
        while self._run.goes_on:
            if self._news.wait(BEAT_S):
                gevent.sleep(ASKED_S)
            with self._run.calling:
                self._beat()
            if time.monotonic() >= size_s + SIZE_S:
                size_s = time.monotonic()
                self._bytes = self._run.size(self._bytes)

    def _beat(self) -> None:
        try:
            self._run.beat(self._sends() if self._is_read else {})
        except NotYet as error:  # the next step waits until Redis answers
            log.debug("Redis does not answer", place=self.place, reason=str(error))
        except StoreFailed as error:
            log.warning("the run cannot go on", place=self.place, reason=str(error))


def _append(commands: Commands, name: str, numbers: array[int]) -> int:
    """Append numbers to a list. Returns how many entries that makes."""
    parts = range(0, len(numbers), NUMBERS_AT_ONCE)
    for at in parts:
        commands.add("RPUSH", name, numbers[at : at + NUMBERS_AT_ONCE].tobytes())
    return len(parts)


def _flat(values: Mapping[str, Any]) -> list[Any]:
    return [part for pair in values.items() for part in pair]

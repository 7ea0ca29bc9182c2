"""Asks Redis, with a deadline for each call, and again while it does not answer.

The library's own repeating is off: it would repeat a call that was carried out. Here all that is
repeated may be repeated (`redis_functions.py`). This file alone knows the library, and imports it
when the first store asks, because most crawls keep nothing in Redis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from gevent import get_hub
from gevent.lock import RLock

from crawler.clock import Backoff, Clock, SystemClock
from crawler.engine.frontier import redis_functions, redis_log, redis_shared_functions
from crawler.engine.frontier.redis_access import Access, NotYet, WritesNothing
from crawler.engine.frontier.store import StoreFailed
from crawler.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")

LIBRARIES = (redis_functions.CODE, redis_shared_functions.CODE)
"""The functions of the stores, as `FUNCTION LOAD` takes them."""
WAIT_S = 120.0
"""The seconds for which a crawl waits until Redis answers again. Sentinel takes half a minute to
replace a server, with its usual settings."""
MISSING = (
    "the state of a crawl in Redis needs the library redis; install it:"
    " pip install 'distributed-crawler[redis]', or -r requirements-redis.txt in a clone"
)
_PASSES = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY")
"""The codes of errors that go away: it starts, or another server is to take over."""


class RedisServer:
    """One Redis, whatever it consists of. The crawls of a process may share it."""

    def __init__(
        self,
        access: Access,
        wait_s: float = WAIT_S,
        clock: Clock | None = None,
        libraries: Sequence[str] = LIBRARIES,
    ) -> None:
        """`libraries` are the functions of ours that are called, as `FUNCTION LOAD` takes them."""
        self.place = str(access.url)
        """Where it is, for people: without a password."""
        self._access = access
        self._wait_s = wait_s
        self._clock = clock or SystemClock()
        self._made: Any = None
        self._making = RLock()
        self._libraries = libraries
        self._silent = False
        self._may_have_restarted = True
        """Whether there is a new connection since logs were looked at."""
        self._was_full = False
        """Whether a disk was full since then."""
        self.silence = "Redis has not been asked yet"
        """Why Redis did not do the last call; empty if it did."""

    def ask(self, *command: Any, is_patient: bool = True) -> Any:
        """Send a command that may be repeated. Raises StoreFailed, and NotYet without patience."""
        return self._patiently(lambda: self._client().execute_command(*command), is_patient)

    def call(self, function: str, keys: Sequence[str], *args: Any, is_patient: bool = True) -> Any:
        """Call one of our functions. Raises StoreFailed, and NotYet without patience."""

        def ask() -> Any:
            command = ("FCALL", function, len(keys), *keys, *args)
            try:
                return self._client().execute_command(*command)
            except Exception as error:
                if "function not found" not in str(error).lower():
                    raise
            self._visited(self._load)
            return self._client().execute_command(*command)

        answer = self._patiently(ask, is_patient)
        if self._may_have_restarted or self._was_full:
            self._renew_logs()
        return answer

    def for_each(self, visit: Callable[[Any], T], is_patient: bool = True) -> list[T]:
        """Call a function with a client of each server that takes writes. Raises StoreFailed, and
        NotYet without patience."""
        return self._patiently(lambda: self._visited(visit), is_patient)

    def load_functions(self, is_patient: bool = True) -> None:
        """Load our functions on each server that takes writes: the replicas get them from there."""
        self.for_each(self._load, is_patient)

    def close(self) -> None:
        """Close the connections."""
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def _visited(self, visit: Callable[[Any], T]) -> list[T]:
        client = self._client()
        if self._access.url.kind != "+cluster":
            return [visit(client)]
        return [visit(client.get_redis_connection(node)) for node in client.get_primaries()]

    def _note_connection(self) -> None:
        self._may_have_restarted = True

    def _renew_logs(self) -> None:
        """Have servers that have started, or were full, write their logs anew. If one cannot,
        crawls go on."""
        has_restarted, was_full = self._may_have_restarted, self._was_full
        self._may_have_restarted = self._was_full = False
        try:
            if has_restarted:
                self._visited(redis_log.renew)
            if was_full and not all(self._visited(redis_log.renew_after_full)):
                self._was_full = True
        except Exception as error:
            fault = self._translated(error)
            if isinstance(fault, NotYet):
                self._may_have_restarted, self._was_full = has_restarted, was_full
                return
            log.warning(
                "Redis does not write its log anew, as it must after a start and after its disk was"
                " full: a later start may bring half of a step back, or fail; allow BGREWRITEAOF"
                " and INFO, and call BGREWRITEAOF when there is room",
                url=self.place,
                reason=str(fault),
            )

    def _load(self, client: Any) -> None:
        for code in self._libraries:
            try:
                client.execute_command("FUNCTION LOAD", code)
            except Exception as error:
                if "already exists" not in str(error):
                    raise

    def _client(self) -> Any:
        if self._made is None:
            with self._making:
                if self._made is None:
                    if not get_hub().threadpool.apply(_imported):
                        raise StoreFailed(MISSING)
                    self._made = _connected(self._access, self._note_connection)
        return self._made

    def _let_go(self) -> None:
        """Make another client for the next call. Calls of others may be under way on this one."""
        made, self._made = self._made, None
        for pool in [] if made is None else _pools(made, self._access):
            pool.disconnect(inuse_connections=False)

    def _patiently(self, ask: Callable[[], T], is_patient: bool) -> T:
        until_s = self._clock.monotonic() + self._wait_s
        pauses = Backoff()
        while True:
            try:
                answer = ask()
            except Exception as error:
                fault = self._translated(error)
                if not isinstance(fault, NotYet):
                    self.silence = ""
                    raise fault from error
                self.silence = fault.told
                self._was_full |= isinstance(fault, WritesNothing)
            else:
                self.silence = ""
                self._tell_answer()
                return answer
            if not is_patient:
                raise fault
            if self._clock.monotonic() >= until_s:
                raise self._given_up(fault)
            self._tell_silence(fault)
            self._clock.sleep(pauses.next_s())

    def _tell_silence(self, fault: NotYet) -> None:
        if not self._silent:
            log.warning(
                f"Redis {fault.is_now}; the crawls wait for it",
                url=self.place,
                reason=str(fault),
                wait_s=self._wait_s if self._wait_s < math.inf else "without a bound",
            )
        self._silent = True

    def _tell_answer(self) -> None:
        if self._silent:
            log.info("Redis answers again", url=self.place)
        self._silent = False

    def _given_up(self, fault: NotYet) -> StoreFailed:
        return StoreFailed(
            f"{self.place} {fault.was_so_far} for {self._wait_s:g} s ({fault}); {fault.advice}"
            " Nothing is lost: the crawl can go on later"
        )

    def _translated(self, error: Exception) -> Exception:
        """The error for people, or NotYet."""
        if isinstance(error, StoreFailed):
            return error
        from redis import exceptions

        code = getattr(error, "status_code", None) or str(error).split(" ", 1)[0]
        told = str(error).removeprefix(f"{code} ")
        if isinstance(error, exceptions.OutOfMemoryError):
            return StoreFailed(
                f"{self.place} is full ({told}), and has refused the whole step; raise maxmemory,"
                " or remove what is not needed. Nothing is lost: the crawl can go on later"
            )
        if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
            return StoreFailed(
                f"{self.place} refuses this user ({told}); look at the user and the password"
                " (CRAWLER_FRONTIER_PASSWORD), and allow what docs/crawling-on.md names"
            )
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return StoreFailed(
                f"the certificate of {self.place} is not signed by frontier.ca, or is that of"
                f" another host ({told})"
            )
        if code == "MISCONF":
            return WritesNothing(told)
        if isinstance(
            error,
            exceptions.ConnectionError
            | exceptions.TimeoutError
            | exceptions.RedisClusterException
            | exceptions.ClusterError
            | OSError,
        ):
            self._let_go()  # another server may have taken over
            return NotYet(told or type(error).__name__)
        if isinstance(error, exceptions.ResponseError) and code in _PASSES:
            self._let_go()
            return NotYet(f"{code} {told}")
        if isinstance(error, exceptions.RedisError):
            return StoreFailed(f"{self.place}: {error}; see docs/crawling-on.md")
        return error


def _pools(client: Any, access: Access) -> list[Any]:
    """Where a client has its connections."""
    if access.url.kind != "+cluster":
        return [client.connection_pool]
    made = [node.redis_connection for node in client.get_nodes()]
    return [each.connection_pool for each in made if each is not None]


def pairs(flat: Any) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a hash and their values, as an answer has them."""
    if isinstance(flat, dict):  # the library makes one of some answers
        return iter(flat.items())
    return zip(flat[::2], flat[1::2], strict=True)


def _imported() -> bool:
    """Whether the library is installed."""
    try:
        import redis.cluster
        import redis.sentinel  # noqa: F401
    except ImportError:
        return False
    return True


def _connected(access: Access, on_connection: Callable[[], None]) -> Any:
    """A client. It connects when it is used, but one of a cluster does it here. Each connection is
    told."""
    from redis import Redis, cluster, sentinel
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    url, options = access.url, access.options()
    untyped: Any = cluster
    never = Retry(NoBackoff(), 0)
    if url.kind == "+cluster":  # which does itself what a connection begins with
        options["redis_connect_func"] = lambda connection: on_connection()
        nodes = [untyped.ClusterNode(name, port) for name, port in url.hosts]
        return untyped.RedisCluster(startup_nodes=nodes, retry=never, **options)

    def begin(connection: Any) -> None:
        connection.on_connect()
        on_connection()

    options |= {"retry": never, "db": url.database, "redis_connect_func": begin}
    if url.kind == "+sentinel":
        asked = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout")}
        tls = {name: value for name, value in options.items() if name.startswith("ssl")}
        untyped = sentinel
        sentinels = untyped.Sentinel(
            list(url.hosts), sentinel_kwargs={**asked, **tls, "retry": never}
        )
        return sentinels.master_for(url.service, **options)
    [(name, port)] = url.hosts
    return Redis(host=name, port=port, **options)

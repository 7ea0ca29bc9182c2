"""Looks up the addresses of hosts, once for all that wait. Keeps results and failures for a while.

libcurl would start a native thread for every request to a host that it does not know. Instead, a
limited number of threads asks the system's resolver, and libcurl gets the result.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

import gevent
from gevent import monkey
from gevent.threadpool import ThreadPool

from crawler.clock import Clock
from crawler.engine.download.descriptors import no_thread
from crawler.engine.http.messages import FAULT
from crawler.logs import get_logger
from crawler.supervision import Supervisor, run_aside

log = get_logger(__name__)

LOOKUPS = 32
"""The most look-ups at once; each uses a native thread."""
LOOKUP_S = 10.0
"""The seconds after which a look-up has failed."""
FAILURE_KEPT_S = 5.0
"""The seconds for which a failed look-up is not repeated."""
MAX_NAMES = 20_000
"""The most names that are kept. The name looked up longest ago is forgotten first."""
_NUMERIC = re.compile(r"\[.*\]|[0-9.]+")
_getaddrinfo = monkey.get_original("socket", "getaddrinfo")

Lookup = Callable[[str, int], list[str]]


class Name:
    """The result of looking up a host and port."""

    __slots__ = ("addresses", "at_s", "error", "host", "port", "reason", "told")

    def __init__(self, host: str, port: int, at_s: float) -> None:
        self.host = host
        self.port = port
        self.at_s = at_s
        """The monotonic time of the look-up."""
        self.addresses: list[str] = []
        self.error = ""
        """Why no address was found."""
        self.reason = "dns"
        """The reason of a FetchError that follows from that."""
        self.told = False
        """Whether libcurl knows the addresses."""


class Resolver:
    """Looks up hosts and keeps the results. `lookup` returns a host's addresses; it may block."""

    def __init__(self, supervisor: Supervisor, clock: Clock, lookup: Lookup | None = None) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._lookup = lookup or system_lookup
        self._pool: ThreadPool | None = None
        self._names: OrderedDict[str, Name] = OrderedDict()
        self._waiting: dict[str, list[Callable[[Name], None]]] = {}

    def known(self, origin: str, ttl_s: float) -> Name | None:
        """The result for a site (`urls.origin`), if it is not older than `ttl_s`."""
        name = self._names.get(origin)
        if name is None:
            return None
        kept_s = min(ttl_s, FAILURE_KEPT_S) if name.error else ttl_s
        return name if self._clock.monotonic() < name.at_s + kept_s else None

    def ask(self, origin: str, ready: Callable[[Name], None]) -> None:
        """Look up a site's host, once for all that ask meanwhile. Then call `ready` with the
        result.

        If the host is an address, `ready` is called at once.
        """
        name = _name(origin, self._clock.monotonic())
        if name.error or is_numeric(name.host):
            self._keep(origin, name)
            ready(name)
            return
        if origin in self._waiting:
            self._waiting[origin].append(ready)
            return
        self._waiting[origin] = [ready]
        if self._pool is None:
            self._pool = ThreadPool(LOOKUPS)
        self._supervisor.spawn(f"resolve {origin}", self._resolve, origin, name)

    def close(self) -> None:
        """Release the threads when they are done."""
        pool, self._pool = self._pool, None
        if pool is not None:
            run_aside("end of DNS look-ups", pool.kill)

    def _resolve(self, origin: str, name: Name) -> None:
        try:
            self._look_up(name)
        finally:
            name.at_s = self._clock.monotonic()
            self._keep(origin, name)
            for ready in self._waiting.pop(origin):
                self._tell(ready, name)

    def _tell(self, ready: Callable[[Name], None], name: Name) -> None:
        try:
            ready(name)
        except Exception:  # the others that wait must be told nevertheless
            log.error("the receiver of an address failed", host=name.host, exc_info=True)

    def _look_up(self, name: Name) -> None:
        assert self._pool is not None
        try:
            with gevent.Timeout(LOOKUP_S):
                found = self._pool.apply(_outcome, (self._lookup, name.host, name.port))
        except gevent.Timeout:
            name.error = f"{name.host}: no answer within {LOOKUP_S:g} s"
        except Exception as error:
            self._not_asked(name, error)
        else:
            if isinstance(found, Exception):
                name.error = f"{name.host}: {found}"
            else:
                name.addresses = found

    def _not_asked(self, name: Name, error: Exception) -> None:
        """Note that nobody could be asked. That says nothing about the host."""
        lacking = no_thread(error)
        if lacking is None:
            log.error("fetcher fault", host=name.host, exc_info=error)
        name.reason = lacking.reason if lacking else FAULT
        name.error = f"{name.host}: {error}"

    def _keep(self, origin: str, name: Name) -> None:
        self._names[origin] = name
        self._names.move_to_end(origin)
        while len(self._names) > MAX_NAMES:
            self._names.popitem(last=False)


def is_numeric(host: str) -> bool:
    """Whether a host is already an address."""
    return _NUMERIC.fullmatch(host) is not None


def system_lookup(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver finds, in its order. Blocks; raises OSError."""
    found = _getaddrinfo(host, port, 0, monkey.get_original("socket", "SOCK_STREAM"))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _outcome(lookup: Lookup, host: str, port: int) -> list[str] | OSError | UnicodeError:
    """Run a look-up. Returns its exception, because gevent prints those that its threads raise."""
    try:
        return lookup(host, port)
    except (OSError, UnicodeError) as error:
        return error


def _name(origin: str, at_s: float) -> Name:
    parts = urlsplit(origin)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        name = Name("", 0, at_s)
        name.error = str(error)
        return name
    host = origin.partition("://")[2]
    return Name(host.rpartition(":")[0] if parts.port else host, port, at_s)

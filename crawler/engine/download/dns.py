"""Addresses of hosts: looked up once for all who wait, kept for a while, failures too.

libcurl would start a native thread for every request to a host that it does not know. Here a
bounded number of threads asks the system's resolver, and libcurl is told what it said.
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
from crawler.supervision import Supervisor, run_aside

LOOKUPS = 32
"""Look-ups under way at once: each holds a native thread."""
LOOKUP_S = 10.0
"""A look-up that takes longer has failed."""
FAILURE_KEPT_S = 5.0
"""For so long a name that has no address is not looked up again."""
MAX_NAMES = 20_000
"""The one looked up longest ago is forgotten first."""
_NUMERIC = re.compile(r"\[.*\]|[0-9.]+")
_getaddrinfo = monkey.get_original("socket", "getaddrinfo")

Lookup = Callable[[str, int], list[str]]


class Name:
    """What is known of a host and port."""

    __slots__ = ("addresses", "at_s", "error", "host", "port", "told")

    def __init__(self, host: str, port: int, at_s: float) -> None:
        self.host = host
        self.port = port
        self.at_s = at_s
        """When it was looked up."""
        self.addresses: list[str] = []
        self.error = ""
        """Why it has no address."""
        self.told = False
        """Whether libcurl knows it."""


class Resolver:
    """Keeps what was looked up. `lookup` returns the addresses of a host, and may block."""

    def __init__(self, supervisor: Supervisor, clock: Clock, lookup: Lookup | None = None) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._lookup = lookup or system_lookup
        self._pool: ThreadPool | None = None
        self._names: OrderedDict[str, Name] = OrderedDict()
        self._waiting: dict[str, list[Callable[[Name], None]]] = {}

    def known(self, origin: str, ttl_s: float) -> Name | None:
        """What is known of a site (`urls.origin`) and not older than that."""
        name = self._names.get(origin)
        if name is None:
            return None
        kept_s = min(ttl_s, FAILURE_KEPT_S) if name.error else ttl_s
        return name if self._clock.monotonic() < name.at_s + kept_s else None

    def ask(self, origin: str, ready: Callable[[Name], None]) -> None:
        """Look a site's host up, once for all who ask meanwhile; `ready` gets what was found.

        It gets it at once when the host is an address.
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
        """Let the threads go; one that looks up a name ends when the answer comes or fails."""
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
                ready(name)

    def _look_up(self, name: Name) -> None:
        assert self._pool is not None
        try:
            with gevent.Timeout(LOOKUP_S):
                found = self._pool.apply(_outcome, (self._lookup, name.host, name.port))
        except gevent.Timeout:
            name.error = f"{name.host}: no answer within {LOOKUP_S:g} s"
        else:
            if isinstance(found, Exception):
                name.error = f"{name.host}: {found}"
            else:
                name.addresses = found

    def _keep(self, origin: str, name: Name) -> None:
        self._names[origin] = name
        self._names.move_to_end(origin)
        while len(self._names) > MAX_NAMES:
            self._names.popitem(last=False)


def is_numeric(host: str) -> bool:
    """Whether a host is an address already."""
    return _NUMERIC.fullmatch(host) is not None


def system_lookup(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver knows, in its order. Blocks; raises OSError."""
    found = _getaddrinfo(host, port, 0, monkey.get_original("socket", "SOCK_STREAM"))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _outcome(lookup: Lookup, host: str, port: int) -> list[str] | OSError | UnicodeError:
    """What a look-up came to, an exception included: gevent prints those that its threads raise."""
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

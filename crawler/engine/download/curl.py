"""Fetches over HTTP with libcurl, which gevent's loop drives (curl_loop.py).

curl_handle.py sets the options of a request, and curl_transfer.py collects its answer. This module
does not follow redirects: each is a request of its own, which the frontier and robots.txt see
(scraper.py).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import gevent
import pycurl
from gevent.event import AsyncResult

from crawler.clock import Clock, SystemClock
from crawler.engine.download.address_policy import AddressPolicy, numeric
from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.curl_handle import Handle, Handles, prepare
from crawler.engine.download.curl_loop import CurlLoop
from crawler.engine.download.curl_pauses import Pauses
from crawler.engine.download.curl_transfer import Transfer, fault
from crawler.engine.download.decompress import expanded
from crawler.engine.download.descriptors import MAX_TOTAL, most_connections, no_thread
from crawler.engine.download.dns import Name, Resolver
from crawler.engine.http import urls
from crawler.engine.http.messages import Done, FetchAnswer, FetchCall, FetchError
from crawler.logs import get_logger
from crawler.supervision import Supervisor

log = get_logger(__name__)

MAX_CONNECTIONS = 2048
"""The most connections kept alive for reuse."""
LOOK_S = 0.25
"""The seconds between two checks for requests without progress."""
QUICK_BYTES = 32_768
"""The most bytes that the hub unpacks at once. A larger body goes to a native thread."""
_NO_URL = re.compile(r"[^!-~]")
_OTHER_SCHEME = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class CurlFetcher:
    """Sends requests and keeps connections alive, for all crawls of a worker."""

    def __init__(
        self,
        policy: AddressPolicy | None = None,
        clock: Clock | None = None,
        trusted_proxies: Iterable[str] = (),
        held: BodyMemory | None = None,
    ) -> None:
        """Without a policy, only public addresses are allowed. The policy does not apply to the
        `trusted_proxies`, which the operator named."""
        self._policy = policy or AddressPolicy()
        self._clock = clock or SystemClock()
        self._trusted = frozenset(trusted_proxies)
        self._supervisor = Supervisor("fetch", clock=self._clock)
        self.resolver = Resolver(self._supervisor, self._clock)
        """Looks up the addresses of hosts."""
        self._held = held or BodyMemory()
        self._pauses = Pauses(self._held, self._resume)
        self._curl: CurlLoop | None = None
        self._looker: Any = None
        self._active: dict[Any, Transfer] = {}
        """The transfers in libcurl, by its own handles."""
        self._aside: set[Transfer] = set()
        """The transfers that wait for an address, or whose body a native thread unpacks."""
        self._idle = Handles(self._policy)
        self._most = MAX_TOTAL
        """The most requests in flight: each may need a descriptor."""
        self._queue: deque[tuple[Transfer, Name | None]] = deque()
        """The transfers that wait until others end. They are aside too."""

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return len(self._active) + len(self._aside)

    def start(self) -> None:
        """Attach to the hub's loop. Calling it again changes nothing."""
        if self._curl is not None:
            return
        self._most = most_connections()
        self._curl = CurlLoop(self._end, min(MAX_CONNECTIONS, self._most))
        if self._most < MAX_TOTAL:
            self._curl.allow(self._most)
        self._looker = gevent.get_hub().loop.timer(LOOK_S, LOOK_S, ref=False)
        self._looker.start(self._look)

    def stop(self) -> None:
        """End every request in flight with an error, and close every connection."""
        if self._curl is None:
            return
        curl, self._curl = self._curl, None
        curl.stop()
        self._looker.stop()
        self._looker.close()
        active, aside = list(self._active.values()), list(self._aside)
        self._active.clear()
        self._aside.clear()
        self._pauses.clear()
        self._queue.clear()
        self._supervisor.stop()
        self.resolver.close()
        for transfer in active:
            self._held.give_back(transfer.size)
            curl.remove(transfer.handle.curl)
            transfer.handle.close()
        self._idle.close()
        curl.close()
        for transfer in [*active, *aside]:
            transfer.tell(FetchError("stopped"))

    def submit(self, call: FetchCall, done: Done) -> Transfer:
        """Send a request. `done` is called in the hub, once, with a FetchAnswer or a FetchError.

        `done` must return at once and must not block. Raises FetchError if nothing was sent,
        because the URL or a header is bad, or the fetcher is not running.
        """
        if self._curl is None:
            raise FetchError("stopped", "the fetcher is not running")
        transfer = Transfer(call, done, self._held, self)
        if call.proxy:
            self._check_target(call.url)
            self._send_in_turn(transfer, None)
            return transfer
        name = self.resolver.known(_origin(call.url), call.terms.dns_ttl_s)
        if name is None:
            self._look_up(transfer)
        elif name.error:
            raise FetchError(name.reason, name.error)
        else:
            self._send_in_turn(transfer, name)
        return transfer

    def drop(self, transfer: Transfer) -> None:
        """Cancel a transfer, if it has not ended."""
        self._aside.discard(transfer)
        transfer.forget()
        if self._is_active(transfer):
            self._break_off(transfer)

    def _is_active(self, transfer: Transfer) -> bool:
        return transfer.handle is not None and self._active.get(transfer.handle.curl) is transfer

    def _look_up(self, transfer: Transfer) -> None:
        if _NO_URL.search(transfer.call.url):
            raise FetchError("bad url", "it has characters that a URL cannot have")
        asked_s = self._clock.monotonic()
        origin = _origin(transfer.call.url)
        self._aside.add(transfer)
        self.resolver.ask(origin, lambda found: self._resolved(transfer, found, asked_s))

    def _send_in_turn(self, transfer: Transfer, name: Name | None) -> None:
        """Send a request, or let it wait while as many are in flight as descriptors allow."""
        if len(self._active) < self._most:
            self._send(transfer, name)
        else:
            self._aside.add(transfer)
            self._queue.append((transfer, name))

    def _send_waiting(self) -> None:
        while self._queue and self._curl is not None and len(self._active) < self._most:
            transfer, name = self._queue.popleft()
            if transfer in self._aside:
                self._aside.discard(transfer)
                self._try_to_send(transfer, name)

    def _try_to_send(self, transfer: Transfer, name: Name | None) -> None:
        """Send a request whose caller waits for `done`, which gets the error if that fails."""
        try:
            self._send(transfer, name)
        except FetchError as error:
            transfer.tell(error)

    def _send(self, transfer: Transfer, name: Name | None) -> None:
        assert self._curl is not None  # nothing is sent before the start and after the end
        transfer.handle = handle = self._handle(transfer.call)
        try:
            prepare(transfer, name, self._trusted)
            self._curl.add(handle.curl)
        except (pycurl.error, ValueError, TypeError) as error:
            handle.close()
            reason = "bad url" if isinstance(error, pycurl.error) else "bad request"
            raise FetchError(reason, str(error)) from error
        except Exception as error:
            handle.close()
            raise fault(error, transfer.call) from error
        self._active[handle.curl] = transfer

    def _handle(self, call: FetchCall) -> Handle:
        """A handle for a request. Raises FetchError if none can be made."""
        try:
            return self._idle.take()
        except Exception as error:
            raise fault(error, call) from error

    def _check_target(self, url: str) -> None:
        """Check the target of a proxied request, if it is an address and not a name."""
        if self._policy.allows_all:
            return
        target = numeric(urls.host(url))
        if target and not self._policy.allows(target):
            raise FetchError("forbidden address", target)

    def _resolved(self, transfer: Transfer, name: Name, asked_s: float) -> None:
        if transfer not in self._aside:
            return
        self._aside.discard(transfer)
        took_s = self._clock.monotonic() - asked_s
        transfer.call = replace(transfer.call, timeout_s=transfer.call.timeout_s - took_s)
        if name.error:
            transfer.tell(FetchError(name.reason, name.error, took_s))
            return
        try:
            self._send_in_turn(transfer, name)
        except FetchError as error:
            transfer.tell(error)

    def _look(self) -> None:
        """Cancel the transfers that have made no progress for too long."""
        now_s = self._clock.monotonic()
        for transfer in list(self._active.values()):
            if not self._is_active(transfer):
                continue  # the end of another has ended it
            try:
                reason = transfer.overdue(now_s, transfer in self._pauses)
            except Exception as error:
                self._give_up(transfer, fault(error, transfer.call))
                continue
            if reason:
                detail = "no data arrived in time"
                self._give_up(transfer, FetchError(reason, detail, transfer.seconds()))

    def _give_up(self, transfer: Transfer, error: FetchError) -> None:
        self._break_off(transfer)
        transfer.tell(error)

    def _break_off(self, transfer: Transfer) -> None:
        assert self._curl is not None  # nothing is active after the end
        del self._active[transfer.handle.curl]
        self._pauses.let_go(transfer)
        self._curl.remove(transfer.handle.curl)
        self._idle.give_back(transfer.handle, "")
        if self._queue:  # not at once: whoever cancels may cancel those that wait, too
            gevent.get_hub().loop.run_callback(self._send_waiting)

    def fetch(self, call: FetchCall) -> FetchAnswer:
        """Send a request and wait for its answer in this greenlet. Raises FetchError."""
        result: AsyncResult = AsyncResult()
        transfer = self.submit(call, result.set)
        try:
            answer = result.get()
        finally:
            transfer.cancel()
        if isinstance(answer, FetchError):
            raise answer
        return answer  # type: ignore[no-any-return]

    def _end(self, curl: Any, code: int, message: str) -> None:
        transfer = self._active.pop(curl, None)
        if transfer is None or self._curl is None:
            return
        answer: FetchAnswer | FetchError
        try:
            answer = transfer.answer() if code == pycurl.E_OK else transfer.error(code, message)
        except Exception as error:
            answer = fault(error, transfer.call)
        self._pauses.let_go(transfer)
        self._curl.remove(curl)
        self._idle.give_back(transfer.handle, transfer.handle.method)
        self._send_waiting()
        self._hand_over(transfer, answer)

    def _hand_over(self, transfer: Transfer, answer: FetchAnswer | FetchError) -> None:
        try:
            if transfer.call.jar is not None:
                transfer.call.jar.answered()
            if transfer.layers and isinstance(answer, FetchAnswer):
                self._expand(transfer, answer)
                return
        except Exception as error:
            self._aside.discard(transfer)
            answer = fault(error, transfer.call)
        transfer.tell(answer)

    def _expand(self, transfer: Transfer, answer: FetchAnswer) -> None:
        limit = transfer.call.terms.max_body_bytes
        if len(answer.body) <= QUICK_BYTES:
            transfer.tell(expanded(answer, transfer.layers, limit))
            return
        self._aside.add(transfer)
        self._held.take(len(answer.body))
        self._supervisor.spawn("expand", self._expand_aside, transfer, answer, limit)

    def _expand_aside(self, transfer: Transfer, answer: FetchAnswer, limit: int) -> None:
        pool = gevent.get_hub().threadpool
        found: FetchAnswer | FetchError
        try:
            found = pool.apply(expanded, (answer, transfer.layers, limit))
        except Exception as error:
            found = no_thread(error, answer.seconds) or fault(error, transfer.call)
        finally:
            self._held.give_back(len(answer.body))
        if transfer in self._aside:
            self._aside.discard(transfer)
            transfer.tell(found)

    def now_s(self) -> float:
        """The monotonic time."""
        return self._clock.monotonic()

    def waits(self, transfer: Transfer) -> bool:
        """Whether a transfer must pause because memory is full. All but the oldest must."""
        if next(iter(self._active.values()), transfer) is transfer:
            return False
        self._pauses.begin(transfer)
        return True

    def _resume(self, transfer: Transfer) -> None:
        if not self._is_active(transfer):
            return
        try:
            transfer.go_on()
        except Exception as error:
            self._give_up(transfer, fault(error, transfer.call))


def _origin(url: str) -> str:
    try:
        return urls.origin(url)
    except ValueError as error:
        reason = "forbidden scheme" if _OTHER_SCHEME.match(url) else "bad url"
        raise FetchError(reason, str(error)) from error

"""Fetching over HTTP: one libcurl multi handle driven by gevent's loop.

libcurl says which sockets and which timer it waits for; watchers of the hub call it back when they
are ready. So thousands of requests are in flight without a greenlet each, and nothing blocks. What
one request is to libcurl is in transfer.py. Redirects are not followed here: each hop is a request
of its own, which robots.txt and the frontier see (crawl.py).
"""

from __future__ import annotations

import resource
from typing import Any

import gevent
import pycurl
from gevent.event import AsyncResult

from crawler.engine.address import AddressPolicy
from crawler.engine.exchange import Answer, Call, FetchError
from crawler.engine.memory import ResponseMemory
from crawler.engine.transfer import Done, Transfer, new_handle, prepare
from crawler.logs import get_logger

log = get_logger(__name__)

MAX_CONNECTIONS = 2048
"""So many connections are kept alive for reuse, where the process may have twice as many files."""
MAX_IDLE_HANDLES = 256

_READ, _WRITE = 1, 2
_WATCHED = {
    pycurl.POLL_IN: _READ,
    pycurl.POLL_OUT: _WRITE,
    pycurl.POLL_INOUT: _READ | _WRITE,
}
_SELECTED = {
    _READ: pycurl.CSELECT_IN,
    _WRITE: pycurl.CSELECT_OUT,
    _READ | _WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


def _kept_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files < 0 else min(MAX_CONNECTIONS, files // 2)


class Fetcher:
    """Sends requests and keeps connections alive; one for all crawls of a worker."""

    def __init__(
        self, policy: AddressPolicy | None = None, held: ResponseMemory | None = None
    ) -> None:
        """Without a policy only public addresses are connected to."""
        self._policy = policy or AddressPolicy()
        self._held = held or ResponseMemory()
        self._resumes = False
        self._paused: set[Transfer] = set()
        """Those that receive nothing until there is room."""
        self._multi: Any = None
        self._loop: Any = None
        self._timer: Any = None
        self._watchers: dict[int, Any] = {}
        self._active: dict[Any, Transfer] = {}
        self._idle: list[Any] = []

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return len(self._active)

    def start(self) -> None:
        """Take hold of the hub's loop; repeating it is harmless."""
        if self._multi is not None:
            return
        self._loop = gevent.get_hub().loop
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, _kept_connections())

    def stop(self) -> None:
        """End what is in flight with an error and close every connection."""
        if self._multi is None:
            return
        multi, self._multi = self._multi, None
        transfers = list(self._active.values())
        self._active.clear()
        self._paused.clear()
        for transfer in transfers:
            self._held.give_back(transfer.size)
            multi.remove_handle(transfer.handle)
            transfer.handle.close()
        while self._idle:
            self._idle.pop().close()
        multi.close()  # stops its watchers and its timer through the callbacks
        while self._watchers:
            self._watchers.popitem()[1].close()
        for transfer in transfers:
            self._tell(transfer, FetchError("stopped"))

    def submit(self, call: Call, done: Done) -> Transfer:
        """Send a request; `done` is called in the hub with an Answer or a FetchError, once.

        `done` must return at once and must not block. Raises FetchError when nothing was sent,
        because the URL or a header is none, or the fetcher does not run.
        """
        if self._multi is None:
            raise FetchError("stopped", "the fetcher does not run")
        handle = self._idle.pop() if self._idle else new_handle(self._policy)
        transfer = Transfer(handle, call, done, self._held, self._waits)
        try:
            prepare(handle, call, transfer)
            self._multi.add_handle(handle)
        except (pycurl.error, UnicodeError, TypeError) as error:
            handle.close()
            raise FetchError("bad url", str(error)) from error
        self._active[handle] = transfer
        return transfer

    def cancel(self, transfer: Transfer) -> None:
        """Break a request off; its `done` is not called any more. Harmless when it has ended."""
        if self._active.get(transfer.handle) is transfer:
            del self._active[transfer.handle]
            self._let_go(transfer)
            self._multi.remove_handle(transfer.handle)
            self._recycle(transfer.handle, "")

    def fetch(self, call: Call) -> Answer:
        """Send a request and wait for its answer in this greenlet; raises FetchError."""
        result: AsyncResult = AsyncResult()
        transfer = self.submit(call, result.set)
        try:
            answer = result.get()
        finally:
            self.cancel(transfer)
        if isinstance(answer, FetchError):
            raise answer
        return answer  # type: ignore[no-any-return]

    def _on_socket(self, event: int, fd: int, multi: Any, data: Any) -> None:
        watcher = self._watchers.get(fd)
        if watcher is not None:
            watcher.stop()
        if event == pycurl.POLL_REMOVE:
            return  # the next request on this connection takes the watcher over
        if watcher is None:
            watcher = self._watchers[fd] = self._loop.io(fd, _WATCHED[event])
        else:
            watcher.events = _WATCHED[event]  # anew even if the same: it may be another socket
        watcher.start(self._on_ready, fd, pass_events=True)

    def _on_timer(self, timeout_ms: int) -> None:
        self._drop_timer()
        if timeout_ms >= 0 and self._multi is not None:
            self._timer = self._loop.timer(timeout_ms / 1000)
            self._timer.start(self._on_timeout)

    def _on_ready(self, events: int, fd: int) -> None:
        self._act(fd, _SELECTED.get(events, pycurl.CSELECT_ERR))

    def _on_timeout(self) -> None:
        self._drop_timer()
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, events: int) -> None:
        if self._multi is None:
            return
        try:
            self._multi.socket_action(fd, events)
        except pycurl.error as error:
            log.error("libcurl refuses an event", fd=fd, error=str(error))
        self._reap()

    def _reap(self) -> None:
        left = 1
        while left and self._multi is not None:
            left, whole, broken = self._multi.info_read()
            for handle in whole:
                self._end(handle, pycurl.E_OK, "")
            for handle, code, message in broken:
                self._end(handle, code, message)

    def _end(self, handle: Any, code: int, message: str) -> None:
        transfer = self._active.pop(handle, None)
        if transfer is None or self._multi is None:
            return
        answer = transfer.answer() if code == pycurl.E_OK else transfer.error(code, message)
        self._let_go(transfer)
        method = handle.method
        self._multi.remove_handle(handle)
        self._recycle(handle, method)
        self._tell(transfer, answer)

    def _waits(self, transfer: Transfer) -> bool:
        """Whether a transfer is to receive no more for now, as there is no room: all but the oldest
        are."""
        if next(iter(self._active.values()), transfer) is transfer:
            return False
        self._paused.add(transfer)
        self._held.when_free(self._resume_soon)
        return True

    def _let_go(self, transfer: Transfer) -> None:
        """A transfer has ended: another is the oldest, if it was that."""
        self._paused.discard(transfer)
        self._held.give_back(transfer.size)
        if self._paused:
            self._resume_soon()

    def _resume_soon(self) -> None:
        """Not at once: libcurl may be in the middle of something."""
        if not self._resumes:
            self._resumes = True
            self._loop.run_callback(self._resume)

    def _resume(self) -> None:
        self._resumes = False
        paused, self._paused = self._paused, set()
        for transfer in paused:
            transfer.go_on()

    def _tell(self, transfer: Transfer, answer: Answer | FetchError) -> None:
        try:
            transfer.done(answer)
        except Exception:
            log.error("the receiver of an answer failed", exc_info=True)

    def _recycle(self, handle: Any, method: str) -> None:
        """Keep the handle of a GET that has ended; others carry options that would stick."""
        if method == "GET" and len(self._idle) < MAX_IDLE_HANDLES:
            self._idle.append(handle)
        else:
            handle.close()

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

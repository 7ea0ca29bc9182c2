"""Drives libcurl by gevent's loop.

libcurl names the sockets and the timer that it waits for. Watchers of the hub call libcurl when
these are ready. So thousands of requests are in flight without a greenlet each, and nothing blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pycurl

from crawler.logs import get_logger

log = get_logger(__name__)

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


class CurlLoop:
    """A multi handle of libcurl in the loop of this thread's hub."""

    def __init__(self, ended: Callable[[Any, int, str], None], most_idle: int) -> None:
        """libcurl calls `ended` for each handle with its code, which is E_OK without a failure, and
        its message. It keeps up to `most_idle` connections for later requests."""
        self._ended = ended
        self._loop = gevent.get_hub().loop
        self._timer: Any = None
        self._is_due = False
        """Whether the timer runs out in the next turn of the hub."""
        self._watchers: dict[int, Any] = {}
        self._is_stopped = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, most_idle)

    @property
    def is_watching(self) -> bool:
        """Whether the hub watches anything for libcurl."""
        return bool(self._watchers) or self._timer is not None

    def allow(self, connections: int) -> None:
        """Allow so many connections in all. libcurl then closes idle ones for new ones."""
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, connections)

    def add(self, handle: Any) -> None:
        """Begin a request. Raises pycurl.error."""
        self._multi.add_handle(handle)

    def remove(self, handle: Any) -> None:
        """End a request, or cancel it."""
        self._multi.remove_handle(handle)

    def stop(self) -> None:
        """Call nobody any more."""
        self._is_stopped = True

    def close(self) -> None:
        """Close every connection. No handle may be left."""
        self.stop()
        self._multi.close()  # stops its watchers and its timer through the callbacks
        while self._watchers:
            self._watchers.popitem()[1].close()

    def _on_socket(self, event: int, fd: int, multi: Any, data: Any) -> None:
        try:
            self._watch(event, fd)
        except Exception:  # pycurl would only print it; its deadlines end the transfer
            log.error("fetcher fault", fd=fd, exc_info=True)

    def _watch(self, event: int, fd: int) -> None:
        watcher = self._watchers.get(fd)
        if watcher is not None:
            watcher.stop()
        if event == pycurl.POLL_REMOVE:
            return  # the next request on this connection uses the watcher again
        if watcher is None:
            watcher = self._watchers[fd] = self._loop.io(fd, _WATCHED[event])
        else:
            watcher.events = _WATCHED[event]  # set it even if it is equal: it may be another socket
        watcher.start(self._on_ready, fd, pass_events=True)

    def _on_timer(self, timeout_ms: int) -> None:
        if self._is_due and timeout_ms == 0:  # as for each of several requests that begin
            return
        self._drop_timer()
        if timeout_ms >= 0 and not self._is_stopped:
            self._is_due = timeout_ms == 0
            self._timer = self._loop.timer(timeout_ms / 1000)
            self._timer.start(self._on_timeout)

    def _on_ready(self, events: int, fd: int) -> None:
        self._act(fd, _SELECTED.get(events, pycurl.CSELECT_ERR))

    def _on_timeout(self) -> None:
        self._drop_timer()
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, events: int) -> None:
        if self._is_stopped:
            return
        try:
            self._multi.socket_action(fd, events)
        except pycurl.error as error:
            log.error("libcurl refuses an event", fd=fd, error=str(error))
        self._reap()

    def _reap(self) -> None:
        left = 1
        while left and not self._is_stopped:
            left, whole, broken = self._multi.info_read()
            for handle in whole:
                self._ended(handle, pycurl.E_OK, "")
            for handle, code, message in broken:
                self._ended(handle, code, message)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer, self._is_due = None, False

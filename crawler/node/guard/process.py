"""The process of a guard: it waits for messages, the end of the node, and the deadline.

It has one thread and no hub, so nothing that a spider or the node does can hold it up. It ends with
its node: the node's pidfd tells it. Only the standard library is imported, and nothing of the
engine: it is a small process.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from crawler.node.guard import killing, messages
from crawler.node.guard.duty import Crawling, Duty
from crawler.node.guard.page import Page, now
from crawler.node.guard.revoking import Etcd

MOST_S = 10
"""The process ends so many seconds after its node at the latest, whatever hangs."""

_PR_SET_DUMPABLE = 4
_MOST_FILES = 65_536


def main() -> None:
    """Guard the node at the other end of the socket that is standard input."""
    _stand_alone()
    with socket.socket(fileno=0) as node:
        node.setblocking(True)  # it comes as gevent had it
        first = messages.receive(node)
        if first is None:  # the node died before it could say who it is
            return
        body, (pidfd, page_fd) = first
        Guarding(node, pidfd, Page(page_fd, writes=False), body).run()


def _stand_alone() -> None:
    """Keep only what was given; do not end with the node's terminal, and leave no image of memory
    that holds a password."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(3, most if most != resource.RLIM_INFINITY else _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.chdir("/")


class Guarding:
    """Guards one node until it ends, or says that it stops in order."""

    def __init__(self, node: socket.socket, pidfd: int, page: Page, begin: dict[str, Any]) -> None:
        """`begin` is the body of the first message."""
        self._node = node
        self._pidfd = pidfd
        self._duty = Duty(now, lambda: page.deadline_s, killing.kill)
        self._style = begin["style"]
        self._etcd = _etcd(begin["etcd"])
        self._gone = False
        """Whether the node has said that it stops in order."""
        self._is_silent = False
        """Whether the node can say nothing more. It may live on; if it dies, its socket is closed
        some time before its pidfd tells."""
        self._events = select.poll()
        self._events.register(pidfd, select.POLLIN)
        self._events.register(node, select.POLLIN)
        node.setblocking(False)

    def run(self) -> None:
        """Return when there is nobody to guard any more."""
        while not self._gone:
            sleep_s = self._duty.sleep_s()
            ready = {fd for fd, _ in self._events.poll(None if sleep_s is None else sleep_s * 1000)}
            self._close(self._duty.look(), "the lease is over by this node's clock")
            has_died = self._pidfd in ready
            if has_died or self._node.fileno() in ready:
                self._read()  # also what a dead node said last
            if has_died:
                self._finish()
                return

    def _read(self) -> None:
        """Follow all messages that have arrived."""
        if self._is_silent:
            return
        with suppress(BlockingIOError, ConnectionResetError):
            while (message := messages.receive(self._node)) is not None:
                self._follow(*message)
            self._events.unregister(self._node)
            self._is_silent = True

    def _follow(self, body: dict[str, Any], fds: list[int]) -> None:
        match body["kind"]:
            case messages.HOLD:
                self._duty.hold(body["lease"], body["ttl_s"])
            case messages.RELEASE:
                self._duty.release()
            case messages.WATCH:
                for (number, group), pidfd in zip(body["those"], fds):
                    self._duty.watch(number, Crawling(pidfd, group))
            case messages.FORGET:
                crawling = self._duty.forget(body["number"])
                if crawling is not None:
                    os.close(crawling.pidfd)
            case messages.GO:
                self._gone = True

    def _finish(self) -> None:
        """Do what is left to do for a node that has died."""
        if self._gone:
            return
        told = self._duty.last(killing.wait, self._revoke)
        self._log(f"the process of this node has ended; its guard {told}")

    def _revoke(self, lease: int) -> str:
        signal.alarm(MOST_S)  # only a look-up of a name has no limit of its own
        return self._etcd if isinstance(self._etcd, str) else self._etcd.revoke(lease)

    def _close(self, killed: Collection[Crawling], reason: str) -> None:
        for crawling in killed:
            os.close(crawling.pidfd)
        if killed:
            self._log(f"{reason}; its guard killed {len(killed)} crawl processes")

    def _log(self, message: str) -> None:
        """Write a line like those of the node. It never waits: whoever reads may stand still."""
        ready = select.poll()
        ready.register(2, select.POLLOUT)
        with suppress(OSError):
            if ready.poll(0):
                os.write(2, _line(self._style, message).encode())


def _etcd(settings: dict[str, Any]) -> Etcd | str:
    """Return how to reach etcd, or why it cannot be reached: the rest of the duty stays."""
    try:
        return Etcd(**settings)
    except (OSError, ValueError) as error:
        return str(error)


def _line(style: str, message: str) -> str:
    """Return a line as crawler.logs writes it, which this process does not import."""
    seconds = time.time()
    local = time.localtime(seconds)
    clock = time.strftime("%H:%M:%S", local) + f".{int(seconds % 1 * 1000):03}"
    if style == "text" or (style == "auto" and os.isatty(2)):
        return f"{clock} WARNING {message}\n"
    zone = time.strftime("%z", local)
    fields = {
        "level": "WARNING",
        "ts": f"{time.strftime('%Y-%m-%d', local)}T{clock}{zone[:3]}:{zone[3:]}",
        "logger": __name__,
        "caller": f"process.py:{sys._getframe(1).f_lineno}",
        "msg": message,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"

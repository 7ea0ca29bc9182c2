"""The node's side of its guard: what the node tells it, and that it is always there."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from crawler.clock import Backoff, Clock
from crawler.logs import get_logger
from crawler.node.guard import messages
from crawler.node.guard.page import NO_LEASE, Page
from crawler.node.guard.spawned import Spawned
from crawler.settings.sections import Settings
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

STEADY_S = 60.0
"""A guard that lived for so long was no failure: the next one follows at once."""

STOP_S = 1.0
"""How long a guard that was told to go may take, in seconds."""


class Guard(Protocol):
    """What a node has of its guard.

    The guard keeps two promises, whatever the node does meanwhile (hangs, computes, is paused):

    - When the deadline is over for a moment (`duty.grace_s`: 0.2 s with a TTL of 5 s, 0.1 s with
      2 s), it kills all crawl processes. Whatever the node stops in order must end before that.
    - When the node's process dies, it kills the crawl processes, and then revokes the lease.

    No method waits. What the guard does not take is told to the next one, so only `watch` raises.
    All are for the hub, except `deadline`.
    """

    def hold(self, lease: int, ttl_s: float) -> None:
        """The node has this lease now, and no other. A guard revokes it if the node dies."""
        ...

    def release(self) -> None:
        """The node has no lease any more, and no crawl that needs one: the deadline is void."""
        ...

    def deadline(self, seconds: float) -> None:
        """Store when the lease is over, on `Clock.monotonic`. Any native thread may call it."""
        ...

    def watch(self, number: int, pidfd: int, group: int) -> None:
        """Have a crawl process killed when it must not go on. Call it before the process gets its
        first task.

        `number` names it from now on. The caller keeps its `pidfd`, and may close it. `group` is
        the process group that the process leads, and all of which is killed; 0 if it leads none.
        Raises OSError without a free descriptor: then the process must not begin.
        """
        ...

    def forget(self, number: int) -> None:
        """That crawl process has ended, and its group. An unknown number changes nothing."""
        ...


class NoGuard:
    """A guard that is not there."""

    def hold(self, lease: int, ttl_s: float) -> None:
        """Change nothing."""

    def release(self) -> None:
        """Change nothing."""

    def deadline(self, seconds: float) -> None:
        """Change nothing."""

    def watch(self, number: int, pidfd: int, group: int) -> None:
        """Change nothing."""

    def forget(self, number: int) -> None:
        """Change nothing."""

    def start(self, supervisor: Supervisor) -> None:
        """Start nothing."""

    def stop(self) -> None:
        """Stop nothing."""


class _Held(NamedTuple):
    """A crawl process that the guard shall kill."""

    pidfd: int
    group: int


class GuardProcess:
    """A guard in a process of its own. If it ends, another one takes its place, and is told all
    that the first one knew."""

    def __init__(self, begin: dict[str, Any], clock: Clock) -> None:
        """`begin` is the body of the first message."""
        self._begin = begin
        self._clock = clock
        self._own_pidfd = -1
        self._page: Page | None = None
        self._lease: dict[str, Any] = {}
        self._held: dict[int, _Held] = {}
        self._process: Spawned | None = None

    @property
    def pid(self) -> int | None:
        """The number of its process; None while there is none. It is never 0: a signal to process 0
        goes to the whole group of whoever sends it."""
        return None if self._process is None else self._process.pid

    def start(self, supervisor: Supervisor) -> None:
        """Start the process, and another one whenever it has ended. Where there can be none, say so
        once."""
        try:
            self._page = Page.make()
            self._own_pidfd = os.pidfd_open(os.getpid())
        except OSError as error:  # a kernel before 5.3, or a sandbox
            return _tell_absence(str(error))
        self._spawn()
        supervisor.spawn("guard", self._keep, on_end=OnEnd.RESTART)

    def stop(self) -> None:
        """Have it end without any change. The node is no longer a member, and its crawl processes
        have ended. May be called again."""
        process, self._process = self._process, None
        if process is not None:
            process.send(messages.GO)
            process.end(STOP_S)
        for held in self._held.values():
            os.close(held.pidfd)
        self._held.clear()
        page, self._page = self._page, None
        if page is not None:
            page.close()
        if self._own_pidfd >= 0:
            os.close(self._own_pidfd)
            self._own_pidfd = -1

    def hold(self, lease: int, ttl_s: float) -> None:
        """See `Guard`."""
        self._lease = {"lease": lease, "ttl_s": ttl_s}
        self._tell(messages.HOLD, **self._lease)

    def release(self) -> None:
        """See `Guard`."""
        self._lease = {}
        self.deadline(NO_LEASE)
        self._tell(messages.RELEASE)

    def deadline(self, seconds: float) -> None:
        """See `Guard`."""
        page = self._page
        if page is not None:
            with suppress(ValueError):  # a native thread may be later than `stop`
                page.deadline_s = seconds

    def watch(self, number: int, pidfd: int, group: int) -> None:
        """See `Guard`."""
        self.forget(number)
        self._held[number] = _Held(os.dup(pidfd), group)
        self._tell_of([number])

    def forget(self, number: int) -> None:
        """See `Guard`."""
        held = self._held.pop(number, None)
        if held is not None:
            os.close(held.pidfd)
            self._tell(messages.FORGET, number=number)

    def _keep(self) -> None:
        """Replace a process that has ended. Only a kill, or a defect, ends it before its node."""
        backoff = Backoff(most_s=5.0)
        while True:
            started_s = self._clock.monotonic()
            process = self._process
            if process is not None:
                told = process.wait()
                if self._process is not process:
                    return  # it was told to go
                self._process = None
                log.error(
                    "the guard of this node has ended; starting another one",
                    guard=process.pid,
                    how=told,
                )
            if self._clock.monotonic() - started_s > STEADY_S:
                backoff.reset()
            self._clock.sleep(backoff.next_s())
            self._spawn()

    def _spawn(self) -> None:
        """Start a process, and tell it all there is to know."""
        try:
            self._process = Spawned.start()
        except OSError as error:
            log.error("cannot start the guard of this node; trying again", error=str(error))
            return
        page = self._page
        assert page is not None  # only `start`, and what it spawned, come here
        self._tell(messages.BEGIN, (self._own_pidfd, page.fd), **self._begin)
        if self._lease:
            self._tell(messages.HOLD, **self._lease)
        numbers = list(self._held)
        for first in range(0, len(numbers), messages.MOST_FDS):  # one by one they fill the socket
            self._tell_of(numbers[first : first + messages.MOST_FDS])
        log.debug("the guard of this node runs", guard=self.pid)

    def _tell_of(self, numbers: Sequence[int]) -> None:
        those = [(number, self._held[number].group) for number in numbers]
        self._tell(messages.WATCH, [self._held[number].pidfd for number in numbers], those=those)

    def _tell(self, kind: str, fds: Sequence[int] = (), **body: Any) -> None:
        if self._process is not None:
            self._process.send(kind, fds, **body)


def guard_of(settings: Settings, clock: Clock) -> GuardProcess | NoGuard:
    """Return the guard of a node with these settings. It says in the log if there can be none."""
    if not settings.node.guard:
        return NoGuard()
    if sys.platform != "linux" or not hasattr(os, "pidfd_open") or not sys.executable:
        _tell_absence("only Linux can tell one process of the end of another")
        return NoGuard()
    return GuardProcess(_first_message(settings), clock)


def _tell_absence(reason: str) -> None:
    log.warning(
        "this node has no guard: if its process dies, its lease ends after its TTL; "
        "node.guard: false says that this is meant",
        reason=reason,
    )


def _first_message(settings: Settings) -> dict[str, Any]:
    etcd = settings.etcd
    files = {
        name: str(Path(settings.folder, file).absolute()) if file else ""
        for name, file in (("ca", etcd.ca), ("cert", etcd.cert), ("key", etcd.key))
    }
    reached = {"endpoints": list(etcd.endpoints), "user": etcd.user, "password": etcd.password}
    return {"etcd": {**reached, **files}, "style": settings.logs.style}

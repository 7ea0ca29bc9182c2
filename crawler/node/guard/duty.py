"""What a guard has to do, and when: decisions without a system call.

Only the standard library is imported: the guard is a small process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

GRACE_S = 0.2
"""How long at most a node may itself take to end its crawl processes after the deadline, in
seconds: all are gone a quarter of a second after it."""

LOOK_S = 0.1
"""The longest time between two looks at the page while there is somebody to kill, in seconds. The
deadline only rises, so a guard may sleep until it; but a sleep does not count the time in which the
machine is suspended, and the lease does."""

GONE_S = 0.5
"""How long after the kill the guard waits until the killed are gone, in seconds. What was killed
computes nothing more; what takes time is to free its memory."""


def grace_s(ttl_s: float) -> float:
    """Return how many seconds after the deadline a guard kills.

    A fifth of the TTL lies between the deadline and the end of the lease. Half of it is for a clock
    that runs a tenth too slow. Half of the rest is the node's, and half the guard's.
    """
    return min(GRACE_S, ttl_s / 20)


class Crawling(NamedTuple):
    """A crawl process."""

    pidfd: int
    group: int
    """The process group that it leads; 0 if it leads none."""


class Duty:
    """The crawl processes of a node, its lease, and what follows from them."""

    def __init__(
        self,
        now: Callable[[], float],
        deadline: Callable[[], float],
        kill: Callable[[Crawling], None],
    ) -> None:
        """`now` and `deadline` are seconds on one clock; a deadline of 0 means that there is no
        lease."""
        self._now = now
        self._deadline = deadline
        self._kill = kill
        self._crawling: dict[int, Crawling] = {}
        self.lease = 0
        """The lease to revoke if the node dies; 0 if there is none."""
        self._grace_s = 0.0

    def hold(self, lease: int, ttl_s: float) -> None:
        """The node has that lease."""
        self.lease = lease
        self._grace_s = grace_s(ttl_s)

    def release(self) -> None:
        """The node has no lease any more."""
        self.lease = 0

    def watch(self, number: int, crawling: Crawling) -> None:
        """The node has that crawl process."""
        self._crawling[number] = crawling

    def forget(self, number: int) -> Crawling | None:
        """Return the crawl process of that number, which has ended; None if there is none."""
        return self._crawling.pop(number, None)

    def sleep_s(self) -> float | None:
        """Return how long there is nothing to do, in seconds; None if only a message or a death can
        change that."""
        if not self._crawling:
            return None
        left_s = self._deadline() + self._grace_s - self._now() if self._deadline() else LOOK_S
        return min(max(0.0, left_s), LOOK_S)

    def look(self) -> Collection[Crawling]:
        """Kill all if the deadline was over for a moment. Return who was killed."""
        deadline_s = self._deadline()
        if deadline_s and self._now() >= deadline_s + self._grace_s:
            return self.kill_all()
        return ()

    def kill_all(self) -> Collection[Crawling]:
        """Kill every crawl process. Return who was killed."""
        killed = list(self._crawling.values())
        self._crawling.clear()
        for crawling in killed:
            self._kill(crawling)
        return killed

    def last(
        self,
        wait: Callable[[Collection[Crawling], float], None],
        revoke: Callable[[int], str],
    ) -> str:
        """The node has died: kill its crawl processes, `wait` until they are gone or the time is
        over, and only then `revoke` the lease, so that other nodes may run its tasks.

        Return what was done, in words.
        """
        killed = self.kill_all()
        wait(killed, GONE_S)
        told = f"killed {len(killed)} crawl processes, and " if killed else ""
        if not self.lease:
            return f"{told}had no lease to revoke"
        error = revoke(self.lease)
        return f"{told}did not revoke its lease: {error}" if error else f"{told}revoked its lease"

"""Tells whether the kernel has killed a process for lack of memory.

Such a death looks like one that a person brings about: SIGKILL. But the kernel counts its own
kills: in the cgroup of this worker, where its processes are too, or else for the whole machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

LOOKS = 10
"""A kill counts for so many looks: a process with much memory takes a while to end."""
_COUNTER = "oom_kill "


class MemoryKills:
    """Looks at the kernel's counter, again and again."""

    def __init__(self, counted: Callable[[], int | None] | None = None) -> None:
        """`counted` returns how often the kernel has killed; None if it does not tell."""
        self._counted = counted or kernel_kills
        self._seen: deque[int] = deque(maxlen=LOOKS)
        self._explained = 0
        """So many of the kills are those of deaths that were judged, or are too old."""
        self.look()

    def look(self) -> None:
        """Note how often it has killed until now."""
        count = self._counted()
        if count is not None:
            self._seen.append(count)

    def explains_death(self) -> bool:
        """Whether the kernel has killed lately, once more than deaths were explained by that."""
        count = self._counted()
        if count is None or not self._seen:
            return False
        self._explained = max(self._explained, self._seen[0])
        if count <= self._explained:
            return False
        self._explained += 1
        return True


def kernel_kills(root: Path = Path("/")) -> int | None:
    """How often the kernel has killed for memory: in the cgroup of this process and those below it
    if that is told, or else on this machine. None if nobody tells."""
    for path in _counters(root):
        try:
            lines = path.read_text(encoding="ascii").splitlines()
            return next(int(line[len(_COUNTER) :]) for line in lines if line.startswith(_COUNTER))
        except (OSError, ValueError, StopIteration):
            continue
    return None


def _counters(root: Path) -> Iterator[Path]:
    """Where the counter may be, the closest first. In a container, the path of a cgroup may be that
    of its host, and its own cgroup is the topmost."""
    mounted = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            for folder in (path.lstrip("/"), ""):
                yield mounted / "memory" / folder / "memory.oom_control"
        elif not controllers:
            for folder in (path.lstrip("/"), ""):
                yield mounted / folder / "memory.events"
    yield root / "proc/vmstat"

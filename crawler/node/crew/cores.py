"""How many cores this process may use: those of its affinity, or fewer by a quota of its cgroups.

A container with a quota sees all cores of its host. Only its cgroup says that it gets less.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def cores(root: Path = Path("/")) -> int:
    """Return how many there are, at least one. `root` has `proc` and `sys` in it."""
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([len(os.sched_getaffinity(0)), *quotas]))


def _quotas(root: Path) -> Iterator[float]:
    """The cores that each cgroup of this process allows, if it has a quota. A parent's quota is for
    all below it."""
    for folder in _folders(root):
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = _quota_of(folder)
            if quota > 0:  # version 1 says -1 where there is no quota
                yield quota / period


def _folders(root: Path) -> Iterator[Path]:
    """The folders of the cgroups of this process, each with its parents. In a container without a
    namespace of cgroups only the uppermost are there, and have the quota of the container."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        inner = path.strip("/")
        if hierarchy == "0":  # version 2, alone or beside version 1
            yield from _up(mounts, inner)
            yield from _up(mounts / "unified", inner)
        elif "cpu" in controllers.split(","):
            yield from _up(mounts / "cpu", inner)


def _up(mount: Path, inner: str) -> Iterator[Path]:
    folder = mount / inner
    yield folder
    while folder != mount:
        folder = folder.parent
        yield folder


def _quota_of(folder: Path) -> tuple[int, int]:
    """The time that a cgroup may use in each period. Raises OSError or ValueError if it says
    nothing of that, or that there is no end to it."""
    if (folder / "cpu.max").exists():
        quota, period = (folder / "cpu.max").read_text().split()  # or max, which is no number
        return int(quota), int(period)
    one, other = (folder / f"cpu.cfs_{name}_us" for name in ("quota", "period"))
    return int(one.read_text()), int(other.read_text())

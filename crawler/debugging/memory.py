"""Tells what fills the memory of a process: its objects by type. It shows no values."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

from crawler.debugging.tracked import tracked

MOST_TYPES = 200
"""Of how many types is told, those with the most bytes."""


def told_memory() -> dict[str, Any]:
    """Return the objects by type, the memory of the process, and what the collector does.

    The collector knows no texts, bytes and numbers, and tells nothing of objects that were frozen
    before a fork: what they take is in the memory of the process alone. A list or a mapping counts
    without what is in it.
    """
    found: dict[type, list[int]] = {}
    for each in tracked():
        known = found.setdefault(type(each), [0, 0])
        known[0] += 1
        known[1] += _size(each)
    largest = sorted(found.items(), key=lambda pair: -pair[1][1])
    types = [
        {"type": _name(kind), "count": count, "bytes": size}
        for kind, (count, size) in largest[:MOST_TYPES]
    ]
    return {
        "rss_bytes": resident_bytes(),
        "objects": sum(count for count, _ in found.values()),
        "object_bytes": sum(size for _, size in found.values()),
        "gc": {
            "counts": list(gc.get_count()),
            "thresholds": list(gc.get_threshold()),
            "frozen": gc.get_freeze_count(),
        },
        "types": types,
    }


def resident_bytes() -> int:
    """Return the bytes of memory that this process has; 0 if the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _size(each: object) -> int:
    """Return the bytes of an object; 0 if it cannot tell them."""
    try:
        return sys.getsizeof(each, 0)
    except Exception:  # code of spiders may say how large its objects are
        return 0


def _name(kind: type) -> str:
    module = type.__getattribute__(kind, "__module__")
    name = type.__getattribute__(kind, "__qualname__")
    # A class may have something else of that name, whose text has an address or a value.
    is_named = isinstance(module, str) and module != "builtins"
    return f"{module}.{name}" if is_named else str(name)

"""Remembers which requests were sent, so that a later run can say what was fetched again.

It is a ring of fingerprints in a file that is mapped into memory. A note takes half a microsecond
and survives the end of the process, however it ends. After a loss of power it may be old, so only a
count depends on it.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path

MOST = 16_384
_NUMBER = struct.Struct("<Q")
_HEAD = struct.Struct("<Qd")
_BYTES = _HEAD.size + _NUMBER.size * MOST


class Asked:
    """The ring in one file."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises OSError."""
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(number, 0, _BYTES)  # without room, a note would end the process
            self._map = mmap.mmap(number, _BYTES)
        finally:
            os.close(number)
        self.count, self.last_s = _HEAD.unpack_from(self._map)
        """How many requests were sent, and the wall time of the last one; 0 without any."""

    def note(self, mark: int, now_s: float) -> None:
        """Note that a request is sent. `now_s` is wall time."""
        _NUMBER.pack_into(self._map, _place(self.count), mark)
        self.count, self.last_s = self.count + 1, now_s
        _HEAD.pack_into(self._map, 0, self.count, now_s)

    def since(self, count: int) -> Sequence[int]:
        """The requests that were sent after so many, as far as they are remembered."""
        first = max(count, self.count - MOST, 0)
        places = map(_place, range(first, self.count))
        return [_NUMBER.unpack_from(self._map, place)[0] for place in places]

    def close(self) -> None:
        """Close the file."""
        self._map.close()


def _place(number: int) -> int:
    return _HEAD.size + _NUMBER.size * (number % MOST)

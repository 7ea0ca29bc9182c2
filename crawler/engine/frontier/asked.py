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
_BYTES = _NUMBER.size * (1 + MOST)


class Asked:
    """The ring in one file."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises OSError."""
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            os.ftruncate(number, _BYTES)
            self._map = mmap.mmap(number, _BYTES)
        finally:
            os.close(number)
        [self.count] = _NUMBER.unpack_from(self._map)
        """How many requests were sent."""

    def note(self, mark: int) -> None:
        """Note that a request is sent."""
        _NUMBER.pack_into(self._map, _NUMBER.size * (1 + self.count % MOST), mark)
        self.count += 1
        _NUMBER.pack_into(self._map, 0, self.count)

    def since(self, count: int) -> Sequence[int]:
        """The requests that were sent after so many, as far as they are remembered."""
        first = max(count, self.count - MOST, 0)
        places = (_NUMBER.size * (1 + each % MOST) for each in range(first, self.count))
        return [_NUMBER.unpack_from(self._map, place)[0] for place in places]

    def close(self) -> None:
        """Close the file."""
        self._map.close()

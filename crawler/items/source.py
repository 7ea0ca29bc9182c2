"""One file of items as its reader sees it: so far as it counts, unpacked, line by line."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crawler.items.chains import Limit
from crawler.items.failures import ItemsDamaged
from crawler.items.far import AnyPath, length_of, opened
from crawler.items.formats import GZ
from crawler.items.names import PART

_BLOCK_BYTES = 65_536
_GZIP = 31
"""What zlib calls its largest window, with the head of gzip."""


@dataclass
class Source:
    """A file of items, or a folder of Parquet."""

    path: AnyPath
    format: str
    limit: Limit | None = None
    """How much of it counts; None means all."""
    has_ended: bool = False
    """Whether nobody writes to it any more. Otherwise its end may be a part of a record, which does
    not count."""
    later: tuple[AnyPath, ...] = ()
    """The databases of later runs of the same crawl. Their rows replace those of this one."""

    begin: int = 0
    """The byte with which to begin; only of a text that is not packed."""

    @property
    def is_part(self) -> bool:
        """Whether its crawl goes on, or did not end at this place."""
        return self.path.name.endswith(PART)

    @property
    def must_be_whole(self) -> bool:
        """Whether it is damaged if it ends within a record, or without its tail."""
        return self.has_ended and self.limit is None

    def now(self) -> AnyPath:
        """Where it is now: when its crawl ends, it loses its `.part`."""
        if self.is_part and not self.path.exists():
            return self.path.with_name(self.path.name.removesuffix(PART))
        return self.path

    def opened(self) -> io.RawIOBase:
        """The file, opened to be read. The caller closes it."""
        return opened(self.now(), self.begin)


class Lines:
    """The lines of a text, with their ends. `number` is that of the last one."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.number = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines as far as they count. Raises ItemsDamaged."""
        with self.source.opened() as file:
            size = length_of(file, self.source.path)  # it may grow meanwhile
            limit = self.source.limit
            counts = min(size, limit) if isinstance(limit, int) else size
            bounded = _Bounded(file, max(0, counts - self.source.begin))
            packed = self.source.format.endswith(GZ)
            raw: _Raw = _Unpacked(bounded) if packed else bounded
            try:
                for line in io.BufferedReader(raw, _BLOCK_BYTES):
                    self.number += 1
                    yield line
            except zlib.error as error:
                self.number += 1
                raise self.damaged(f"what is packed is damaged ({error})") from None
            if raw.is_cut and self.source.must_be_whole:
                self.number += 1
                raise self.damaged("what is packed has no end")

    def damaged(self, why: str, line: int = 0) -> ItemsDamaged:
        """The error about the last line, or another one."""
        return ItemsDamaged(self.source.path, why, line or self.number)


class _Raw(io.RawIOBase):
    """What a buffer reads from."""

    is_cut = False
    """Whether it has ended where it must not."""

    def readable(self) -> bool:
        return True


class _Bounded(_Raw):
    """The first bytes of a file."""

    def __init__(self, file: io.RawIOBase, size: int) -> None:
        self._file, self._left = file, size

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(memoryview(buffer)[: self._left]) or 0
        self._left -= count
        return count


class _Unpacked(_Raw):
    """What is in the members of a file in gzip (RFC 1952, section 2.2)."""

    def __init__(self, packed: _Bounded) -> None:
        self._packed = packed
        self._rest = b""
        self._member = zlib.decompressobj(_GZIP)

    def readinto(self, buffer: Any) -> int:
        while self._rest or self._fetched():
            data = self._member.decompress(self._rest, len(buffer))
            self.is_cut = not self._member.eof  # within a member
            if self._member.eof:
                self._rest, self._member = self._member.unused_data, zlib.decompressobj(_GZIP)
            else:
                self._rest = self._member.unconsumed_tail
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0

    def _fetched(self) -> bool:
        self._rest = self._packed.read(_BLOCK_BYTES) or b""
        return bool(self._rest)

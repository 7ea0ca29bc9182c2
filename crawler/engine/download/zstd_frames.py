"""Finds where the frames of zstd end, without unpacking them (RFC 8878, 3.1)."""

from __future__ import annotations

import zstandard

MOST_BLOCKS = 100_000
"""More blocks than an honest body has: a full one holds 128 KiB. Each costs a step, even if it is
empty."""
_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPED = frozenset(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))
"""The beginnings of frames that hold no content."""
_MOST_HEADER_BYTES = 18
_HAS_CHECKSUM = 0b100
_RLE = 1
"""The type of a block that is one byte, many times."""


def end_of_frames(body: bytes) -> tuple[int, bool]:
    """Where the last frame ends, and whether it is whole. Nothing behind it is a frame.

    A body without any frame is returned as one that is cut. Raises ValueError for more than
    `MOST_BLOCKS` blocks.
    """
    at = blocks = 0
    while True:
        magic = body[at : at + 4]
        if magic == _MAGIC:
            end, count = _end_of_frame(body, at)
        elif magic in _SKIPPED:
            end, count = at + 8 + int.from_bytes(body[at + 4 : at + 8], "little"), 1
        else:
            return (at, True) if at else (len(body), False)
        blocks += count
        if blocks > MOST_BLOCKS:
            raise ValueError(f"more than {MOST_BLOCKS} blocks of zstd; allowed: up to that many")
        if end > len(body):
            return len(body), False
        at = end


def _end_of_frame(body: bytes, at: int) -> tuple[int, int]:
    """Where a frame ends, and how many blocks it has. The end may lie behind that of the body."""
    cut = len(body) + 1
    try:
        begins = at + zstandard.frame_header_size(body[at : at + _MOST_HEADER_BYTES])
    except zstandard.ZstdError:  # not even the head of the frame is there
        return cut, 1
    checksum_bytes = 4 if body[at + 4] & _HAS_CHECKSUM else 0
    blocks, is_last = 0, False
    while not is_last and blocks <= MOST_BLOCKS:
        head = int.from_bytes(body[begins : begins + 3], "little")
        if begins + 3 > len(body):
            return cut, blocks + 1
        is_last = bool(head & 1)
        begins += 3 + (1 if head >> 1 & 3 == _RLE else head >> 3)
        blocks += 1
    return begins + checksum_bytes, blocks

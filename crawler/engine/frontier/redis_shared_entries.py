"""How the requests that no shard holds lie in Redis."""

from __future__ import annotations

import struct

from crawler.engine.frontier.shared_store import Offer
from crawler.engine.frontier.store import left_s

MOST_RANK = 1 << 53
"""Redis does not tell higher priorities from each other. It keeps them as double numbers."""
_MARK = struct.Struct("<?Q")
_TIMES = struct.Struct("<dd")


def signed(mark: int) -> int:
    """A mark as Redis packs it: a number with a sign."""
    return mark - (1 << 64) if mark >> 63 else mark


def rank(priority: int) -> int:
    """A priority as a score of Redis: whatever kind of whole number the spider made of it."""
    return max(-MOST_RANK, min(MOST_RANK, int(priority)))


def entry(offer: Offer, now_s: float) -> bytes:
    """A request as it lies in Redis, without its site and its priority."""
    head = _MARK.pack(offer.wait_s > 0, offer.mark)
    if offer.wait_s > 0:
        head += _TIMES.pack(now_s + offer.wait_s, offer.wait_s)
    return head + offer.record


def offer_of(drawn: bytes, now_s: float) -> Offer:
    """A request that was drawn: its priority, its site, and how it lay there."""
    priority, site, lay = drawn.split(b"\t", 2)
    waits, mark = _MARK.unpack_from(lay)
    at, wait_s = _MARK.size, 0.0
    if waits:
        until_s, asked_s = _TIMES.unpack_from(lay, at)
        wait_s = max(0.0, left_s(until_s, asked_s, now_s))
        at += _TIMES.size
    return Offer(mark, site.decode(), int(priority), lay[at:], wait_s)

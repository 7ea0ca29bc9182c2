"""What people are told about a crawl that goes on."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.kept import COUNTERS, Kept
from crawler.plural import counted


def found(kept: Kept) -> Iterator[str]:
    """What a run finds in its store; nothing if it is new."""
    if kept.found.is_new:
        return
    yield f"going on with {kept.store.place}: {_so_far(kept)}"
    if moved := _moved(kept):
        yield moved


def dropped(kept: Kept) -> str:
    """What a run forgets that begins anew."""
    return (
        f"beginning anew: {kept.store.place} forgets {_so_far(kept)}. Items that were written stay"
        " where they are"
    )


def left(crawl: Crawl, place: str) -> str:
    """What a crawl has left at its end, and how it goes on with the folder of its state."""
    if not crawl.counters.pending and not crawl.limit:
        return "nothing is left to fetch: the same command reads the start of the spider again"
    how = f" if you give a higher {crawl.limit}" if crawl.limit else ""
    to_go = counted(crawl.counters.pending, "request")
    return f"{to_go} to go: the same command goes on with {place}{how}"


def _so_far(kept: Kept) -> str:
    done = _counts(kept).get("pages", 0)
    return f"{counted(done, 'page')} done, {counted(kept.found.waiting, 'request')} to go"


def _moved(kept: Kept) -> str:
    """Where the items so far are, if a place is new or none is given any more; else nothing."""
    before = kept.places_before
    if before is None or not _counts(kept).get("items"):
        return ""
    where = f"are in {' and '.join(before)}" if before else "were not kept"
    new = [place for place in kept.places if place not in before]
    if new:
        has = "has" if len(new) == 1 else "have"
        return f"items so far {where}; {' and '.join(new)} {has} only those from now on"
    if before and not kept.places:
        return f"items so far {where}; from now on none is kept"
    return ""


def _counts(kept: Kept) -> dict[str, int]:
    return kept.value(COUNTERS) or {}

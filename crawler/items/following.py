"""Yields the items of a crawl that goes on as they come, until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from crawler.errors import InvalidArgument
from crawler.items.names import PART
from crawler.items.reader import GOING_ON, Item, TaskItems
from crawler.items.source import Source
from crawler.items.texts import new_json_lines

FORMAT = "jsonl"
"""The format that can be followed: what was read of it stays as it is."""


def followed(look: Callable[[], TaskItems], pause: Callable[[], None]) -> Iterator[Item]:
    """Yield the items so far, and then those that come. `look` finds the items anew, and `pause`
    waits a moment.

    An item that a worker had written last when it died may come again, from the next worker. Raises
    InvalidArgument if they are not JSON lines, and whatever `look` raises.
    """
    ends: dict[str, int] = {}
    while True:
        found = look()
        for source in found.sources:
            yield from _new(source, ends)
        if found.state != GOING_ON:
            return
        pause()


def _new(source: Source, ends: dict[str, int]) -> Iterator[Item]:
    if source.format != FORMAT:
        raise InvalidArgument(
            f"--follow: the crawl has {source.format} alone; allowed is {FORMAT}. Read it without"
            " --follow, or add jsonl to the sinks"
        )
    name = source.path.name.removesuffix(PART)
    for item, end in new_json_lines(replace(source, begin=ends.get(name, 0))):
        ends[name] = end
        yield item

"""Writes to several sinks at once: each item goes to all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crawler.engine.items.sinks.sink import Sink
from crawler.supervision import do_all


class ManySinks:
    """Passes items to all sinks. The slowest sets the speed; the first to fail ends the crawl."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self._open: list[Sink] = []

    @property
    def lost(self) -> Counter[str]:
        """The items that a sink refused. Several refusals for one reason count once."""
        lost: Counter[str] = Counter()
        for sink in self._sinks:
            lost |= sink.lost
        return lost

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Let each sink go on after its own mark."""
        for sink in self._sinks:
            sink.begin_at(marks)

    def mark(self) -> Callable[[], Mapping[str, Any]]:
        """Start to write in each sink. The function waits for all of them."""
        waits = [sink.mark() for sink in self._sinks]
        return lambda: {name: each for wait in waits for name, each in wait().items()}

    def open(self) -> None:
        """Open all sinks. `close` closes those whose opening began, even if it failed."""
        for sink in self._sinks:
            self._open.append(sink)
            sink.open()

    def write(self, item: Any, url: str = "") -> None:
        """Write the item to each sink."""
        for sink in self._sinks:
            sink.write(item, url)

    def flush(self) -> None:
        """Flush each sink."""
        for sink in self._sinks:
            sink.flush()

    def close(self) -> None:
        """Close the open sinks, then raise the first error. Calling it again waits for the same."""
        do_all(*(sink.close for sink in reversed(self._open)))

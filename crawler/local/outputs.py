"""Where the items of a command go: files, standard output, several of them, or nowhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from crawler.engine.sink import JsonLinesSink, Sink, to_line

STANDARD_OUTPUT = "-"


def sink_for(outputs: Sequence[str], fresh: Sequence[str] = ()) -> Sink:
    """One sink that writes to all of these; `fresh` ones are emptied when they are opened."""
    sinks = [_sink(each, False) for each in outputs] + [_sink(each, True) for each in fresh]
    return sinks[0] if len(sinks) == 1 else Several(sinks)


def _sink(output: str, fresh: bool) -> Sink:
    if output == STANDARD_OUTPUT:
        return StandardOutput()
    return FreshFile(output) if fresh else JsonLinesSink(output)


class FreshFile(JsonLinesSink):
    """A file of JSON lines that begins anew."""

    def open(self) -> None:
        """Drop what was there."""
        self.path.unlink(missing_ok=True)
        super().open()


class StandardOutput:
    """Writes each item as a line of JSON, at once: whoever reads along sees it."""

    def open(self) -> None:
        """Open already."""
        sys.stdout.flush()

    def write(self, item: Any) -> None:
        """Write an item."""
        data = memoryview(to_line(item))
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """It stays open."""


class Several:
    """Writes each item to every one of some sinks; without any, items are but counted."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def open(self) -> None:
        """Open them all."""
        for sink in self._sinks:
            sink.open()

    def write(self, item: Any) -> None:
        """Write an item to each."""
        for sink in self._sinks:
            sink.write(item)

    def flush(self) -> None:
        """Flush each."""
        for sink in self._sinks:
            sink.flush()

    def close(self) -> None:
        """Close each, whatever becomes of the others; raises what the first one raised."""
        errors = []
        for sink in self._sinks:
            try:
                sink.close()
            except OSError as error:
                errors.append(error)
        if errors:
            raise errors[0]

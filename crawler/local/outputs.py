"""Where the items of a command go: files, databases, standard output, several, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from crawler.engine.sinks.batched import BatchedSink
from crawler.engine.sinks.json_lines import JsonLinesSink, StandardOutput
from crawler.engine.sinks.many import ManySinks
from crawler.engine.sinks.sink import Sink

STANDARD_OUTPUT = "-"


def sink_for(outputs: Sequence[str], fresh: Sequence[str] = ()) -> Sink:
    """One sink that writes to all of these; `fresh` ones are emptied when they are opened."""
    sinks = [_sink(each, False) for each in outputs] + [_sink(each, True) for each in fresh]
    return sinks[0] if len(sinks) == 1 else ManySinks(sinks)


def _sink(output: str, fresh: bool) -> Sink:
    if output == STANDARD_OUTPUT:
        return BatchedSink(StandardOutput())
    return FreshFile(output) if fresh else JsonLinesSink(output)


class FreshFile(JsonLinesSink):
    """A file of JSON lines that begins anew."""

    def open(self) -> None:
        """Drop what was there."""
        self.path.unlink(missing_ok=True)
        super().open()

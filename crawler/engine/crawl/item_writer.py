"""Passes the items of a crawl through its pipelines to its sink, and counts them.

Every item ends in one of three counts: written, dropped for a reason, or failed for a reason. A
fault of one item costs only that item. A sink that cannot write ends the crawl.
"""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from crawler.engine.crawl.context import CrawlContext
from crawler.engine.http import urls
from crawler.engine.http.failures import FAULTS
from crawler.engine.items.pipelines import DropItem, Pipelines
from crawler.engine.items.sinks.sink import Sink
from crawler.errors import CrawlerError
from crawler.logs import get_logger
from crawler.redaction import hide
from crawler.supervision import do_all

log = get_logger(__name__)

FLUSH_S = 1.0
"""The seconds that an item stays only in memory, at most."""
MOST_REASONS = 100
"""The most reasons that are counted separately. All others count as `other`."""


class _Short(reprlib.Repr):
    """Shortens what people see of items. A value of a secret is hidden before it is cut."""

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(hide(x), level)

    def repr_instance(self, x: object, level: int) -> str:
        return hide(repr(x))[: self.maxother]


_SHORT = _Short()


class SinkFailed(CrawlerError):
    """The sink cannot write items. This ends the crawl."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class ItemWriter:
    """Writes the items of one crawl."""

    def __init__(self, context: CrawlContext, sink: Sink) -> None:
        """Raises ConfigError if a pipeline cannot be loaded."""
        self._task = context.task
        self._spider_name = context.spider.name
        self._pipelines = Pipelines(context.spider)
        self._sink = sink
        self._counters = context.counters
        self._clock = context.clock
        self._unflushed_since_s = math.inf
        self._is_open = False

    @property
    def flush_s(self) -> float:
        """The monotonic time at which `flush_if_due` must be called next."""
        return self._unflushed_since_s + FLUSH_S

    @property
    def lost(self) -> Counter[str]:
        """The items that are counted as written, and that the sink could not write, by reason."""
        return self._sink.lost

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Go on after the marks of an earlier run. Call it before `open`."""
        self._sink.begin_at(marks)

    def mark(self) -> Callable[[], Mapping[str, Any]]:
        """Start to write the items so far. The function waits until they are on the disk, and
        returns the marks of the files. Both raise SinkFailed."""
        self._unflushed_since_s = math.inf
        try:
            wait = self._sink.mark()
        except OSError as error:
            raise SinkFailed(error) from error

        def marks() -> Mapping[str, Any]:
            try:
                return wait()
            except OSError as error:
                raise SinkFailed(error) from error

        return marks

    def open(self) -> None:
        """Open the sink, then the pipelines."""
        self._sink.open()
        self._is_open = True
        self._pipelines.open()

    def take(self, item: Any, url: str) -> None:
        """Pass an item on. Raises SinkFailed."""
        self._counters.items_taken += 1
        try:
            item = self._pipelines.process(item)
        except DropItem as drop:
            self._drop(drop, item, url)
        except MemoryError:  # more than this item may be lost
            raise
        except FAULTS as error:
            self._fail(f"pipeline raised {type(error).__name__}", url, error)
        else:
            self._write(item, url)

    def flush_if_due(self) -> None:
        """Flush the sink if items have waited for `FLUSH_S`."""
        if self._clock.monotonic() < self._unflushed_since_s + FLUSH_S:
            return
        self._unflushed_since_s = math.inf
        try:
            self._sink.flush()
        except OSError as error:
            raise SinkFailed(error) from error

    def close(self) -> None:
        """Close the pipelines, then the sink. Count the items that the sink could not write.

        If both fail, the sink's error is raised: it means lost items.
        """
        try:
            if self._is_open:
                self._pipelines.close()
        finally:
            do_all(self._sink.close, self._count_lost)

    def _count_lost(self) -> None:
        lost = self._sink.lost
        self._counters.items -= lost.total()
        self._counters.items_failed.update(lost)

    def _write(self, item: Any, url: str) -> None:
        try:
            self._sink.write(item, url)
        except OSError as error:
            raise SinkFailed(error) from error
        except MemoryError:
            raise
        except FAULTS as error:  # the item holds itself, or an object that cannot be read
            return self._fail("cannot be written", url, error)
        self._counters.items += 1
        if self._unflushed_since_s == math.inf:
            self._unflushed_since_s = self._clock.monotonic()
        self.flush_if_due()

    def _drop(self, drop: DropItem, item: Any, url: str) -> None:
        reason = _counted(self._counters.items_dropped, drop.reason)
        tell = log.info if self._counters.items_dropped[reason] == 1 else log.debug
        tell(
            "item is dropped",
            task=self._task,
            url=urls.shown(url),
            reason=hide(str(drop))[:500],
            item=_shown(item),
        )

    def _fail(self, reason: str, url: str, error: BaseException) -> None:
        reason = _counted(self._counters.items_failed, reason)
        first = self._counters.items_failed[reason] == 1
        log.error(
            f"{reason}: only this item is lost, and the crawl goes on",
            task=self._task,
            spider=self._spider_name,
            url=urls.shown(url),
            error=f"{type(error).__name__}: {error}",
            exc_info=error if first else None,
        )


def _shown(item: Any) -> str:
    """The beginning of an item, for people."""
    try:
        return _SHORT.repr(item)
    except FAULTS:  # its own code, or a number with too many digits
        return f"an item of class {type(item).__name__}"


def _counted(counts: Counter[str], reason: str) -> str:
    """Count a reason, or `other` if there are too many. Returns the reason that was counted."""
    if reason not in counts and len(counts) >= MOST_REASONS:
        reason = "other"
    counts[reason] += 1
    return reason

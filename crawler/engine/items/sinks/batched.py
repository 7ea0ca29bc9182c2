"""Collects items, and has them written in batches by a native thread while the crawl goes on.

While one batch is written, the next is collected. When that is full too, whoever brings an item
waits: so a slow place slows the callbacks down, these the fetches, and memory holds two batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from gevent import Greenlet
from gevent.threadpool import ThreadPool

from crawler.clock import Backoff, Clock, SystemClock
from crawler.engine.items.sinks.sink import Unreachable, Writer
from crawler.logs import get_logger
from crawler.supervision import Supervisor

log = get_logger(__name__)

PATIENCE_S = 60.0
"""A place that cannot be reached is tried again for so long; then the crawl fails."""

T = TypeVar("T")


class BatchedSink:
    """A sink in front of a writer. `threads` end with it, unless they are `shared` by several."""

    def __init__(
        self,
        writer: Writer,
        threads: ThreadPool | None = None,
        shared: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.lost: Counter[str] = Counter()
        self._writer = writer
        self._threads = ThreadPool(1) if threads is None else threads  # one at rest is false
        self._shared = shared
        self._clock = clock or SystemClock()
        self._supervisor = Supervisor("sink", clock=self._clock)
        self._batch: list[Any] = []
        self._bytes = 0
        self._writing: Greenlet | None = None
        self._fault: OSError | None = None
        self._is_open = False

    def open(self) -> None:
        """Open the place; OSError when it cannot be."""
        self._in_thread(self._writer.open)
        self._is_open = True

    def write(self, item: Any, url: str = "") -> None:
        """Take an item; waits when two batches are full."""
        record, size = self._writer.encode(item, url)
        self._batch.append(record)
        self._bytes += size
        if (
            self._bytes >= self._writer.batch_bytes
            or len(self._batch) >= self._writer.batch_records
        ):
            self.flush()

    def flush(self) -> None:
        """Have the batch written as soon as the one before it is."""
        self._wait()
        if not self._batch:
            return
        batch, self._batch, self._bytes = self._batch, [], 0
        self._writing = self._supervisor.spawn("write", self._write, batch)

    def close(self) -> None:
        """Write the rest, wait for it, and close; repeating it is harmless."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self.flush()
            self._wait()
        finally:
            self._in_thread(self._writer.close)
            if not self._shared:
                self._threads.kill()

    def _wait(self) -> None:
        while self._writing is not None and not self._writing.dead:
            self._writing.join()
        if self._fault is not None:
            raise self._fault

    def _write(self, batch: list[Any]) -> None:
        try:
            self.lost.update(self._patiently(lambda: self._writer.write(batch)))
        except OSError as error:
            self._fault = error
        except Exception as error:
            log.error("a sink breaks", exc_info=True)
            self._fault = OSError(f"{type(error).__name__}: {error}")

    def _patiently(self, step: Callable[[], T]) -> T:
        """Repeat a step while its place cannot be reached."""
        backoff = Backoff(most_s=5.0)
        until_s = self._clock.monotonic() + PATIENCE_S
        while True:
            try:
                return self._in_thread(step)
            except Unreachable as error:
                pause_s = backoff.next_s()
                if self._clock.monotonic() + pause_s > until_s:
                    raise
                log.warning("items wait to be written", error=str(error), again_in_s=pause_s)
                self._clock.sleep(pause_s)

    def _in_thread(self, step: Callable[[], T]) -> T:
        """Call it in the native thread; gevent would print what it raises there."""
        result, error = self._threads.apply(_caught, (step,))
        if error is not None:
            raise error
        value: T = result
        return value


def _caught(step: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return step(), None
    except Exception as error:
        return None, error

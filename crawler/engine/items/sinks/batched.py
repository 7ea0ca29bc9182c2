"""Collects items in batches, which a native thread writes while the crawl goes on.

While one batch is written, the next is collected. If that is full too, the next item waits. So a
slow database slows down the callbacks, and these slow down the fetches. Memory holds two batches.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import gevent
from gevent import Greenlet
from gevent.event import AsyncResult, Event
from gevent.threadpool import ThreadPool

from crawler.clock import Backoff, Clock, SystemClock
from crawler.engine.items.sinks.sink import Unreachable, Writer
from crawler.logs import get_logger
from crawler.supervision import Supervisor, do_all

log = get_logger(__name__)

PATIENCE_S = 60.0
"""The seconds for which an unreachable database, or a missing descriptor, is waited for. Then the
crawl fails."""

T = TypeVar("T")


class BatchedSink:
    """A sink that writes through a writer. `threads` end with it, while it is not `shared`: while
    no other sinks use them.

    A greenlet of the sink gives the native thread one step at a time: open, each batch, close. A
    crawl only waits for that greenlet. So the crawl may be killed at any moment: whatever was
    opened meanwhile is still closed, and never while it is being written.
    """

    def __init__(
        self,
        writer: Writer,
        threads: ThreadPool | None = None,
        shared: Callable[[], bool] = lambda: False,
        clock: Clock | None = None,
    ) -> None:
        self.lost: Counter[str] = Counter()
        self._writer = writer
        self._threads = ThreadPool(1) if threads is None else threads  # an idle one is false
        self._shared = shared
        self._clock = clock or SystemClock()
        self._supervisor = Supervisor("sink", clock=self._clock)
        self._batch: list[Any] = []
        self._bytes = 0
        self._under_way: Greenlet | None = None
        """The greenlet that opens or writes; None before the first."""
        self._closing: Greenlet | None = None
        self._fault: OSError | None = None
        self._cut_off = Event()
        """Set when a waiting crawl was killed. Then nobody retries an unreachable database."""

    def open(self) -> None:
        """Open the writer. Raises OSError if that fails."""
        self._begin("open", self._open)
        self._wait()

    def write(self, item: Any, url: str = "") -> None:
        """Add an item to the batch. Waits if two batches are full."""
        record, size = self._writer.encode(item, url)
        self._batch.append(record)
        self._bytes += size
        if (
            self._bytes >= self._writer.batch_bytes
            or len(self._batch) >= self._writer.batch_records
        ):
            self.flush()

    def flush(self) -> None:
        """Start to write the batch when the one before is written."""
        self._wait()
        if not self._batch:
            return
        batch, self._batch, self._bytes = self._batch, [], 0
        self._begin("write", partial(self._write, batch))

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Let the writer go on after its own mark."""
        self._writer.begin_at(marks)

    def mark(self) -> Callable[[], Mapping[str, Any]]:
        """Start to write the batch when the one before is written. The function waits for it."""
        self._wait()
        batch, self._batch, self._bytes = self._batch, [], 0
        marked: AsyncResult[Any] = AsyncResult()
        self._begin("mark", partial(self._write_to_mark, batch, marked))
        wait: Callable[[], Mapping[str, Any]] = marked.get
        return wait

    def close(self) -> None:
        """Write the rest, wait for it, and close. Calling it again raises the same fault again.

        If the waiting crawl is killed, this goes on nevertheless.
        """
        if self._under_way is None:
            return
        if self._closing is None:
            self._closing = self._supervisor.spawn("close", self._close)
        self._join(self._closing)
        if self._fault is not None:
            raise self._fault

    def _begin(self, name: str, step: Callable[[], None]) -> None:
        self._under_way = self._supervisor.spawn(name, self._noting_faults, step)

    def _wait(self) -> None:
        while self._under_way is not None and not self._under_way.dead:
            self._join(self._under_way)
        if self._fault is not None:
            raise self._fault

    def _join(self, greenlet: Greenlet) -> None:
        try:
            greenlet.join()
        except gevent.GreenletExit:
            self._cut_off.set()
            raise

    def _noting_faults(self, step: Callable[[], None]) -> None:
        """Run a step and keep its first fault. The next call that waits raises it."""
        try:
            step()
        except OSError as error:
            self._fault = self._fault or error
        except Exception as error:
            log.error("a sink failed unexpectedly", exc_info=True)
            self._fault = self._fault or OSError(f"{type(error).__name__}: {error}")

    def _open(self) -> None:
        self._patiently(self._writer.open, _lacks_means)

    def _write(self, batch: list[Any]) -> None:
        self.lost.update(self._patiently(lambda: self._writer.write(batch), _may_pass))

    def _write_to_mark(self, batch: list[Any], marked: AsyncResult[Any]) -> None:
        """Write a batch, and then take the mark: before anything else can be written."""
        try:
            if batch:
                self._write(batch)
            marked.set(self._in_thread(self._writer.mark))
        except BaseException as error:
            marked.set_exception(error)
            raise

    def _close(self) -> None:
        self._noting_faults(
            lambda: do_all(self.flush, self._wait, self._close_writer, self._end_threads)
        )

    def _close_writer(self) -> None:
        self._in_thread(self._writer.close)

    def _end_threads(self) -> None:
        if not self._shared():
            self._threads.kill()

    def _patiently(self, step: Callable[[], T], may_pass: Callable[[Exception], bool]) -> T:
        """Repeat a step while its error may pass and somebody waits for the sink."""
        backoff = Backoff(most_s=5.0)
        until_s = self._clock.monotonic() + PATIENCE_S
        while True:
            try:
                return self._in_thread(step)
            except (OSError, RuntimeError) as error:
                if not may_pass(error):
                    raise
                pause_s = backoff.next_s()
                if self._cut_off.is_set() or self._clock.monotonic() + pause_s > until_s:
                    raise
                log.warning("items wait to be written", error=str(error), again_in_s=pause_s)
                self._clock.wait(self._cut_off, pause_s)

    def _in_thread(self, step: Callable[[], T]) -> T:
        """Run a step in the native thread. An error is returned: gevent would print it."""
        result, error = self._threads.apply(_caught, (step,))
        if error is not None:
            raise error
        value: T = result
        return value


def _lacks_means(error: Exception) -> bool:
    """Whether this process lacks a file descriptor or a native thread for now."""
    if isinstance(error, OSError):
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return isinstance(error, RuntimeError) and "new thread" in str(error)


def _may_pass(error: Exception) -> bool:
    return isinstance(error, Unreachable) or _lacks_means(error)


def _caught(step: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return step(), None
    except Exception as error:
        return None, error

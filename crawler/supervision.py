"""Starts greenlets. Each has a name, is linked and counted, and is joined at stop.

No other way to start a greenlet is used. Whoever spawns one says what its end means (`OnEnd`). If a
greenlet that must not end does end, `on_fatal` stops its node. No greenlet ends unnoticed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import gevent
from gevent import Greenlet

from crawler.clock import Backoff, Clock, SystemClock
from crawler.errors import CrawlerError
from crawler.logs import get_logger

log = get_logger(__name__)


class OnEnd(enum.Enum):
    """What follows when a greenlet ends by itself."""

    LOG = "log"
    """It may return. An exception is logged with its traceback."""
    RESTART = "restart"
    """An exception is logged, and the function is called again after a growing pause."""
    FATAL = "fatal"
    """Any end is a defect. The supervisor calls `on_fatal`, which stops the node."""


class Supervisor:
    """Owns the greenlets of one part of a node."""

    def __init__(
        self,
        name: str,
        *,
        on_fatal: Callable[[str, BaseException | None], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._on_fatal = on_fatal
        self._clock = clock or SystemClock()
        # In the order of their start, so that they end in that order.
        self._running: dict[Greenlet, None] = {}
        self._stopping = False

    @property
    def count(self) -> int:
        """The number of running greenlets."""
        return len(self._running)

    def spawn(
        self, name: str, function: Callable[..., Any], *args: Any, on_end: OnEnd = OnEnd.LOG
    ) -> Greenlet:
        """Start `function(*args)` in a greenlet with that name."""
        full_name = f"{self.name}.{name}"
        body = self._restarting if on_end is OnEnd.RESTART else self._once
        greenlet = Greenlet(body, full_name, function, args, on_end)
        greenlet.name = full_name
        self._running[greenlet] = None
        greenlet.rawlink(self._forget)
        greenlet.start()
        return greenlet

    def stop(self, deadline_s: float = 5.0) -> bool:
        """End every greenlet. Returns False if some did not end in time. May be called again."""
        self._stopping = True
        current = gevent.getcurrent()
        others = [greenlet for greenlet in self._running if greenlet is not current]
        gevent.killall(others, block=False)
        gevent.joinall(others, timeout=deadline_s)
        late = [greenlet.name for greenlet in others if not greenlet.dead]
        if late:
            log.error("greenlets did not end in time", supervisor=self.name, greenlets=late)
        return not late

    def _forget(self, greenlet: Greenlet) -> None:
        self._running.pop(greenlet, None)

    def _once(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], on_end: OnEnd
    ) -> None:
        error: BaseException | None = None
        try:
            function(*args)
        except gevent.GreenletExit:
            return
        except Exception as raised:
            error = raised
            # The program's own errors need no traceback: their messages say everything.
            unforeseen = not isinstance(raised, CrawlerError)
            log.error(
                "greenlet ended with an error",
                greenlet=name,
                error=str(raised),
                exc_info=unforeseen,
            )
        if on_end is OnEnd.FATAL and not self._stopping and self._on_fatal is not None:
            self._on_fatal(name, error)

    def _restarting(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], on_end: OnEnd
    ) -> None:
        backoff = Backoff(most_s=5.0)
        while not self._stopping:
            started_s = self._clock.monotonic()
            try:
                function(*args)
                return
            except gevent.GreenletExit:
                return
            except Exception:
                if self._clock.monotonic() - started_s > 60.0:
                    backoff.reset()
                pause_s = backoff.next_s()
                log.error("greenlet restarts", greenlet=name, after_s=pause_s, exc_info=True)
                self._clock.sleep(pause_s)


def do_all(*steps: Callable[[], object]) -> None:
    """Run each step, even if another fails or is killed. Then raise what the first one raised.

    This is for the ends of things: a greenlet may be killed wherever it waits, also while it ends,
    and more than once. Each kill costs it the rest of one step, and no other step.
    """
    first: BaseException | None = None
    for step in steps:
        try:
            step()
        except BaseException as error:
            if first is None:
                first = error
            elif error is not first and not isinstance(error, gevent.GreenletExit):
                _log_another(error)
    if first is not None:
        raise first


def _log_another(error: BaseException) -> None:
    # Errors that the program raises on purpose say all there is to know.
    is_expected = isinstance(error, (CrawlerError, OSError))
    told = f"{type(error).__name__}: {error}"
    log.error("another step of an end failed", error=told, exc_info=not is_expected)


def run_aside(name: str, function: Callable[[], Any], patience_s: float = 0.5) -> bool:
    """Call a function that may hang for ever, in a greenlet of its own. Returns whether it ended in
    time.

    This is for closing gRPC calls and channels: they wait for internal locks without a limit, and
    the caller must not wait with them. A patience of 0 does not wait at all.
    """
    greenlet = Supervisor("aside").spawn(name, function)
    if patience_s <= 0:  # the caller may be ending, and must not switch
        return False
    greenlet.join(patience_s)
    if not greenlet.dead:
        log.error(
            "a call did not end in time; nobody waits for it any more",
            call=name,
            after_s=patience_s,
        )
    return bool(greenlet.dead)

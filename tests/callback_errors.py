"""A pytest plugin: a callback of the hub or of libcurl that raises fails the test in which it did.

gevent and pycurl only print such an exception, and whoever waits for the callback waits for ever.
What the fetcher catches itself it logs as a fault of its own, which counts here too. A test that
means to cause some asks for the fixture `callback_errors`.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import gevent
import pytest
from gevent.hub import Hub

LOGGED = frozenset(
    {
        "fetcher fault",
        "the receiver of an address failed",
        "the receiver of an answer failed",
    }
)
"""The messages of the log that name a defect of the fetcher."""

_errors: list[str] = []


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() in LOGGED:
            raised = record.exc_info[1] if record.exc_info else None
            _errors.append(f"{record.getMessage()}: {raised!r}")


def pytest_configure() -> None:
    """Listen to gevent, to pycurl, which ends in `sys.excepthook`, and to the log."""
    told, printed = Hub.handle_error, sys.excepthook

    def of_hub(hub: Hub, context: Any, kind: Any, error: Any, where: Any) -> None:
        # Supervisors see the ends of greenlets, a server of a test tells its requests (a dict), and
        # a thread pool its tasks (a tuple). The ends of threads are no errors.
        is_end = isinstance(kind, type) and issubclass(kind, hub.NOT_ERROR)
        if not isinstance(context, gevent.Greenlet | dict | tuple) and not is_end:
            _errors.append(f"the hub, {context!r}: {_text(kind, error, where)}")
        told(hub, context, kind, error, where)

    def of_libcurl(
        kind: type[BaseException], error: BaseException, where: TracebackType | None
    ) -> None:
        _errors.append(f"printed: {_text(kind, error, where)}")
        printed(kind, error, where)

    Hub.handle_error = of_hub
    sys.excepthook = of_libcurl
    logging.getLogger("crawler.engine").addHandler(_Listener(logging.ERROR))


@pytest.fixture(autouse=True)
def no_callback_raises() -> Iterator[None]:
    """Fails the test during which a callback raised."""
    _errors.clear()
    yield
    if _errors:
        pytest.fail("callbacks raised:\n  " + "\n  ".join(_errors), pytrace=False)


@pytest.fixture
def callback_errors(no_callback_raises: None) -> Iterator[list[str]]:
    """The errors of callbacks so far, for a test that causes them on purpose."""
    yield _errors
    _errors.clear()


def _text(kind: Any, error: Any, where: Any) -> str:
    if isinstance(where, TracebackType):
        return "".join(traceback.format_exception(kind, error, where))
    return repr(error)

"""Calls what blocks in a native thread, and raises here what it raises there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.threadpool import ThreadPool

from crawler.errors import CrawlerError


def called(threads: ThreadPool, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in one of these threads. Raises the CrawlerError or OSError
    that it raises; gevent itself would write a traceback of it to standard error, too."""
    found, error = threads.apply(_tried, (function, arguments))
    if error is not None:
        raise error
    return found


def _tried(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, CrawlerError | OSError | None]:
    try:
        return function(*arguments), None
    except (CrawlerError, OSError) as error:
        return None, error

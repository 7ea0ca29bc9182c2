"""A distributed crawler. Whatever a spider needs is exported here, under Scrapy's names.

The exports are looked up on first use: importing the package loads nothing, so that the process
can be prepared for gevent (crawler.runtime) before anything else is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.engine.exchange import FetchError
    from crawler.engine.failure import CloseSpider, Failure, HttpError, IgnoreRequest
    from crawler.engine.request import Request
    from crawler.engine.response import Response
    from crawler.engine.spider import Spider

__all__ = [
    "Spider",
    "Request",
    "Response",
    "CloseSpider",
    "Failure",
    "FetchError",
    "HttpError",
    "IgnoreRequest",
]

_MODULES = {
    "Spider": "spider",
    "Request": "request",
    "Response": "response",
    "CloseSpider": "failure",
    "Failure": "failure",
    "FetchError": "exchange",
    "HttpError": "failure",
    "IgnoreRequest": "failure",
}
"""The module of the engine that has it."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"crawler.engine.{_MODULES[name]}"), name)

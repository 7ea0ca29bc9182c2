"""Shows what the callbacks of a spider make of pages: for `crawler parse`."""

from __future__ import annotations

import json
import pprint
import textwrap
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crawler.devtools.page_fetcher import NoPage, Pages
from crawler.engine.http.request import Request
from crawler.engine.http.response import Response
from crawler.engine.http.serialization import NotSerializable
from crawler.engine.items.sinks.json_lines import to_line
from crawler.engine.spiders import callbacks
from crawler.engine.spiders.crawl_spider import CrawlSpider
from crawler.errors import CrawlerError
from crawler.plural import counted


@dataclass(frozen=True)
class Parsed:
    """A page, and what a callback yielded for it."""

    url: str
    status: int
    callback: str
    items: list[Any]
    requests: list[Request]

    def to_json(self) -> dict[str, Any]:
        """The page as a JSON value."""
        return {
            "url": self.url,
            "status": self.status,
            "callback": self.callback,
            "items": [json.loads(to_line(item)) for item in self.items],
            "requests": [_plain(request) for request in self.requests],
        }

    def lines(self) -> Iterator[str]:
        """The page as lines for people."""
        items, requests = counted(len(self.items), "item"), counted(len(self.requests), "request")
        yield f"{self.status} {self.url} → {self.callback}: {items}, {requests}"
        for item in self.items:
            yield textwrap.indent(pprint.pformat(item, sort_dicts=False), "  ")
        for request in self.requests:
            callback = callback_name(request)
            yield f"  {request.method} {request.url}{f' → {callback}' if callback else ''}"


def parsed(pages: Pages, first: Request, depth: int) -> Iterator[Parsed]:
    """Fetch a page and call its callback, then the pages that it asks for, `depth` levels in all.

    Raises NoPage if the first request has no page, and CrawlerError if a callback raises.
    """
    level = [first]
    for number in range(depth):
        following: list[Request] = []
        for request in level:
            try:
                found = _parsed(pages, request)
            except NoPage:
                if number == 0:
                    raise
                continue
            following += found.requests
            yield found
        level = following


def _parsed(pages: Pages, request: Request) -> Parsed:
    response = pages.get(request)
    name = callback_name(request) or "parse"
    items: list[Any] = []
    requests: list[Request] = []
    for output in _outputs(pages.spider, response, name):
        (requests if isinstance(output, Request) else items).append(output)
    return Parsed(response.url, response.status, name, items, requests)


def _outputs(spider: Any, response: Response, name: str) -> list[Any]:
    try:
        return list(callbacks.outputs(spider, response))
    except Exception as error:
        raise CrawlerError(
            f"callback {name} raised {type(error).__name__}: {error}{place_of(error)}"
            f" for {response.url}"
        ) from error


def place_of(error: BaseException) -> str:
    """Where an error was raised, in a file outside libraries: ` at shop.py:12`."""
    here = Path(__file__).parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if here not in file.parents and "site-packages" not in file.parts:
            return f" at {file.name}:{frame.lineno}"
    return ""


def callback_name(request: Request) -> str:
    """The name of the callback of a request, or of its rule's callback. Empty if there is none."""
    callback = request.callback
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, CrawlSpider) and "rule" in request.meta:
        callback = owner.rules[request.meta["rule"]].callback
    return callback if isinstance(callback, str) else getattr(callback, "__name__", "")


def _plain(request: Request) -> dict[str, Any]:
    try:
        return request.to_dict()
    except NotSerializable:
        return {"url": request.url, "callback": callback_name(request)}

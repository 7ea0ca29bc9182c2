"""Checks the contracts in the docstrings of callbacks. The words are Scrapy's.

    def parse_book(self, response):
        \"\"\"A page of a book.

        @url http://127.0.0.1:8100/book/1
        @returns items 1 16
        @returns requests 0
        @scrapes title price
        \"\"\"

`@url` names the page to try; without it there is no contract. `@returns` has a kind, the least
number and the most. The most may be omitted; without any number, the least is one. `@scrapes` names
the fields that each item must have. `@cb_kwargs` is a JSON object of arguments, `@meta` one of the
request's `meta`.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from crawler.devtools.page_fetcher import Pages
from crawler.devtools.parsing import Parsed, parsed
from crawler.engine.http.request import Request
from crawler.engine.items.sinks.json_lines import to_line
from crawler.engine.spiders.spider import Spider
from crawler.errors import CrawlerError
from crawler.plural import counted

KINDS = {"item": "items", "items": "items", "request": "requests", "requests": "requests"}
ALLOWED = "@returns items|requests [LEAST [MOST]]"


@dataclass
class Contract:
    """The contract of one callback for one page."""

    callback: str
    line: int
    url: str = ""
    cb_kwargs: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    returns: list[tuple[str, float, float]] = field(default_factory=list)
    """The kind, the least number and the most."""
    scrapes: list[str] = field(default_factory=list)


class BadContract(CrawlerError):
    """A docstring holds a bad contract. The message says what is allowed."""


def contracts_of(spider: type[Spider]) -> Iterator[Contract]:
    """The contracts of a spider's methods. Raises BadContract."""
    for name, method in inspect.getmembers(spider, inspect.isfunction):
        text = inspect.getdoc(method) or ""
        words = [line.strip()[1:].split(None, 1) for line in text.splitlines() if _states(line)]
        if any(word[0] == "url" for word in words):
            contract = Contract(name, method.__code__.co_firstlineno)
            for word in words:
                _take(contract, word[0], word[1] if len(word) > 1 else "")
            yield contract


def broken(pages: Pages, contract: Contract) -> Iterator[str]:
    """Fetch a contract's page, and yield what the callback breaks. Raises CrawlerError."""
    request = Request(
        contract.url, contract.callback, meta=contract.meta, cb_kwargs=contract.cb_kwargs
    )
    [found] = parsed(pages, request, 1)
    for kind, least, most in contract.returns:
        count = len(getattr(found, kind))
        if not least <= count <= most:
            yield f"{counted(count, kind[:-1])}, not {_range(least, most)}"
    yield from _missing(found, contract.scrapes)


def _missing(found: Parsed, names: list[str]) -> Iterator[str]:
    for number, item in enumerate(found.items):
        missing = [name for name in names if name not in json.loads(to_line(item))]
        if missing:
            yield f"item {number + 1} has no {', '.join(missing)}"


def _states(line: str) -> bool:
    return line.strip().startswith(("@url", "@returns", "@scrapes", "@cb_kwargs", "@meta"))


def _take(contract: Contract, word: str, rest: str) -> None:
    where = f"{contract.callback}: @{word} {rest}".rstrip()
    if word == "url":
        contract.url = rest.strip()
    elif word == "scrapes":
        contract.scrapes += rest.split()
    elif word == "returns":
        contract.returns.append(_returns(where, rest.split()))
    elif word == "cb_kwargs":
        contract.cb_kwargs = _object(where, rest)
    elif word == "meta":
        contract.meta = _object(where, rest)


def _returns(where: str, words: list[str]) -> tuple[str, float, float]:
    numbers = words[1:]
    if (
        not words
        or words[0] not in KINDS
        or len(numbers) > 2
        or not all(map(str.isdecimal, numbers))
    ):
        raise BadContract(f"{where}: is not allowed; allowed: {ALLOWED}")
    least = float(numbers[0]) if numbers else 1.0
    return KINDS[words[0]], least, float(numbers[1]) if len(numbers) > 1 else math.inf


def _object(where: str, text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadContract(f"{where}: is not allowed; allowed: a JSON object")
    return value


def _range(least: float, most: float) -> str:
    return f"{least:.0f} or more" if math.isinf(most) else f"{least:.0f} to {most:.0f}"

"""Runs the spider's callbacks and sorts what they yield into items and requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from crawler.engine.response import Response
from crawler.engine.spider import Request, Spider


class BadOutput(TypeError):
    """A callback yielded something that is neither an item nor a Request."""


def outputs(spider: Spider, response: Response) -> Iterator[Any]:
    """What the callback of a response yields: requests and items, nothing else.

    Raises whatever the callback raises, and BadOutput.
    """
    request = response.request
    callback = resolve(spider, request.callback)
    return checked(callback(response, **(request.cb_kwargs or {})))


def resolve(spider: Spider, callback: Callable[..., Any] | str | None) -> Callable[..., Any]:
    """The callback of a request: given, named, or `parse`; AttributeError for an unknown name."""
    if callback is None:
        return spider.parse
    if isinstance(callback, str):
        method: Callable[..., Any] = getattr(spider, callback)
        return method
    return callback


def checked(result: Any) -> Iterator[Any]:
    """The outputs one by one, of a generator, a list, a single output, or None."""
    for output in _many(result):
        if output is None:
            continue
        if not isinstance(output, Request) and not is_item(output):
            raise BadOutput(
                f"{type(output).__name__} is not allowed; allowed: a Request, or an item: a dict"
                " or a dataclass"
            )
        yield output


def is_item(output: Any) -> bool:
    """Whether an output is an item: a mapping or the instance of a dataclass."""
    if isinstance(output, Mapping):
        return True
    return dataclasses.is_dataclass(output) and not isinstance(output, type)


def _many(result: Any) -> Iterable[Any]:
    if result is None:
        return ()
    if isinstance(result, (Request, str)) or is_item(result) or not isinstance(result, Iterable):
        return (result,)
    return result

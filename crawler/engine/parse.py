"""Runs the spider's callbacks and sorts what they yield into items and requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from crawler.engine import coroutines
from crawler.engine.failure import Failure
from crawler.engine.items import ALLOWED, is_item
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
    return checked(callback(response, **request.cb_kwargs))


def failure_outputs(spider: Spider, failure: Failure) -> Iterator[Any]:
    """What the errback of a request yields; raises as `outputs` does."""
    return checked(resolve(spider, failure.request.errback)(failure))


def resolve(spider: Spider, callback: Callable[..., Any] | str | None) -> Callable[..., Any]:
    """The callback of a request: given, named, or `parse`; AttributeError for an unknown name."""
    if callback is None:
        return spider._parse
    if isinstance(callback, str):
        method: Callable[..., Any] = getattr(spider, callback)
        return method
    return callback


def checked(result: Any) -> Iterator[Any]:
    """The outputs one by one, of a generator, a list, a single output, or None."""
    for output in many(result):
        kind = type(output)
        # Nearly all are one of these, and asking for more takes longer.
        if kind is Request or kind is dict or isinstance(output, Request) or is_item(output):
            yield output
        elif output is not None:
            raise BadOutput(
                f"{kind.__name__} is not allowed; allowed: a Request, or an item: {ALLOWED}"
            )


def many(result: Any) -> Iterable[Any]:
    """What a callback gives, as an iterable: of a generator, a list, a single output, or None."""
    if result is None:
        return ()
    if isinstance(result, (Request, str)) or is_item(result) or not isinstance(result, Iterable):
        return coroutines.outputs(result) if coroutines.are_awaited(result) else (result,)
    return result

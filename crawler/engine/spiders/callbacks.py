"""Runs callbacks of a spider, and separates what they yield into items and requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import GeneratorType
from typing import Any

from crawler import coroutines
from crawler.engine.http.failures import Failure
from crawler.engine.http.response import Response
from crawler.engine.items.item import ALLOWED, is_item
from crawler.engine.spiders.spider import Request, Spider

_PARTS: Sequence[tuple[str, type]] = (("url", str), ("method", str), ("priority", int))
"""Parts of a request that its owner may have changed, and their types."""


class BadOutput(TypeError):
    """A callback yielded something that is neither an item nor a Request."""


def outputs(spider: Spider, response: Response) -> Iterator[Any]:
    """Run the callback of a response. Yields its requests and items.

    Raises whatever the callback raises, and BadOutput.
    """
    return checked(given(spider, response))


def given(spider: Spider, response: Response) -> Iterable[Any]:
    """Run the callback of a response, and return its unchecked outputs. Raises what it raises."""
    request = response.request
    return many(resolve(spider, request.callback)(response, **request.cb_kwargs))


def given_by_errback(spider: Spider, failure: Failure) -> Iterable[Any]:
    """Run the errback of a request, and return its unchecked outputs. Raises what it raises."""
    return many(resolve(spider, failure.request.errback)(failure))


def checked(result: Any) -> Iterator[Any]:
    """Yield the outputs one by one. Raises BadOutput."""
    for output in many(result):
        if isinstance(output, Request) or item(output) is not None:
            yield output


def item(output: Any) -> Any:
    """Check an output that is no Request: an item or None. Raises BadOutput for anything else."""
    # Nearly all outputs are dicts; the full check takes longer.
    if type(output) is dict or output is None or is_item(output):
        return output
    raise BadOutput(
        f"{type(output).__name__} is not allowed; allowed: a Request, or an item: {ALLOWED}"
    )


def check_request(spider: Spider, request: Request) -> None:
    """Check what a request became after it was made, and the callbacks that it names.

    Raises BadOutput.
    """
    callback, errback = request.callback, request.errback
    # Nearly all requests are like this; the full check takes longer.
    if (
        type(request.url) is type(request.method) is str
        and type(request.priority) is int
        and errback is None
        and not isinstance(callback, str)
    ):
        return
    for role, kind in _PARTS:
        value = getattr(request, role)
        if not isinstance(value, kind):
            raise BadOutput(f"{role}: {value!r} is not allowed; allowed: a {kind.__name__}")
    for role, name in (("callback", callback), ("errback", errback)):
        if isinstance(name, str) and not callable(getattr(spider, name, None)):
            raise BadOutput(
                f"{role}: {name!r} is not allowed, spider {spider.name!r} has no such method;"
                " allowed: a method of the spider or its name"
            )


def resolve(spider: Spider, callback: Callable[..., Any] | str | None) -> Callable[..., Any]:
    """The callback of a request, given as a method or a name; without one `parse`.

    Raises AttributeError for an unknown name.
    """
    if callback is None:
        return spider._parse
    if isinstance(callback, str):
        method: Callable[..., Any] = getattr(spider, callback)
        return method
    return callback


def many(result: Any) -> Iterable[Any]:
    """The result of a callback as an iterable: a generator, a list, one output, or None."""
    if result is None:
        return ()
    if type(result) is GeneratorType:  # as nearly all are; the full check takes longer
        return result
    if isinstance(result, (Request, str)) or is_item(result) or not isinstance(result, Iterable):
        return coroutines.outputs(result) if coroutines.are_awaited(result) else (result,)
    return result

"""Runs the `async def` methods of a spider that await only each other.

There is no event loop here: a spider fetches by yielding requests. A coroutine that awaits
something of an event loop (asyncio, Twisted) gets an error at that place.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from typing import Any


class ForeignAwait(TypeError):
    """A coroutine of a spider awaits something that needs an event loop."""


def are_awaited(result: Any) -> bool:
    """Whether the result of a callback is a coroutine or an asynchronous generator."""
    return inspect.iscoroutine(result) or inspect.isasyncgen(result)


def outputs(result: Any) -> Iterator[Any]:
    """Yield what a coroutine returns, or what an asynchronous generator yields."""
    if inspect.isasyncgen(result):
        yield from _drained(result)
        return
    returned = run(result)
    if isinstance(returned, (list, tuple)):
        yield from returned
    elif returned is not None:
        yield returned


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine and return its result. Raises ForeignAwait if it awaits an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    name = getattr(coroutine, "__qualname__", "a coroutine")
    raise ForeignAwait(
        f"{name} awaits something that needs an event loop; allowed: to await the spider's own"
        " coroutines. Yield a Request to fetch a page"
    )


class Both:
    """An iterable for `for` and `async for`, because spiders override its method either way."""

    def __init__(self, outputs: Iterable[Any]) -> None:
        self._outputs = outputs

    def __iter__(self) -> Iterator[Any]:
        return iter(self._outputs)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for output in self._outputs:
            yield output


def _drained(generator: Any) -> Iterator[Any]:
    while True:
        try:
            yield run(_next(generator))
        except _End:
            return


class _End(Exception):
    """Stands for StopAsyncIteration, which a coroutine cannot raise."""


async def _next(generator: Any) -> Any:
    try:
        return await anext(generator)
    except StopAsyncIteration:
        raise _End from None

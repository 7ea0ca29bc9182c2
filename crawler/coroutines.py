"""Runs the `async def` methods of a spider that wait for nothing but each other.

There is no event loop here: fetching is done by yielding requests. A coroutine that awaits what
only an event loop can give (asyncio, Twisted) is told so, where it does.
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
    """What a coroutine returns, or an asynchronous generator yields, one by one."""
    if inspect.isasyncgen(result):
        yield from _drained(result)
        return
    returned = run(result)
    if isinstance(returned, (list, tuple)):
        yield from returned
    elif returned is not None:
        yield returned


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine; raises ForeignAwait when it waits for an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    name = getattr(coroutine, "__qualname__", "a coroutine")
    raise ForeignAwait(
        f"{name} awaits what needs an event loop; allowed: to await the spider's own"
        " coroutines. Yield a Request to have something fetched"
    )


class Both:
    """An iterable that `async for` can go over as well: a method that ports override either way."""

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
    """A coroutine cannot raise StopAsyncIteration through StopIteration."""


async def _next(generator: Any) -> Any:
    try:
        return await anext(generator)
    except StopAsyncIteration:
        raise _End from None

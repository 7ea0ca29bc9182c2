"""The hooks of the crawl engine, by pluggy, like those of the scheduler.

A plugin is a module that `worker.plugins` lists, or that an installed package announces in the
entry point group `crawler.engine`. It imports this module and nothing else of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pluggy

from crawler.engine.http.messages import (
    Credentials,
    Done,
    FetchAnswer,
    FetchCall,
    FetchError,
    FetchLimits,
    Sent,
)

__all__ = [
    "FetchAnswer",
    "FetchCall",
    "Credentials",
    "Done",
    "FetchError",
    "Fetcher",
    "FetchLimits",
    "Sent",
    "hookimpl",
]

PROJECT = "crawler"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Fetcher(Protocol):
    """Fetches pages in its own way, for example with a browser. One fetcher serves all crawls of a
    worker.

    It gets only requests that may be sent: robots.txt, politeness, filters and the worker's address
    policy allow them. It returns redirects as answers, so that their targets are checked too.
    """

    def start(self) -> None:
        """Called before the first request. May block the calling greenlet, but not the hub."""
        ...

    def stop(self) -> None:
        """Called at the end; nobody waits for requests that are still in flight."""
        ...

    def submit(self, call: FetchCall, done: Done) -> Sent:
        """Begin to fetch, and return at once. `cancel` of the returned object cancels the request.

        Call `done` once, in the hub's thread, within `call.timeout_s`, with a FetchAnswer whose
        body is unpacked, or with a FetchError. Raise FetchError if the fetch did not begin.
        """
        ...


@hookspec
def pipelines(spider: Any) -> Sequence[Any]:  # type: ignore[empty-body]
    """The pipelines of this plugin for the items of a crawl; the list may be empty.

    Called once for each crawl, with its spider, whose settings are known. Each is a class, or an
    object, with `process_item` as in docs/items.md. Items pass it after the spider's own pipelines.
    """


@hookspec
def fetchers() -> Mapping[str, Callable[[], Fetcher]]:  # type: ignore[empty-body]
    """The fetchers of this plugin: name → function that makes one.

    A crawl names its fetcher in the setting `fetcher`, a request in `meta["fetcher"]`. The fetcher
    is made at its first use. `curl` is built in.
    """

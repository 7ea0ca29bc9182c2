"""The hooks of the crawl engine, for plugins: with pluggy, as those of the scheduler.

A plugin is a module that is listed in `worker.plugins`, or that an installed package announces in
the entry point group `crawler.engine`. It imports this module and nothing else of the engine.
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
    """Fetches pages in its own way, with a browser say. One serves all crawls of a worker.

    It gets only requests that may be sent: robots.txt, politeness, filters and the worker's address
    policy have been asked. Redirects it hands back as answers, so that they are asked about too.
    """

    def start(self) -> None:
        """Called before the first request; may block the calling greenlet, not the hub."""
        ...

    def stop(self) -> None:
        """Called at the end; what is still under way is forgotten."""
        ...

    def submit(self, call: FetchCall, done: Done) -> Sent:
        """Begin to fetch, and return at once; `cancel` of what is returned breaks it off.

        `done` is to be called once, in the hub's thread, within `call.timeout_s`, with a
        FetchAnswer whose body is unpacked, or a FetchError. Raises FetchError when nothing was
        begun.
        """
        ...


@hookspec
def pipelines(spider: Any) -> Sequence[Any]:  # type: ignore[empty-body]
    """The pipelines that this plugin has for the items of a crawl; none is an empty list.

    Asked once for each crawl, with its spider, whose settings are set. Each is a class, or an
    object, with `process_item` as in docs/items.md; items pass it after those of the spider.
    """


@hookspec
def fetchers() -> Mapping[str, Callable[[], Fetcher]]:  # type: ignore[empty-body]
    """The fetchers this plugin brings: name → what makes one.

    A crawl asks for one by the setting `fetcher`, a request by `meta["fetcher"]`. It is made when
    it is asked for first. `curl` is built in.
    """

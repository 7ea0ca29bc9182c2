"""Finds the items of a task of a cluster, whichever workers have them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import click

from crawler.api.rpc.client import Client
from crawler.cli.master import CALL, connected
from crawler.errors import CrawlerError, NotFound, Retryable
from crawler.items.far import shelf_of
from crawler.items.reader import TaskItems, items_at

AGAIN_S = 1.0
"""The pause before another try, after a master or a worker has gone in the middle."""
MOST_TRIES = 10
"""So many tries in a row bring nothing, then the command gives up."""


class NoItems(CrawlerError):
    """No worker has the items that are asked for."""


@contextmanager
def in_cluster(
    master: str, task: str, waits: bool, **which: Any
) -> Iterator[Callable[[], TaskItems]]:
    """A context with a function that finds the items as they are now. If it `waits`, it does so
    until a task that goes on has any. `which` is what `items_at` takes. Raises CrawlerError."""
    with connected(master, task) as client:
        yield partial(_awaited if waits else _found, client, task, **which)


def _awaited(client: Client, task: str, **which: Any) -> TaskItems:
    """Find the items of a task, which may have none yet. Raises CrawlerError."""
    while not client.get(task, CALL).has_ended:
        with suppress(NoItems):
            return _found(client, task, **which)
        time.sleep(AGAIN_S)
    return _found(client, task, **which)


def _found(client: Client, task: str, **which: Any) -> TaskItems:
    """Find the items. Raises CrawlerError, also if a worker does not answer: nobody knows what it
    has."""
    listed = client.item_files(task, CALL)
    if listed.notes and not which["skip_missing"]:
        raise CrawlerError(
            f"{'; '.join(listed.notes)}. Try again later, or leave it out with --skip-missing"
        )
    for note in listed.notes:
        click.echo(f"crawler: {note}", err=True)
    shelf = shelf_of(listed.folders, partial(_fetch, client, task))
    try:
        return items_at(task, shelf.folders(), **which)
    except NotFound as error:  # the task may be there, but not that run
        raise NoItems(str(error)) from error


def _fetch(
    client: Client, task: str, node: str, path: str, begin: int, moved: str
) -> Iterator[bytes]:
    """Yield the bytes of a file. If the one who is asked goes, go on there a little later. Raises
    CrawlerError."""
    tries = 0
    while True:
        try:
            for data in client.item_bytes(task, node, path, begin, CALL, moved):
                tries = 0
                begin += len(data)
                yield data
            return
        except Retryable:
            tries += 1
            if tries >= MOST_TRIES:
                raise
            time.sleep(AGAIN_S)

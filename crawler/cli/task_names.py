"""Completes the names of tasks in a shell, by asking a master."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial

import click

PATIENCE_S = 0.5
"""For how many seconds a shell waits for masters. With the start of the command, a user waits less
than a second."""


def complete_tasks(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names of tasks that begin so. If no master tells them in time, there are none: a
    shell has no place for errors."""
    found: list[str] = []
    with contextlib.suppress(Exception), context.scope(cleanup=False):
        found.extend(_names(context.params["master"], incomplete))  # those before an error stay
    return found


def _names(master: str, incomplete: str) -> Iterator[str]:
    """Yield the names page by page. Raises CrawlerError when time is up."""
    from crawler.api.backend import Call
    from crawler.api.rpc.any_client import AnyClient
    from crawler.api.rpc.client import Client
    from crawler.cli.master import MASTERS, addresses_of, own_pem, own_token
    from crawler.model.records import MAX_PAGE, Query

    until_s = time.monotonic() + PATIENCE_S
    addresses = addresses_of(master)
    click.get_current_context().meta[MASTERS] = addresses
    client = AnyClient(addresses, partial(Client, token=own_token, pem=own_pem))
    token = ""
    try:
        while True:
            page = client.list(Query(MAX_PAGE, token), Call(until_s - time.monotonic()))
            yield from (each.name for each in page.resources if each.name.startswith(incomplete))
            token = page.next_token
            if not token or token[: len(incomplete)] > incomplete:
                return
    finally:
        client.close()


TASK = click.argument("name", metavar="TASK", shell_complete=complete_tasks)
"""The argument of a command that is about one task."""

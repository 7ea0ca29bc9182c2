"""The options that choose tasks, and their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from crawler.cli.base import labels_option
from crawler.model.records import Query
from crawler.schemas.states import LISTED, SORTS

Command = Callable[..., Any]

_OPTIONS = (
    click.option("--state", type=click.Choice(list(LISTED)), help="Show only tasks in this state."),
    labels_option("Show only tasks with this label."),
    click.option(
        "--search",
        default="",
        metavar="TEXT",
        show_default=False,
        help="Show only tasks with this text in their name, in capital or small letters.",
    ),
    click.option(
        "--spider",
        default="",
        metavar="SPIDER",
        show_default=False,
        help="Show only tasks of this spider (of a project: PROJECT/SPIDER).",
    ),
    click.option(
        "--node",
        default="",
        metavar="NODE",
        show_default=False,
        help="Show only tasks that this worker has (its id or its name).",
    ),
    click.option(
        "--shards", is_flag=True, help="Show each shard of a task on several workers by itself."
    ),
    click.option("--sort", type=click.Choice(list(SORTS)), default="name", help="What to sort by."),
    click.option("--descending", is_flag=True, help="Show the greatest first."),
)


def choice(command: Command) -> Command:
    """Give a command these options. It gets what `query_of` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def query_of(state: str | None, sort: str, **chosen: Any) -> Query:
    """Return what somebody has chosen."""
    return Query(state=LISTED[state] if state else None, sort=SORTS[sort], **chosen)

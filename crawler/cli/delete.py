"""`crawler delete`: the command that deletes tasks of a running cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from crawler.api.rpc.client import Client
from crawler.cli.base import FAILED, Unusable, commands, labels_option
from crawler.cli.cluster import all_tasks
from crawler.cli.master import CALL, MASTER, connected
from crawler.cli.task_names import complete_tasks
from crawler.errors import NotFound, shown
from crawler.model.records import Query
from crawler.plural import counted
from crawler.schemas.states import LISTED

MOST_NAMED = 5
"""How many of the tasks a question names; the rest are counted."""


@commands.command()
@MASTER
@click.argument("names", metavar="[TASK]...", nargs=-1, shell_complete=complete_tasks)
@labels_option("Delete all tasks with this label.")
@click.option(
    "--state",
    type=click.Choice(list(LISTED)),
    help="Delete all tasks in this state.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(
    master: str, names: tuple[str, ...], labels: dict[str, str], state: str | None, yes: bool
) -> int:
    """Delete tasks: their crawls stop, and nothing more is known of them. Their items stay.

    At a terminal it asks first. Without one, tasks that you choose by label or state need --yes.
    """
    is_choice = bool(labels or state)
    if is_choice == bool(names):
        raise click.UsageError("name tasks, or else choose them with --label and --state")
    with connected(master) as client:
        found = list(dict.fromkeys(names))
        if is_choice:
            query = Query(state=LISTED[state] if state else None, labels=labels)
            found = [each.name for each in all_tasks(client, query)]
        if not found:
            click.echo("no task is like that; nothing is deleted")
            return 0
        if not (yes or _agreed(found, is_choice)):
            click.echo("nothing is deleted")
            return FAILED
        missing = [name for name in found if not _deleted(client, name)]
    return FAILED if missing and not is_choice else 0


def _agreed(names: Sequence[str], is_choice: bool) -> bool:
    """Ask whether to delete these tasks. Raises Unusable if a choice needs an answer and nobody is
    there."""
    if sys.stdin.isatty():
        return click.confirm(f"{_question(names)}?", default=False)
    if is_choice:
        raise Unusable(f"{_question(names)}: give --yes to do so, as no terminal is here to ask")
    return True


def _question(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    told = f"{', '.join(names[:MOST_NAMED])}{f' and {more} more' if more > 0 else ''}"
    return f"delete {counted(len(names), 'task')}: {told}"


def _deleted(client: Client, name: str) -> bool:
    """Delete a task, and say so. Returns whether it was there. Raises CrawlerError."""
    try:
        client.delete(name, CALL)
    except NotFound:
        click.echo(f"crawler: no task {shown(name)}; see crawler tasks", err=True)
        return False
    click.echo(f"{name} is deleted")
    return True

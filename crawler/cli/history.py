"""The commands that show what became of tasks and of their runs."""

from __future__ import annotations

import json

import click

from crawler.cli.base import commands, show_table
from crawler.cli.master import CALL, MASTER, connected
from crawler.model.history import (
    DEFAULT_LIMIT,
    MOST_LIMIT,
    RunQuery,
    RunState,
    told_event,
    told_run,
)

LIMIT = click.option("--limit", type=click.IntRange(1, MOST_LIMIT), default=DEFAULT_LIMIT)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
_EVENT = ["time", "kind", "run", "epoch", "state", "worker", "pages", "items", "who", "reason"]
_RUN = [
    *("task", "run", "epoch", "state", "worker", "placed", "ended"),
    *("pages", "items", "failures", "who", "reason"),
]


@commands.command()
@MASTER
@click.argument("task")
@LIMIT
@JSON
def history(master: str, task: str, limit: int, as_json: bool) -> None:
    """Show what happened to TASK: when it was added, placed, begun, moved, ended, and by whom. The
    latest is the last."""
    with connected(master) as client:
        found = client.history(task, limit, CALL)
    _show([told_event(each) for each in found], _EVENT, as_json)


@commands.command()
@MASTER
@click.option("--state", type=click.Choice([state.value for state in RunState]))
@LIMIT
@JSON
def runs(master: str, state: str | None, limit: int, as_json: bool) -> None:
    """List the latest runs of all tasks, the latest first."""
    query = RunQuery(limit, RunState(state) if state else None)
    with connected(master) as client:
        found = client.runs(query, CALL)
    if not found and not as_json:
        click.echo(f"no {state} runs" if state else "no runs yet")
    else:
        _show([told_run(each) for each in found], _RUN, as_json)


def _show(lines: list[dict[str, object]], headers: list[str], as_json: bool) -> None:
    if as_json:
        for line in lines:
            click.echo(json.dumps(line))
    else:
        show_table(
            [name.upper() for name in headers],
            [[line.get(name, "") for name in headers] for line in lines],
        )

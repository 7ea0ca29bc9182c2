"""The commands about the life of a task: pause, resume, stop, and run once more."""

from __future__ import annotations

import click

from crawler.api.http import bodies
from crawler.cli.as_json import JSON, show_json
from crawler.cli.base import commands
from crawler.cli.cluster import task_lines
from crawler.cli.index import ONCE_MORE
from crawler.cli.master import CALL, MASTER, connected
from crawler.cli.task_names import TASK
from crawler.model.records import Resource


def _show(found: Resource, as_json: bool, has_counts: bool = True) -> None:
    if as_json:
        return show_json(bodies.resource(found))
    for line in task_lines(found, has_counts):
        click.echo(line)


@commands.command()
@MASTER
@TASK
@JSON
def pause(master: str, name: str, as_json: bool) -> None:
    """Let TASK rest: its crawl ends in order and keeps its state, and no worker has it until
    `crawler resume TASK`."""
    with connected(master, name) as client:
        _show(client.pause(name, CALL), as_json)


@commands.command()
@MASTER
@TASK
@JSON
def resume(master: str, name: str, as_json: bool) -> None:
    """Let TASK go on, which was paused: it is placed again, and goes on where it was."""
    with connected(master, name) as client:
        _show(client.resume(name, CALL), as_json)


@commands.command()
@MASTER
@TASK
@JSON
def stop(master: str, name: str, as_json: bool) -> None:
    """End TASK for good: its crawl ends in order, and TASK stays with what it has counted.

    It shows as failed, because its items are not all that there are. `crawler run TASK` runs it
    once more, from the beginning.
    """
    with connected(master, name) as client:
        _show(client.stop(name, CALL), as_json)


@commands.command(ONCE_MORE)
@MASTER
@TASK
@JSON
def run(master: str, name: str, as_json: bool) -> None:
    """Run TASK of a cluster once more, from the beginning: it is done, failed or was stopped.

    Items of the runs before stay where they are; the new one writes files of its own. A task whose
    run has not ended is refused: `crawler again TASK` begins it anew.
    """
    with connected(master, name) as client:
        _show(client.run(name, CALL), as_json, has_counts=False)

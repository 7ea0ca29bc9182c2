"""`crawler logs`: the log of a task, from the workers that have or had it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from crawler.api.http import bodies
from crawler.api.rpc.client import Client
from crawler.cli.base import commands
from crawler.cli.master import CALL, MASTER, connected
from crawler.cli.task_names import TASK
from crawler.cli.watching import leave
from crawler.errors import CrawlerError, NotFound, Retryable
from crawler.logs import harmless, text_of
from crawler.model.logs import LogPart, LogQuery

AGAIN_S = 1.0
"""The pause before another try, after a master has gone in the middle."""
MOST_TRIES = 30
"""So many tries in a row bring nothing, then the command gives up."""


@commands.command()
@MASTER
@TASK
@click.option("-f", "--follow", is_flag=True, help="Wait for what comes, until the run has ended.")
@click.option(
    "--run",
    type=click.IntRange(min=1),
    default=None,
    help="Which run of the task, as `crawler task` shows it. The default is the last one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each line as a JSON object.")
def logs(master: str, name: str, follow: bool, run: int | None, as_json: bool) -> None:
    """Show the log of TASK, whichever workers have or had it.

    A task that moved has a piece of it on each worker. They come in the order in which the task
    moved. What is missing is told on standard error.
    """
    with connected(master, name) as client:
        client.get(name, CALL)
        if follow:
            signal.signal(signal.SIGINT, leave)
        shown = _Shown(as_json)
        try:
            for part in _parts(client, LogQuery(name, run or 0, follow=follow)):
                shown.part(part)
        except BrokenPipeError:  # nobody reads on, as with `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parts(client: Client, query: LogQuery) -> Iterator[LogPart]:
    """Yield the parts. If a master goes in the middle, go on at another one, or later. Raises
    CrawlerError."""
    positions: dict[int, tuple[int, int]] = {}
    tries, has_begun = 0, False
    while True:
        try:
            for part in client.logs(replace(query, positions=positions), CALL):
                tries, has_begun = 0, True
                if part.data:
                    positions[part.key.shard] = part.key.epoch, part.begin + len(part.data)
                yield part
            return
        except NotFound as error:  # the task is there, but not that run
            raise CrawlerError(str(error)) from error
        except Retryable as error:
            tries += 1
            if not has_begun or tries >= MOST_TRIES:
                raise
            if tries == 1:
                click.echo(f"crawler: {error}; asking again", err=True)
            time.sleep(AGAIN_S)


class _Shown:
    """Prints the parts of a log."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._colour = sys.stdout.isatty()
        self._place: tuple[int, int] | None = None
        """The shard and the epoch of the line before."""
        self._notes: set[str] = set()

    def part(self, part: LogPart) -> None:
        """Print the lines of a part, or its note. Raises BrokenPipeError."""
        if part.note and part.note not in self._notes:
            self._notes.add(part.note)
            click.echo(f"crawler: {part.note}", err=True)
        lines = self._json(part) if self._as_json else self._text(part)
        sys.stdout.buffer.write(b"".join(lines))
        sys.stdout.buffer.flush()

    def _json(self, part: LogPart) -> Iterator[bytes]:
        return bodies.log_lines(part) if part.data else iter(())

    def _text(self, part: LogPart) -> Iterator[bytes]:
        place = part.key.shard, part.key.epoch
        if part.data and place != self._place:
            self._tell_place(part)
            self._place = place
        for line in part.data.splitlines():
            yield f"{_shown(line, self._colour)}\n".encode(errors="backslashreplace")

    def _tell_place(self, part: LogPart) -> None:
        """Say where the next lines come from."""
        shard = f", shard {part.key.shard}" if part.key.shard else ""
        sys.stdout.flush()
        click.echo(
            f"crawler: run {part.run}, epoch {part.key.epoch}{shard}, {part.node}:", err=True
        )


def _shown(line: bytes, colour: bool) -> str:
    """Return a line for people. They know the task, which each line names."""
    try:
        found: Any = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return harmless(line.decode(errors="replace"))
    found.pop("task", None)
    return text_of(found, colour, day=True)

"""What all commands share: the group they belong to, their statuses, and how signals end them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

import click
import gevent
from gevent.event import Event

from crawler.terminal import tables

FAILED = 1
BAD_SETTINGS = 2
INTERRUPTED = 130

CONFIG = click.option(
    "-c",
    "--config",
    "file",
    envvar="CRAWLER_CONFIG",
    metavar="FILE",
    help="Settings file. The default is config.yaml of this folder, if there is one.",
)


SCRAPYS = {
    "bench": "make bench-engine",
    "crawl": "crawler runspider FILE",
    "fetch": "crawler shell URL -c response.text",
    "genspider": "crawler new spider NAME URL",
    "list": "crawler check FILE…",
    "startproject": "crawler new spider NAME URL; there are no projects, a file is enough",
    "view": "crawler shell URL, then view(response)",
}
"""Commands of Scrapy, and what does the same here."""


class Commands(click.Group):
    """The commands; who asks for one of Scrapy's is told its name here."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; raises UsageError."""
        if args[0] in SCRAPYS and args[0] not in self.commands:
            ctx.fail(f"{args[0]} is a command of Scrapy; here: {SCRAPYS[args[0]]}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(prog_name="crawler", package_name="distributed-crawler")
def commands() -> None:
    """A distributed crawler. Masters place crawl tasks on workers, and survive failures.

    You can also give every setting as an environment variable: node.id as CRAWLER_NODE_ID.
    """


def until_signal(*then: Callable[[], None]) -> Event:
    """Set by SIGTERM or SIGINT; the next ones call `then`, and end the process at once."""
    wanted = Event()
    _on_signal(wanted.set, *then)
    return wanted


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGINT raise KeyboardInterrupt in the body, which stops what it has started.

    Left to itself gevent raises it in its hub, with a traceback, and SIGTERM cleans nothing up.
    """
    body = gevent.getcurrent()
    handlers = _on_signal(lambda: gevent.kill(body, KeyboardInterrupt))
    try:
        yield
    finally:
        for handler in handlers:
            handler.cancel()


def on_interrupt(*answers: Callable[[], None]) -> None:
    """Answer each SIGINT or SIGTERM by the next of these; one more ends the process at once.

    It needs no turn of the hub: a callback that never ends can be interrupted too. So an answer
    must not block.
    """
    left = list(answers)

    def handle(number: int, frame: FrameType | None) -> None:
        if not left:
            os._exit(INTERRUPTED)
        left.pop(0)()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _on_signal(*answers: Callable[[], None]) -> list[Any]:
    """Answer each SIGTERM or SIGINT by the next of these; one more ends the process at once."""
    left = list(answers)

    def handle() -> None:
        if not left:
            os._exit(INTERRUPTED)
        left.pop(0)()

    numbers = (signal.SIGTERM, signal.SIGINT)
    return [gevent.signal_handler(number, handle) for number in numbers]


def show_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table."""
    for line in tables.lines(headers, rows):
        click.echo(line)

"""What all commands share: the group that they belong to, and the exit statuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

import crawler
from crawler.cli.index import INDEX, ONCE_MORE
from crawler.terminal import tables

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FAILED = 1
BAD_SETTINGS = 2
INTERRUPTED = 130
DEFAULT_MASTER = "127.0.0.1:9091"
"""The master that commands ask if they are told of none."""
OTHER_TOKEN = "crawler: CRAWLER_TOKEN is set, and commands use that instead"
INTERRUPTED_TEXT = "crawler: interrupted"
STOPPED_TEXT = f"{INTERRUPTED_TEXT}; everything that it started is stopped"
STARTING = frozenset({"demo", "master", "run", "runspider", "site", "up", "worker"})
"""The commands that start something, which an interruption stops."""

CONFIG = click.option(
    "-c",
    "--config",
    "file",
    envvar="CRAWLER_CONFIG",
    metavar="FILE",
    help="Settings file. The default is config.yaml of this folder, if there is one.",
)

RESUME = click.option(
    "--resume",
    metavar="FOLDER",
    help="Keep the crawl's state in this folder, or in a Redis (redis://…). The same command goes "
    "on from there later.",
)
ANEW = click.option(
    "--anew", is_flag=True, help="Drop what the folder of --resume keeps, and begin anew."
)

DROP_MISSING = click.option(
    "--drop-missing",
    is_flag=True,
    help="Let the requests in the folder of --resume fail whose callbacks are gone.",
)


def labels_option(told: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option for labels, which may be there several times."""
    return click.option(
        "--label", "labels", metavar="KEY=VALUE", multiple=True, callback=_labels, help=told
    )


def _labels(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for text in value:
        key, is_given, label = text.partition("=")
        if not key or not is_given:
            raise click.BadParameter(f"{text!r} is not allowed; allowed is KEY=VALUE")
        found[key] = label
    return found


def shown_time(time_ns: int) -> str:
    """Return a wall time for people; an empty text for 0."""
    if not time_ns:
        return ""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")


SCRAPYS = {
    "bench": "make bench-engine",
    "crawl": "crawler runspider FILE",
    "fetch": "crawler shell URL -c response.text",
    "genspider": "crawler new spider NAME URL",
    "list": "crawler check FILE…",
    "startproject": "crawler new spider NAME URL; there are no projects, a file is enough",
    "view": "crawler shell URL, then view(response)",
}
"""Scrapy's commands, with the command here that does the same."""


LOCAL_VALUES = frozenset({"-c", "--config", "-o", "--output", "--resume"})
LOCAL_FLAGS = frozenset({"--anew", "--drop-missing", "-h", "--help"})
"""The options of `crawler run` without a task: those with a value, and the others."""


class Unusable(click.ClickException):
    """An option cannot be used, and nothing was started."""

    exit_code = BAD_SETTINGS

    def show(self, file: Any = None) -> None:
        """Print it on standard error."""
        click.echo(f"crawler: {self.message}", err=True)


class Interrupted(click.ClickException):
    """A signal ended a command before it was done."""

    exit_code = INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Print it on standard error, below the ^C of a terminal."""
        click.echo(f"\n{self.message}", err=True)


class Modules(MutableMapping[str, click.Command]):
    """The commands by name. The module of a command is imported when the command is called."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            source = INDEX[name]
            source.prepare()
            import_module(f"crawler.cli.{source.module}")
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(INDEX)

    def __len__(self) -> int:
        return len(INDEX)


class Commands(click.Group):
    """The group of commands. For a command of Scrapy, the error names the command here."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises Interrupted after a signal."""
        try:
            return super().invoke(ctx)
        except (click.Abort, KeyboardInterrupt):
            starts = ctx.invoked_subcommand in STARTING
            raise Interrupted(STOPPED_TEXT if starts else INTERRUPTED_TEXT) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lines of --help about the commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, INDEX[name].help) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the completions of the name of a command, or of an option, without importing any
        command."""
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=INDEX[name].help) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the user called. Raises UsageError."""
        if args[0] in SCRAPYS and args[0] not in self.commands:
            ctx.fail(f"{args[0]} is a command of Scrapy; here: {SCRAPYS[args[0]]}")
        name, command, rest = super().resolve_command(ctx, args)
        if name == "run" and not _is_local(rest):
            return name, self.commands[ONCE_MORE], rest
        return name, command, rest


def _is_local(args: Sequence[str]) -> bool:
    """Whether these arguments of `crawler run` are for the tasks of a settings file: then they are
    options alone, and none that leads to a cluster."""
    left = iter(args)
    for arg in left:
        option = arg.partition("=")[0]
        if option in LOCAL_VALUES or (arg[:2] in LOCAL_VALUES and not arg.startswith("--")):
            if arg == option and arg in LOCAL_VALUES:
                next(left, "")
        elif option not in LOCAL_FLAGS:
            return False
    return True


@click.group(
    cls=Commands,
    commands=Modules(),
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(crawler.__version__, prog_name="crawler")
def commands() -> None:
    """A distributed crawler. Masters place crawl tasks on workers, and survive failures.

    You can also give every setting as an environment variable: node.id as CRAWLER_NODE_ID.
    """


def show_table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table."""
    for line in tables.lines(headers, rows):
        click.echo(line)

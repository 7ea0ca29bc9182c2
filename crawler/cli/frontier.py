"""Commands about the states of tasks that workers keep: on this machine, or in their Redis."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import click

from crawler.cli.base import CONFIG, FAILED, Unusable, commands, show_table
from crawler.engine.frontier.store import StoreFailed, StoreInUse
from crawler.items.leftovers import Leftover, leftovers
from crawler.items.names import folder_name
from crawler.node.run.kept import WHO, KeptInFolder, KeptInRedis, KeptPlace, KeptState, named
from crawler.plural import counted
from crawler.settings import config
from crawler.terminal import report, tables

SHOWN = 3
"""So many files are named."""
FOLDER = click.option(
    "--folder",
    metavar="FOLDER",
    help="Folder of the states. The default is frontier.url if it is set, or else frontier.folder.",
)


@commands.group()
def frontier() -> None:
    """Look at what workers keep of their tasks, on this machine or in Redis, or remove it."""


@frontier.command("list")
@CONFIG
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each state.")
def list_(file: str | None, folder: str | None, as_json: bool) -> None:
    """List the states: whose they are, what is left, and whether a process uses them."""
    states = _kept(_place(file, folder))
    if as_json:
        for each in states:
            click.echo(json.dumps(dataclasses.asdict(each), default=str))
        return
    if folder is None:
        _tell_leftovers(_leftovers(file))
    headers = ("TASK", "ID", "BEGAN", "SHARDS", "PAGES", "TO GO", "SIZE", "USED", "STATE")
    show_table(headers, [_row(each) for each in states])


@frontier.command()
@CONFIG
@FOLDER
@click.option(
    "--leftovers",
    "only_leftovers",
    is_flag=True,
    help="Remove no states, but the files of items (.part) of crawls that were dropped before "
    "their end.",
)
@click.argument("tasks", metavar="[TASK]...", nargs=-1)
def clear(
    file: str | None, folder: str | None, only_leftovers: bool, tasks: tuple[str, ...]
) -> int:
    """Remove the states of these tasks, or of all: they begin anew when they come here again.

    A state that a process uses stays.
    """
    if only_leftovers and folder is not None:
        raise Unusable("--leftovers: are in worker.items of the settings; leave --folder out")
    if only_leftovers:
        return _clear_leftovers(file, tasks)
    place = _place(file, folder)
    states = _kept(place)
    unknown = [task for task in tasks if not named(states, (task,))]
    for task in unknown:
        click.echo(f"crawler: nothing is kept of task {task!r} in {place.name}", err=True)
    left = [each for each in named(states, tasks) if not _cleared(place, each)]
    return FAILED if unknown or left else 0


def _tell_leftovers(left: list[Leftover]) -> None:
    if not left:
        return
    size = report.size(sum(each.bytes for each in left))
    named = ", ".join(str(each.path) for each in left[:SHOWN])
    click.echo(
        f"crawler: {counted(len(left), 'file')} of items ({size}) of crawls that were dropped:"
        f" {named}{', …' if len(left) > SHOWN else ''}; crawler frontier clear --leftovers"
        " removes what was dropped",
        err=True,
    )


def _clear_leftovers(file: str | None, tasks: tuple[str, ...]) -> int:
    """Remove files of items that nobody will end. Returns the exit status."""
    folders = {folder_name(task) for task in tasks}
    for each in _leftovers(file):
        if not tasks or folder_name(each.task) in folders:
            size = report.size(each.bytes)
            try:
                _remove(each.path)
            except OSError as error:
                raise Unusable(f"{each.path}: {error.strerror}; {WHO}") from error
            click.echo(f"{each.path} is removed: {size} of a crawl that was dropped")
    return 0


def _remove(path: Path) -> None:
    if path.is_dir():  # Parquet
        shutil.rmtree(path)
    else:
        path.unlink()


def _leftovers(file: str | None) -> list[Leftover]:
    """Those of the workers of this machine."""
    settings = config.load(file, os.environ)
    return list(leftovers(Path(settings.folder, settings.worker.items)))


def _cleared(place: KeptPlace, state: KeptState) -> bool:
    name = f"{state.task} ({state.id}-{state.began})"
    try:
        place.remove(state)
    except StoreInUse:
        click.echo(
            f"crawler: {name} is in use by a process; stop its worker, or delete the task, and try"
            " again",
            err=True,
        )
        return False
    except StoreFailed as error:
        click.echo(f"crawler: {name}: {error}", err=True)
        return False
    lost = "" if state.pages is None else f": {counted(state.pages, 'page')} done"
    click.echo(f"{name} is removed{lost}")
    return True


def _place(file: str | None, folder: str | None) -> KeptPlace:
    if folder is not None:
        if not Path(folder).is_dir():
            raise Unusable(f"--folder: {folder!r} is no folder; name the one of a worker")
        return KeptInFolder(Path(folder))
    settings = config.load(file, os.environ)
    if settings.frontier.url:
        return KeptInRedis(settings.frontier, settings.folder)
    return KeptInFolder(Path(settings.folder, settings.frontier.folder))


def _kept(place: KeptPlace) -> list[KeptState]:
    try:
        return place.all()
    except StoreFailed as error:
        raise Unusable(str(error)) from error


def _row(state: KeptState) -> tuple[object, ...]:
    unknown = "-"
    return (
        state.task,
        state.id,
        state.began,
        state.shards,
        unknown if state.pages is None else state.pages,
        unknown if state.to_go is None else state.to_go,
        report.size(state.bytes),
        f"{tables.plain(round(state.used_s))} s ago",
        "in use" if state.in_use else state.fault or "free",
    )

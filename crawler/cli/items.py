"""`crawler items`: the items of a task over all its runs, from files here or of a cluster."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from crawler.cli.base import CONFIG, FAILED, Unusable, commands, show_table
from crawler.cli.item_targets import STANDARD_OUTPUT, Target, write
from crawler.cli.reaching import MASTER
from crawler.items import TaskItems, items_of, tasks_in
from crawler.items.failures import ItemsDamaged
from crawler.items.following import followed
from crawler.items.formats import BEST_FIRST
from crawler.items.names import DELETED, STOPPED, folder_name
from crawler.items.names import FAILED as HAS_FAILED
from crawler.items.reader import GOING_ON, items_at
from crawler.plural import counted
from crawler.runtime import prepare

LOOK_S = 1.0
"""How often it is looked for new items while somebody follows a crawl."""
DEPTH = 3000
"""How deep calls may go; Python's own limit is 1,000. An item may be nested as deeply as its crawl
could write it, and this command may stand deeper in calls than that crawl did."""
_UNWHOLE = {
    GOING_ON: "has not ended",
    HAS_FAILED: "has failed",
    DELETED: "was deleted before its end",
    STOPPED: "was stopped before its end",
}
"""What is told of a crawl that is not done, by its state."""
FORMATS = ("jsonl", "json", "csv", "xml", "parquet")


@commands.command()
@click.argument("task", required=False)
@click.option(
    "--folder",
    "folders",
    metavar="ITEMS",
    multiple=True,
    help="Folder of the items of a worker, or the URL of items.url. You may give it more than "
    "once, for the folders of several machines. The default is worker.items of the settings, and "
    "their items.url.",
)
@CONFIG
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where items go: a file to append to, a database, or - for standard output.",
)
@click.option(
    "-O", "--overwrite", "fresh", metavar="FILE", help="Like -o, but start the file anew."
)
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    help="Format of what is written. The default is what the suffix of the file says, and JSON "
    "lines on standard output.",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(BEST_FIRST),
    help="Format of the files that are read, if the task has several. The default is the one that "
    "keeps the types of values best.",
)
@click.option("--epoch", type=int, help="Read the crawl that has the run of this epoch.")
@click.option("--id", "id", default="", help="Read a crawl of the task of this id.")
@click.option("--skip-missing", is_flag=True, help="Leave out files that are in no folder.")
@click.option(
    "-f", "--follow", is_flag=True, help="Wait for the items that come, until the crawl has ended."
)
@MASTER
@click.option("--json", "as_json", is_flag=True, help="Print the list of tasks as one JSON object.")
def items(
    task: str | None,
    folders: tuple[str, ...],
    file: str | None,
    output: str | None,
    fresh: str | None,
    format: str | None,
    source: str | None,
    epoch: int | None,
    id: str,
    skip_missing: bool,
    follow: bool,
    master: str,
    as_json: bool,
) -> int:
    """Write the items of TASK, over all runs of its last crawl. Without TASK, list the tasks.

    With --master (or CRAWLER_MASTER) it asks the workers of that cluster, through any master.
    Without, it reads the files that workers wrote on this machine, and needs no cluster. A crawl
    that goes on has its items so far.
    """
    if task is not None and as_json:
        raise Unusable(
            "--json: is for the list of tasks; the items of a task are JSON lines anyway"
        )
    if output is not None and fresh is not None:
        raise Unusable("-o and -O: both given; give one of them")
    sys.setrecursionlimit(max(DEPTH, sys.getrecursionlimit()))
    which: dict[str, Any] = {
        "format": source or "",
        "id": id,
        "epoch": epoch,
        "skip_missing": skip_missing,
    }
    is_far = not folders and _asks_a_cluster()
    if task is None:
        if is_far:
            raise Unusable("TASK: missing; name a task of the cluster (crawler tasks lists them)")
        return _list(_folders(folders or _usual(file)), as_json)
    target = (output if fresh is None else fresh) or STANDARD_OUTPUT
    wanted = Target(target, format or "", fresh is not None, follow)
    if not is_far:
        near = folders or _usual(file)
        return _show(task, lambda: _found(task, near, which), wanted)
    prepare()  # only now gRPC is needed
    from crawler.cli.far_items import in_cluster

    with in_cluster(master, task, follow, **which) as look:
        return _show(task, look, wanted)


def _asks_a_cluster() -> bool:
    """Whether a master is named: with --master, or by its variable and no settings with -c."""
    source_of = click.get_current_context().get_parameter_source
    master, settings = source_of("master"), source_of("file")
    if master is ParameterSource.ENVIRONMENT:
        return settings is not ParameterSource.COMMANDLINE
    return master is ParameterSource.COMMANDLINE


def _show(task: str, look: Callable[[], TaskItems], wanted: Target) -> int:
    """Write the items that are found. Returns the exit status."""
    found = look()
    for note in found.notes:
        _say(note)
    items = followed(look, lambda: time.sleep(LOOK_S)) if wanted.follow else iter(found)
    try:
        count = write(found, items, wanted)
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if found.state in _UNWHOLE and not wanted.follow:
        _say(f"the crawl of {task} {_UNWHOLE[found.state]}: {counted(count, 'item')} so far")
    return 0


def _usual(file: str | None) -> Sequence[str]:
    """The folder of items in the settings, and the place that workers share. Raises ConfigError."""
    from crawler.settings import config

    settings = config.load(file, os.environ)
    url = settings.items.url
    shared = [Path(url).as_uri() if url.startswith("/") else url] if url else []
    return [str(Path(settings.folder, settings.worker.items)), *shared]


def _found(task: str, places: Sequence[str], which: Mapping[str, Any]) -> TaskItems:
    """Find the items of a task in these folders, some of which may be URLs. Raises CrawlerError."""
    folders = _folders(places)
    urls = [place for place in places if place not in folders]
    if not urls:
        return items_of(task, *folders, **which)
    from crawler.items.cloud import CloudItems

    name = folder_name(task)
    shelves = [CloudItems(url).shelf(name) for url in urls]
    near = [Path(folder, name) for folder in folders]
    return items_at(
        task, [*near, *(each for shelf in shelves for each in shelf.folders())], **which
    )


def _folders(places: Sequence[str]) -> Sequence[str]:
    """Return those that are folders of this machine, and no URLs."""
    return [place for place in places if "://" not in place]


def _list(folders: Iterable[str], as_json: bool) -> int:
    """Show the tasks of these folders. Returns the exit status."""
    damaged: list[ItemsDamaged] = []
    rows = list(_rows(tasks_in(*folders, tell=damaged.append)))
    for error in damaged:
        _say(str(error))
    if as_json:
        click.echo(json.dumps({"tasks": rows}, ensure_ascii=False))
    else:
        headers = ("TASK", "ID", "RUNS", "ITEMS", "BYTES", "STATE")
        show_table(
            headers, [["?" if cell is None else cell for cell in row.values()] for row in rows]
        )
    return FAILED if damaged or any(row["items"] is None for row in rows) else 0


def _rows(tasks: Iterable[TaskItems]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield {
            "task": task.name,
            "id": task.id,
            "runs": len(task.epochs),
            "items": _count(task),
            "bytes": task.bytes,
            "state": task.state,
        }


def _count(task: TaskItems) -> int | None:
    """The items of a task; None if a file is damaged, which is told."""
    try:
        return task.count()
    except ItemsDamaged as error:
        _say(str(error))
        return None


def _say(message: str) -> None:
    """Tell people something that is not the result."""
    click.echo(f"crawler: {message}", err=True)

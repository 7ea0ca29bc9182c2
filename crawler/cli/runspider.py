"""`crawler runspider`: one spider in one process, from a file to items."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from crawler import logs
from crawler.cli import options, resuming
from crawler.cli.base import ANEW, CONFIG, DROP_MISSING, FAILED, INTERRUPTED, RESUME, commands
from crawler.cli.signals import end_at_once, end_in_order
from crawler.devtools.one_spider import Solo, engine_for
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.items.sinks.targets import STANDARD_OUTPUT, Targets, public
from crawler.errors import InvalidArgument
from crawler.model.records import State
from crawler.settings import config
from crawler.terminal import report
from crawler.terminal.terminal import StatusLine

ADDED = "added to what it had before; -O instead of -o begins it anew"


@commands.command()
@click.argument("path", metavar="FILE")
@options.SPIDER
@options.ARGUMENTS
@options.SETTINGS
@click.option("-o", "--output", "outputs", metavar="ITEMS", multiple=True, help=options.OUTPUT)
@click.option(
    "-O",
    "--overwrite",
    "fresh",
    metavar="ITEMS",
    multiple=True,
    help="Like -o, but start the file anew.",
)
@RESUME
@ANEW
@DROP_MISSING
@options.LEVEL
@CONFIG
def runspider(
    path: str,
    spider: str | None,
    arguments: tuple[str, ...],
    settings: tuple[str, ...],
    outputs: tuple[str, ...],
    fresh: tuple[str, ...],
    resume: str | None,
    anew: bool,
    drop_missing: bool,
    level: str,
    file: str | None,
) -> int:
    """Run the spider of FILE, Python or YAML, in this process: no cluster, no etcd.

    Ctrl-C ends the crawl in order, and writes its items. A second Ctrl-C cuts off a callback that
    does not end; the items yielded so far are written all the same, within 5 seconds. A third ends
    the process at once. With --resume, the same command goes on later, however this one ended.
    """
    end_at_once()
    line = StatusLine(sys.stderr)
    logs.setup(level, "text", line)
    kind = options.chosen(options.spiders_of(path), spider, path)
    folder, settings = resuming.folder_of(resume, settings)
    spec = options.spec_of(kind, arguments, settings)
    longer = {place for place in outputs if _has_items(place)}
    loaded = config.load(file, os.environ)
    with (
        resuming.hosts_of(loaded, folder) as hosts,
        engine_for(loaded.crawl, kind, shared_hosts=hosts) as engine,
        resuming.opened(folder, spec, anew, drop_missing, (*outputs, *fresh)) as kept,
    ):
        try:
            solo = Solo(engine, spec, Targets(outputs, fresh, spec.name), kept)
        except InvalidArgument as error:
            raise options.refused(error) from error
        end_in_order(solo, goes_on=kept is not None)
        crawl = solo.run(lambda found: line.show(report.status(found)))
    line.show("")
    longer = {place for place in longer if not resuming.is_its_own(kept, place)}
    status = _tell(crawl, (*outputs, *fresh), longer)
    resuming.tell_end(crawl, kept)
    return status


def _has_items(place: str) -> bool:
    """Whether a place for items is a file or folder that has something in it already."""
    path = Path(place)
    if path.is_dir():
        return any(path.iterdir())
    return path.is_file() and path.stat().st_size > 0


def _tell(crawl: Crawl, places: tuple[str, ...], longer: set[str]) -> int:
    """Show how the crawl ended. `longer` are the places that had items before. Return the exit
    status."""
    files = [
        public(place) + (f" ({ADDED})" if place in longer else "")
        for place in places
        if place != STANDARD_OUTPUT
    ]
    lines = [*report.summary(crawl.statistics), *(report.row("items in", file) for file in files)]
    if not places:
        lines.append(report.row("items in", "nowhere; -o FILE keeps them"))
    click.echo("\n".join(lines), err=STANDARD_OUTPUT in places)
    if crawl.stopped:
        click.echo(
            "crawler: the crawl was stopped before it was done; its items so far are written",
            err=True,
        )
        return INTERRUPTED
    state, reason = crawl.outcome()
    if state is State.FAILED:
        click.echo(f"crawler: the crawl failed: {reason}", err=True)
    return FAILED if state is State.FAILED else 0

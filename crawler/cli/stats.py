"""`crawler stats`: the statistics of a task's crawls, as their workers have them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from crawler.cli.base import commands
from crawler.cli.master import CALL, MASTER, connected
from crawler.cli.task_names import TASK
from crawler.errors import CrawlerError
from crawler.model.statistics import Statistics
from crawler.model.task_statistics import CrawlPart, TaskStatistics
from crawler.plural import counted
from crawler.terminal import report


@commands.command()
@MASTER
@TASK
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def stats(master: str, name: str, as_json: bool) -> None:
    """Show the statistics of the crawl of TASK, live or at its end, as its worker has them. For a
    task on several workers, they are those of all its shards together."""
    with connected(master, name) as client:
        found = client.task_statistics(name, CALL)
    if found.statistics is None:
        first = min(found.parts, key=lambda part: not part.silent)
        raise CrawlerError(_why_none(name, first))
    for part in found.parts:
        if part.silent:
            click.echo(_missed(name, part), err=True)
    workers = found.workers if _is_on_several(found) else {}
    if as_json:
        told = {"workers": dict(workers)} if workers else {}
        click.echo(json.dumps({**found.statistics.to_json(), **told}))
    else:
        click.echo("\n".join(_lines(found.statistics, workers)))


def _is_on_several(found: TaskStatistics) -> bool:
    """Whether the task has shards. Those that the head alone knows were removed."""
    return sum(bool(part.node or not part.of_head) for part in found.parts) > 1


def _lines(found: Statistics, workers: Mapping[str, int]) -> list[str]:
    lines = report.summary(found)
    if workers:
        where = ", ".join(f"{node} {counted(n, 'crawl')}" for node, n in sorted(workers.items()))
        lines.insert(1, report.row("workers", where))
    return lines


def _missed(name: str, part: CrawlPart) -> str:
    """Return what the statistics have of a crawl whose worker is silent."""
    is_known = part.statistics is not None
    instead = "what the head of the task knows of it counts" if is_known else "it is left out"
    return f"crawler: {part.name}: {instead}; {_why_none(name, part)}"


def _why_none(name: str, part: CrawlPart) -> str:
    """Return why nobody tells the statistics of a crawl."""
    if part.silent:
        return f"worker {part.node} does not give its statistics: {part.note}"
    if part.node:
        return f"worker {part.node}: {part.note}"
    return f"{part.note}; crawler explain {name} says why"

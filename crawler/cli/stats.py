"""`crawler stats`: the statistics of a task's crawl, from the workers that have it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import click

from crawler.api.rpc.worker import CrawlsClient
from crawler.cli.base import commands
from crawler.cli.master import CALL, MASTER, connected
from crawler.errors import CrawlerError, NotFound, Retryable
from crawler.model.records import Query, Resource, State
from crawler.model.shards import MAX_WORKERS, is_sharded
from crawler.model.statistics import Statistics, together, whole
from crawler.plural import counted
from crawler.terminal import report


@commands.command()
@MASTER
@click.argument("name", metavar="TASK")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def stats(master: str, name: str, as_json: bool) -> None:
    """Show the statistics of the crawl of TASK, live or at its end, as its worker has them. For a
    task on several workers, they are those of all its shards together."""
    with connected(master, name) as client:
        head = client.get(name, CALL)
        parts = [head]
        if is_sharded(head.spec) and not head.spec.shard:
            query = Query(MAX_WORKERS, f"{name}~", shards=True)
            listed = client.list(query, CALL).resources
            parts += [each for each in listed if each.spec.shard_of == name]
    owned = [each for each in parts if each.owner is not None]
    if not owned:
        raise CrawlerError(f"{name} has no worker yet; crawler explain {name} says why")
    found = whole(_asked(owned))
    owners = [each.owner.node_id for each in owned if each.owner]
    places = Counter(owners) if len(parts) > 1 else Counter()
    if as_json:
        told = {**together(found).to_json(), **({"workers": dict(places)} if places else {})}
        click.echo(json.dumps(told))
        return
    lines = report.summary(together(found))
    if places:
        where = ", ".join(f"{node} {counted(n, 'crawl')}" for node, n in sorted(places.items()))
        lines.insert(1, report.row("workers", where))
    click.echo("\n".join(lines))


def _asked(owned: Sequence[Resource]) -> list[Statistics]:
    """Return the statistics of these crawls. One that has not begun yet has none. Raises
    CrawlerError."""
    found: list[Statistics] = []
    missing: CrawlerError | None = None
    for each in owned:
        try:
            found.append(_of_worker(each))
        except NotFound as error:
            missing = missing or CrawlerError(_why_none(each, error))
    if missing is not None and not found:
        raise missing
    return found


def _of_worker(asked: Resource) -> Statistics:
    """Return what its worker tells of a task. Raises NotFound, or CrawlerError if the worker does
    not tell."""
    assert asked.owner is not None  # only such tasks are asked for
    worker = CrawlsClient(asked.owner.address)
    try:
        return worker.statistics(asked.name, CALL)
    except Retryable as error:
        raise CrawlerError(
            f"worker {asked.owner.node_id} does not give its statistics: {error}"
        ) from error
    finally:
        worker.close()


def _why_none(asked: Resource, error: NotFound) -> str:
    """Return why a worker has no statistics of a task that it has."""
    where = asked.owner.node_id if asked.owner else ""
    if asked.state is State.ASSIGNED:
        return f"the crawl of {asked.name} has not begun yet; it is assigned to {where}"
    if asked.state is State.RUNNING:
        return f"worker {where}: {error}"
    reason = f": {asked.reason}" if asked.reason else ""
    return f"worker {where}: {error}; the task is {asked.state.value}{reason}"

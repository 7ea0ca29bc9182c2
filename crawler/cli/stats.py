"""`crawler stats`: the statistics of a task's crawl, from the workers that have it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import click

from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.cli.base import commands
from crawler.cli.master import CALL, MASTER, connected, own_pem, own_token, way_to
from crawler.cli.task_names import TASK
from crawler.errors import CrawlerError, NotFound, Retryable
from crawler.model.records import Query, Resource, State
from crawler.model.shards import MAX_WORKERS, is_sharded
from crawler.model.statistics import Statistics, together, whole
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
        head = client.get(name, CALL)
        parts = [head]
        if is_sharded(head.spec) and not head.spec.shard:
            query = Query(MAX_WORKERS, f"{name}~", shards=True)
            listed = client.list(query, CALL).resources
            parts += [each for each in listed if each.spec.shard_of == name]
    owned = [each for each in parts if each.owner is not None]
    if not owned:
        raise CrawlerError(f"{name} has no worker yet; crawler explain {name} says why")
    found = _with_head(head, whole(_asked(owned)))
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
    """Return the statistics of these crawls. One that has not begun yet has none. If a worker does
    not answer, those of the others are returned, and a line says so. Raises CrawlerError if there
    are none."""
    found: list[Statistics] = []
    missing, silent = [], []
    for each in owned:
        try:
            found.append(_of_worker(each))
        except NotFound as error:
            missing.append(_why_none(each, error))
        except Retryable as error:
            silent.append((each, error))
    if not found:
        raise CrawlerError([*(_why_silent(*each) for each in silent), *missing][0])
    for mute, why in silent:
        click.echo(_missed(mute, why, found), err=True)
    return found


def _of_worker(asked: Resource) -> Statistics:
    """Return what its worker tells of a task. Raises NotFound, and Retryable if the worker does
    not tell."""
    assert asked.owner is not None  # only such tasks are asked for
    worker = CrawlsClient(way_to(asked.owner.address), token=own_token, pem=own_pem)
    try:
        return worker.statistics(asked.name, CALL)
    finally:
        worker.close()


def _with_head(head: Resource, found: Sequence[Statistics]) -> Sequence[Statistics]:
    """Return the statistics of the crawls of a task, that of its head first. While the task is not
    over, no shard can stand for a head that told nothing: a shard may have ended."""
    if found[0].task == head.name or head.state.finished:
        return found
    return [Statistics(head.name, head.spec.spider_name), *found]


def _missed(asked: Resource, error: Retryable, found: Sequence[Statistics]) -> str:
    """Return what the statistics of the others have of a crawl whose worker is silent."""
    is_known = any(asked.name == shard.task for part in found for shard in part.shards.values())
    instead = "what the head of the task knows of it counts" if is_known else "it is left out"
    return f"crawler: {asked.name}: {instead}; {_why_silent(asked, error)}"


def _why_silent(asked: Resource, error: Retryable) -> str:
    """Return why a worker tells nothing of a task that it has."""
    where = asked.owner.node_id if asked.owner else ""
    return f"worker {where} does not give its statistics: {error}"


def _why_none(asked: Resource, error: NotFound) -> str:
    """Return why a worker has no statistics of a task that it has."""
    where = asked.owner.node_id if asked.owner else ""
    if asked.state is State.ASSIGNED:
        return f"the crawl of {asked.name} has not begun yet; it is assigned to {where}"
    if asked.state is State.RUNNING:
        return f"worker {where}: {error}"
    reason = f": {asked.reason}" if asked.reason else ""
    return f"worker {where}: {error}; the task is {asked.state.value}{reason}"

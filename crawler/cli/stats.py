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
from crawler.model.records import Owner, Query
from crawler.model.shards import MAX_WORKERS, is_sharded
from crawler.model.statistics import Statistics, together
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
    owned = [(each.name, each.owner) for each in parts if each.owner is not None]
    if not owned:
        raise CrawlerError(f"{name} has no worker yet; crawler explain {name} says why")
    found = _asked(owned)
    places = Counter(owner.node_id for _, owner in owned) if len(parts) > 1 else Counter()
    if as_json:
        told = {**together(found).to_json(), **({"workers": dict(places)} if places else {})}
        click.echo(json.dumps(told))
        return
    lines = report.summary(together(found))
    if places:
        where = ", ".join(f"{node} {counted(n, 'crawl')}" for node, n in sorted(places.items()))
        lines.insert(1, report.row("workers", where))
    click.echo("\n".join(lines))


def _asked(owned: Sequence[tuple[str, Owner]]) -> list[Statistics]:
    """Return the statistics of these crawls. One that has not begun yet has none. Raises
    CrawlerError."""
    found: list[Statistics] = []
    missing: NotFound | None = None
    for name, owner in owned:
        worker = CrawlsClient(owner.address)
        try:
            found.append(worker.statistics(name, CALL))
        except NotFound as error:
            missing = missing or error
        except Retryable as error:
            raise CrawlerError(
                f"worker {owner.node_id} does not give its statistics: {error}"
            ) from error
        finally:
            worker.close()
    if missing is not None and not found:
        raise missing
    return found

"""The command that says why a task is on its worker, or waits."""

from __future__ import annotations

import click

from crawler.api.http import bodies
from crawler.cli.as_json import JSON, show_json
from crawler.cli.base import commands, show_table
from crawler.cli.master import CALL, MASTER, connected
from crawler.cli.task_names import TASK
from crawler.model.policy import (
    LAST,
    STRATEGY,
    Explanation,
    Fault,
    Score,
    ShardStanding,
    WorkerVerdict,
)
from crawler.terminal import tables


@commands.command()
@MASTER
@TASK
@JSON
def explain(master: str, name: str, as_json: bool) -> None:
    """Show why TASK is on its worker, or waits: what each plugin says of each worker now."""
    with connected(master, name) as client:
        found = client.explain(name, CALL)
    if as_json:
        return show_json(bodies.explanation(found))
    _show_explanation(found)


def _show_explanation(found: Explanation) -> None:
    click.echo(_standing(found))
    if found.waits_for:
        click.echo(f"it waits for {found.waits_for}")
    for shard in found.shards:
        click.echo(_shard_standing(shard))
    if found.shards:
        click.echo(
            f"what follows judges {found.name} alone, the head; for another crawl of the task:"
            f" crawler explain {found.shards[0].name}"
        )
    chosen = found.judgement.chosen or "no worker would get it"
    click.echo(f"if it were placed now, by {found.judgement.strategy}: {chosen}")
    for fault in found.judgement.faults:
        click.echo(_skipped(fault))
    click.echo()
    rows = [_verdict_row(verdict, found.judgement.chosen) for verdict in found.judgement.workers]
    show_table(("WORKER", "UNFINISHED", "RATING", "SCORES", "TOTAL", "VERDICT"), rows)


def _standing(found: Explanation) -> str:
    where = f" on {found.assigned_node}" if found.assigned_node else ""
    group = f", group {found.group}" if found.group else ""
    reason = f": {found.reason}" if found.reason else ""
    return f"{found.name} (priority {found.priority}{group}) is {found.state}{where}{reason}"


def _shard_standing(shard: ShardStanding) -> str:
    where = f" on {shard.assigned_node}" if shard.assigned_node else ""
    reason = f": {shard.reason}" if shard.reason else ""
    waits = f"; it waits for {shard.waits_for}" if shard.waits_for else ""
    return f"{shard.name} is {shard.state}{where}{reason}{waits}"


def _skipped(fault: Fault) -> str:
    if fault.worker:
        return _skipped_about(fault)
    if fault.hook == STRATEGY:
        return (
            f"the strategy, of plugin {fault.plugin}, failed ({fault.error}); "
            "it is skipped, and all workers are rated alike"
        )
    return f"plugin {fault.plugin} failed in {fault.hook} ({fault.error}); it is skipped"


def _skipped_about(fault: Fault) -> str:
    """Return what happens to the worker, or the domain, about which a plugin failed."""
    failed = f"failed about {fault.worker} ({fault.error})"
    if fault.hook == STRATEGY:
        return f"the strategy, of plugin {fault.plugin}, {failed}; this worker is rated last"
    then = "is refused" if fault.hook.startswith("filter") else "gets no points from it"
    one = "domain" if fault.hook.endswith("_domains") else "worker"
    return f"plugin {fault.plugin}, in {fault.hook}, {failed}; this {one} {then}"


def _verdict_row(verdict: WorkerVerdict, chosen: str) -> tuple[object, ...]:
    if verdict.refusals:
        why = "; ".join(f"{plugin}: {why}" for plugin, why in sorted(verdict.refusals.items()))
        return verdict.node_id, verdict.unfinished, "", "", "", why
    scores = ", ".join(map(_score, verdict.scores))
    is_last = verdict.rating == LAST
    rating, total = ("last", "last") if is_last else (verdict.rating, verdict.total)
    told = "would do if no other could" if is_last else "would do"
    told = "chosen" if verdict.node_id == chosen else told
    return verdict.node_id, verdict.unfinished, rating, scores, total, told


def _score(score: Score) -> str:
    place = f" {score.place}" if score.place else ""
    return f"{score.plugin}{place} {score.points:.3g}×{tables.plain(score.weight)}"

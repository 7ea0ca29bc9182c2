"""Commands that show the nodes and tasks of a running cluster."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import click

from crawler.api.backend import NodeLoad
from crawler.api.rpc.client import Client
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.cli.base import commands, labels_option, show_table
from crawler.cli.master import CALL, MASTER, connected, own_pem, own_token, way_to
from crawler.errors import CrawlerError
from crawler.model.constraints import NONE
from crawler.model.policy import (
    LAST,
    STRATEGY,
    Explanation,
    Fault,
    Score,
    ShardStanding,
    WorkerVerdict,
)
from crawler.model.processes import ProcessLoad
from crawler.model.records import MAX_PAGE, Query, Resource, State
from crawler.plural import counted
from crawler.schemas import constraint_json
from crawler.terminal import report, tables

_ABOUT = ("USED", "LABELS", "TAINTS", "STATE")
"""Columns about a worker that may be empty."""


@commands.command()
@MASTER
@click.option("--processes", is_flag=True, help="List the crawl processes of the workers.")
def nodes(master: str, processes: bool) -> None:
    """List the live nodes, and how many tasks each worker has."""
    with connected(master) as client:
        loads = client.nodes(CALL)
    if processes:
        return _show_processes(loads)
    headers = ("NODE", "ROLE", "ADDRESS", "UNFINISHED", "TASKS", *_ABOUT)
    show_table(headers, [_node_row(load) for load in loads])


def _show_processes(loads: Sequence[NodeLoad]) -> None:
    """Ask each worker for its crawl processes. One that does not answer is told of, and the others
    are shown."""
    rows: list[tuple[object, ...]] = []
    for node in (load.node for load in loads if load.role == "worker"):
        worker = CrawlsClient(way_to(node.address), token=own_token, pem=own_pem)
        try:
            rows += [_process_row(node.id, each) for each in worker.processes(CALL)]
        except CrawlerError as error:
            click.echo(f"{node.id} does not tell of its processes: {error}", err=True)
        finally:
            worker.close()
    headers = ("WORKER", "PROCESS", "PID", "TASKS", "MEMORY", "LATE", "STATE")
    show_table(headers, rows)


def _process_row(node: str, load: ProcessLoad) -> tuple[object, ...]:
    state = "" if load.takes_tasks else "takes no tasks"
    memory = report.size(load.memory_bytes)
    return node, load.number, load.pid, load.tasks, memory, f"{load.late_s:.1f} s", state


@commands.command()
@MASTER
@click.option(
    "--state",
    type=click.Choice([state.value for state in State]),
    help="Show only tasks in this state.",
)
@click.option(
    "--shards", is_flag=True, help="Show each shard of a task on several workers by itself."
)
@labels_option("Show only tasks with this label.")
def tasks(master: str, state: str | None, shards: bool, labels: dict[str, str]) -> None:
    """List the tasks."""
    with connected(master) as client:
        found = all_tasks(client, State(state) if state else None, shards, labels)
        rows = [_task_row(each, shards) for each in found]
    if not rows or sys.stderr.isatty():
        click.echo(f"{counted(len(rows), 'task')} at {client.asked}", err=True)
    show_table(("TASK", "STATE", "WORKER", "PRIORITY", "PAGES", "ITEMS", "REASON"), rows)


@commands.command()
@MASTER
@click.argument("name")
def task(master: str, name: str) -> None:
    """Show everything that is known of one task."""
    with connected(master, name) as client:
        found = client.get(name, CALL)
    for line in task_lines(found):
        click.echo(line)


@commands.command()
@MASTER
@click.argument("task")
def explain(master: str, task: str) -> None:
    """Show why TASK is on its worker, or waits: what each plugin says of each worker now."""
    with connected(master, task) as client:
        found = client.explain(task, CALL)
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


def _node_row(load: NodeLoad) -> tuple[object, ...]:
    node = load.node
    used = {
        quantity: f"{load.used.get(quantity, 0.0):g}/{node.capacity.get(quantity, math.inf):g}"
        for quantity in {*load.used, *node.capacity}
    }
    state = "cordoned" if load.cordoned else "leaving" if node.draining else ""
    taints = " ".join(map(str, node.taints))
    labels = tables.pairs(node.labels)
    counts = (load.unfinished, load.resources)
    return node.id, load.role, node.address, *counts, tables.pairs(used), labels, taints, state


def all_tasks(
    client: Client,
    state: State | None,
    shards: bool = False,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Resource]:
    """Yield all tasks, or those in that state and with those labels, sorted by name; on demand
    their shards too. Raises CrawlerError."""
    token = ""
    while True:
        page = client.list(Query(MAX_PAGE, token, state, shards, labels), CALL)
        yield from page.resources
        token = page.next_token
        if not token:
            return


def _task_row(found: Resource, shards: bool) -> tuple[object, ...]:
    owner = found.owner.node_id if found.owner else ""
    if found.spec.workers > 1 and not shards:
        owner = _running(found)
    counts = (found.counts.pages, found.counts.items)
    return found.name, found.state.value, owner, found.spec.priority, *counts, found.reason


def _running(found: Resource) -> str:
    """Return on how many workers a task runs now."""
    return f"{found.running} of {found.spec.workers} run"


def task_lines(found: Resource, has_counts: bool = True) -> Iterator[str]:
    """Yield lines with all that is known of a task, on demand without its counts: those of a run
    that begins are 0, whatever its crawl has done."""
    spec, counts = found.spec, found.counts
    asked = {} if spec.constraints == NONE else constraint_json.write(spec.constraints)
    values = {
        "name": found.name,
        "id": found.id,
        "state": found.state.value,
        "reason": found.reason,
        "worker": str(found.owner or ""),
        "workers": _running(found) if found.spec.workers > 1 else "",
        "shard": f"{found.spec.shard} of {found.spec.shard_of}" if found.spec.shard else "",
        "epoch": str(found.epoch),
        "spider": spec.spider_name,
        "priority": str(spec.priority),
        "retries": f"{len(found.failed_on)} of {spec.retries} used" if spec.retries else "",
        "isolated": "yes" if spec.isolated else "",
        "failed on": ", ".join(found.failed_on),
        "killed": _killed(found),
        "labels": tables.pairs(spec.labels),
        "asks for": _json({key: value for key, value in asked.items() if value}),
        "parameters": _json(dict(spec.parameters)),
        "counts": f"{counted(counts.pages, 'page')}, {counted(counts.items, 'item')}, "
        f"{counted(counts.failures, 'failure')}, {counts.seconds:.1f} s"
        if has_counts
        else "",
    }
    for name, value in values.items():
        if value:
            yield f"{name:<12} {value}"


def _killed(found: Resource) -> str:
    """Return who died of a task."""
    processes = found.blame.processes
    counts = {"worker": found.kills - processes, "process": processes}
    return ", ".join(counted(count, noun) for noun, count in counts.items() if count > 0)


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


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

"""Commands that show the nodes and tasks of a running cluster."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import starmap
from typing import Any

import click

from crawler.api.backend import Call, NodeLoad, Page
from crawler.api.http import bodies
from crawler.api.rpc.client import Client
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.cli import watching
from crawler.cli.as_json import JSON, JSON_LINES, show_json, show_json_lines
from crawler.cli.base import commands, show_table
from crawler.cli.choosing import choice, query_of
from crawler.cli.master import CALL, MASTER, connected, own_pem, own_token, way_to
from crawler.cli.task_names import TASK
from crawler.errors import CrawlerError
from crawler.model.constraints import NONE
from crawler.model.processes import ProcessLoad
from crawler.model.projects import SHORT, bundles_in
from crawler.model.records import MAX_PAGE, Query, Resource, Sort
from crawler.model.sorting import value_of
from crawler.plural import counted
from crawler.schemas import constraint_json
from crawler.terminal import report, tables

_ABOUT = ("USED", "LABELS", "TAINTS", "PROJECTS", "STATE")
"""Columns about a worker that may be empty."""


@commands.command()
@MASTER
@click.option("--processes", is_flag=True, help="List the crawl processes of the workers.")
@JSON_LINES
def nodes(master: str, processes: bool, as_json: bool) -> None:
    """List the live nodes, and how many tasks each worker has."""
    with connected(master) as client:
        loads = client.nodes(CALL)
        if processes:
            return _show_processes(loads, as_json)
        if as_json:
            return show_json_lines(map(bodies.node, loads))
        leader = _leader_of(client)
    headers = ("NODE", "ROLE", "ADDRESS", "UNFINISHED", "TASKS", *_ABOUT)
    show_table(headers, [_node_row(load, leader) for load in loads])


def _leader_of(client: Client) -> str:
    """Return the address of the master that leads; empty if nobody knows."""
    try:
        return client.leader(CALL).address
    except CrawlerError:
        return ""


def _show_processes(loads: Sequence[NodeLoad], as_json: bool) -> None:
    found = list(_processes(loads))
    if as_json:
        return show_json_lines({"worker": node, **each.to_json()} for node, each in found)
    headers = ("WORKER", "PROCESS", "PID", "TASKS", "MEMORY", "LATE", "STATE")
    show_table(headers, starmap(_process_row, found))


def _processes(loads: Sequence[NodeLoad]) -> Iterator[tuple[str, ProcessLoad]]:
    """Ask each worker for its crawl processes. One that does not answer is told of, and the others
    are shown."""
    for node in (load.node for load in loads if load.role == "worker"):
        worker = CrawlsClient(way_to(node.address), token=own_token, pem=own_pem)
        try:
            yield from [(node.id, each) for each in worker.processes(CALL)]
        except CrawlerError as error:
            click.echo(f"{node.id} does not tell of its processes: {error}", err=True)
        finally:
            worker.close()


def _process_row(node: str, load: ProcessLoad) -> tuple[object, ...]:
    state = "" if load.takes_tasks else "takes no tasks"
    memory = report.size(load.memory_bytes)
    return node, load.number, load.pid, load.tasks, memory, f"{load.late_s:.1f} s", state


@commands.command()
@MASTER
@choice
@click.option("--counts", is_flag=True, help="Show only how many tasks are in each state.")
@click.option(
    "--watch",
    "watches",
    is_flag=True,
    help="Show them until Ctrl-C: in place at a terminal, else a line for each change.",
)
@JSON_LINES
def tasks(master: str, counts: bool, watches: bool, as_json: bool, **chosen: Any) -> None:
    """List the tasks."""
    query = query_of(**chosen)
    if counts and watches:
        raise click.UsageError("--counts shows one moment; leave out --watch, or --counts")
    row = partial(_task_row, shards=query.shards)
    with connected(master) as client:
        if counts:
            return _show_counts(client.list(replace(query, page_size=1), CALL), as_json)
        if watches:
            look = partial(_in_order, client, query, watching.CALL)
            watching.watch(look, lambda: client.asked, _view(row, as_json))
        found = _in_order(client, query)
    if as_json:
        return show_json_lines(map(bodies.resource, found))
    if not found or sys.stderr.isatty():
        click.echo(f"{counted(len(found), 'task')} at {client.asked}", err=True)
    show_table(watching.HEADERS, map(row, found))


def _in_order(client: Client, query: Query, call: Call = CALL) -> Sequence[Resource]:
    """Return all tasks that match, in their order. They are sorted here: sorted by anything but
    their names, each page costs the leader a look at all tasks."""
    found = all_tasks(client, replace(query, sort=Sort.NAME, descending=False), call)
    return sorted(found, key=value_of(query.sort), reverse=query.descending)


def _show_counts(page: Page, as_json: bool) -> None:
    """Print how many tasks are in each state, and in all. Raises CrawlerError."""
    if not page.counts:
        raise CrawlerError("this master is older than the command, and does not count by state")
    if as_json:
        return show_json({"counts": bodies.page(page)["counts"], "total": page.total})
    show_table(("STATE", "TASKS"), [*page.counts.items(), ("all", sum(page.counts.values()))])


def _view(row: watching.Row, as_json: bool) -> watching.View:
    if as_json:
        return watching.json_lines()
    return watching.Table(row) if sys.stdout.isatty() else watching.lines(row)


@commands.command()
@MASTER
@TASK
@JSON
def task(master: str, name: str, as_json: bool) -> None:
    """Show everything that is known of one task."""
    with connected(master, name) as client:
        found = client.get(name, CALL)
    if as_json:
        return show_json(bodies.resource(found))
    for line in task_lines(found):
        click.echo(line)


def _node_row(load: NodeLoad, leader: str) -> tuple[object, ...]:
    node = load.node
    used = {
        quantity: f"{load.used.get(quantity, 0.0):g}/{node.capacity.get(quantity, math.inf):g}"
        for quantity in {*load.used, *node.capacity}
    }
    state = "cordoned" if load.cordoned else "leaving" if node.draining else ""
    if load.role == "master" and node.address == leader:
        state = "leads"
    taints = " ".join(map(str, node.taints))
    labels = tables.pairs(node.labels)
    counts = (load.unfinished, load.resources)
    projects = {name: digest[:SHORT] for name, digest in bundles_in(node.metadata).items()}
    about = (tables.pairs(used), labels, taints, tables.pairs(projects), state)
    return node.id, load.role, node.address, *counts, *about


def all_tasks(client: Client, query: Query, call: Call = CALL) -> Iterator[Resource]:
    """Yield all tasks that match, whatever their number. Raises CrawlerError."""
    token = ""
    while True:
        page = client.list(replace(query, page_size=MAX_PAGE, page_token=token), call)
        yield from page.resources
        token = page.next_token
        if not token:
            return


def _task_row(found: Resource, shards: bool) -> tuple[object, ...]:
    owner = found.owner.node_id if found.owner else ""
    if found.spec.workers > 1 and not shards:
        owner = _running(found)
    counts = (found.counts.pages, found.counts.items)
    said = (found.name, found.told_state, owner, found.run, found.spec.priority)
    return *said, *counts, found.reason


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
        "state": found.told_state,
        "reason": found.reason,
        "worker": str(found.owner or ""),
        "workers": _running(found) if found.spec.workers > 1 else "",
        "shard": f"{found.spec.shard} of {found.spec.shard_of}" if found.spec.shard else "",
        "run": str(found.run),
        "epoch": str(found.epoch),
        "spider": spec.spider_name,
        "project": spec.project,
        "bundle": found.digest or spec.bundle,
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

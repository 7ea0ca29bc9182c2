"""The first page: what waits and why, who leads, which nodes there are and what they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from flask import Response

from crawler.api.backend import Call, NodeLoad
from crawler.api.service import Service
from crawler.api.workers import WORKER, brief
from crawler.dashboard.asked import action, allowed, backend, call, page, shared, show, stream
from crawler.dashboard.live import Shown
from crawler.dashboard.writing import part
from crawler.errors import CrawlerError, NotFound, Unavailable, shown
from crawler.model import audit
from crawler.model.access import Need
from crawler.model.processes import ProcessLoad
from crawler.model.records import MAX_PAGE, Leader, Query, Resource, State

MOST_REASONS = 8
MOST_NAMES = 3
"""How many tasks are named for each reason."""


class Waiting(NamedTuple):
    """Tasks that wait for the same reason."""

    why: str
    names: Sequence[str]
    tasks: int


@dataclass(frozen=True)
class Cluster:
    """What the leader tells of the cluster."""

    nodes: Sequence[NodeLoad]
    counts: Mapping[str, int]
    """How many tasks there are, by their state."""
    waiting: Sequence[Waiting]


@page("/")
@page("")
def cluster() -> Response:
    """Show the cluster."""
    return show(
        "cluster.html", seen=seen(shared().service, call()), leader=leader(shared().service)
    )


@page("/live")
def cluster_live() -> Response:
    """Follow it."""
    acts, service = allowed(), shared().service
    return stream("cluster", lambda call: _shown(service, call, acts))


@page("/nodes/<name>")
def node(name: str) -> Response:
    """Show a node with its crawl processes."""
    asking = call()
    found = next((each for each in backend(asking).nodes(asking) if each.node.id == name), None)
    if found is None:
        raise NotFound(f"no live node {shown(name)}; the cluster shows those that there are")
    processes, why = _processes(found)
    return show(
        "node.html", load=found, leader=leader(shared().service), processes=processes, why=why
    )


@action("/nodes/<name>/drain", Need.CLUSTER, audit.NODE_DRAIN)
def drain(name: str) -> str:
    """Drain a worker."""
    asking = call()
    load = backend(asking).drain(name, asking)
    return f"{name} is drained: its {load.unfinished} unfinished tasks move away."


@action("/nodes/<name>/uncordon", Need.CLUSTER, audit.NODE_UNCORDON)
def uncordon(name: str) -> str:
    """Let a worker take tasks again."""
    asking = call()
    backend(asking).uncordon(name, asking)
    return f"{name} takes tasks again."


def seen(service: Service, call: Call) -> Cluster:
    """Return what the leader tells. Raises Unavailable."""
    asked = service.backend(call)
    waiting = asked.list(Query(MAX_PAGE, state=State.PENDING), call)
    return Cluster(
        asked.nodes(call),
        asked.list(Query(1), call).counts,
        reasons(waiting.resources, waiting.total),
    )


def _processes(load: NodeLoad) -> tuple[Sequence[ProcessLoad], str]:
    """Return the crawl processes of a worker, or why it does not tell."""
    reach = shared().reach
    if load.role != WORKER or reach is None:
        return (), ""
    try:
        with closing(reach(load.node.address)) as client:
            return client.processes(brief(call())), ""
    except CrawlerError as error:
        return (), str(error)


def reasons(found: Sequence[Resource], total: int) -> Sequence[Waiting]:
    """Return why tasks wait, the most frequent reason first."""
    names: dict[str, list[str]] = {}
    for each in found:
        if not each.paused:
            names.setdefault(each.reason or "It has not been placed yet", []).append(each.name)
    counted = Counter({why: len(of) for why, of in names.items()}).most_common(MOST_REASONS)
    return [Waiting(why, names[why][:MOST_NAMES], count) for why, count in counted]


def leader(service: Service) -> Leader | None:
    """Return who leads; None if nobody does."""
    try:
        return service.leader()
    except Unavailable:
        return None


def _shown(service: Service, call: Call, acts: Mapping[str, bool]) -> Shown:
    found, leads = seen(service, call), leader(service)
    rows = {f"node-{each.node.id}": _part("node", each, leads, acts) for each in found.nodes}
    parts = {
        "lead": _part("lead", leads),
        "waiting": _part("waiting", found.waiting, found.counts),
        "counts": _part("counts", found.counts),
        **rows,
    }
    return Shown(parts, {"nodes": list(rows)})


_part = partial(part, "cluster_parts.html")

"""How fast tasks are placed in a real etcd, beside what etcd takes, and beside the simplest way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from gevent.event import Event

from bench import scenes
from bench.ground import BATCH, Ground, open_ground
from bench.table import Row
from crawler.alerts.channels import Channels
from crawler.alerts.rules import Rules
from crawler.clock import SystemClock
from crawler.coordination.alerts import Alerts
from crawler.coordination.codec import encode_resource
from crawler.coordination.election import Election
from crawler.coordination.lease import Lease
from crawler.coordination.ledger import Change, Landed, Ledger
from crawler.coordination.projects import Projects
from crawler.coordination.schedules import Schedules
from crawler.coordination.sealing import Seals
from crawler.coordination.secrets import Secrets
from crawler.coordination.store import Put, created_at
from crawler.coordination.tokens import Tokens
from crawler.coordination.tombstones import Tombstones
from crawler.history.history import History, NoHistory
from crawler.model.records import Leadership, Node, Resource
from crawler.node.master.assignment import assigned
from crawler.node.master.leader_context import LeaderContext, Refusals
from crawler.node.master.mirrors import Mirrors
from crawler.node.master.term import Term
from crawler.scheduler.framework import Framework
from crawler.settings.alerts import AlertSettings
from crawler.settings.scheduler import SchedulerSettings

TASKS = 100_000
WORKERS = 1_000
REFERENCE_TASKS = 2_000
WITHIN_S = 120.0
"""Longer than this and it is given up."""


class Counting(Ledger):
    """Tells when so many changes are committed."""

    def count_to(self, most: int) -> Event:
        """Set when that many were committed from now on."""
        self._left = most
        self._done = Event()
        return self._done

    def commit(self, leadership: Leadership, changes: Sequence[Change]) -> Iterator[Landed]:
        """As the ledger does."""
        for landed in super().commit(leadership, changes):
            self._left -= sum(outcome.committed for outcome in landed.outcomes)
            yield landed
        if self._left <= 0:
            self._done.set()


class Current(Mirrors):
    """Mirrors that are known to be current: to read all anew is part of another figure."""

    def refresh(self) -> None:
        """Nothing is new."""


def rows() -> list[Row]:
    """The limit, ours, and the reference's, all in one etcd."""
    workers, resources = scenes.plain_workers(WORKERS), scenes.plain_tasks(TASKS)
    with open_ground() as ground:
        ground.fill(workers, resources)
        leadership, lease = ground.elected()
        puts = _as_assigned(workers, resources, leadership)
        limits = [_limit(ground, leadership, puts)]
        took_s, margin = place(ground, leadership, lease)
        limits.append(_limit(ground, leadership, puts))
        reference = _reference(ground, workers, resources)
        lease.revoke()
    limit, rate = sum(limits) / len(limits), TASKS / took_s
    return [_limit_row(limits), _durable_row(rate, limit, margin), _reference_row(reference, rate)]


def _limit_row(limits: Sequence[float]) -> Row:
    mean = sum(limits) / len(limits)
    title = f"limit: {BATCH}-put fenced transactions, no scheduling"
    return Row(title, f"{mean:,.0f}/s", figures={"before_after_per_second": limits})


def _durable_row(rate: float, limit: float, margin: float) -> Row:
    title = f"{TASKS:,} tasks on {WORKERS:,} workers, least-load, durable in etcd"
    share = rate / limit
    figures = {"per_second": rate, "share_of_limit": share, "lease_margin": margin}
    measured = f"{rate:,.0f}/s, {share:.0%} of the limit; lease margin {margin:.2f}"
    holds = rate >= 20_000 and share >= 0.4
    return Row(title, measured, ">= 20,000/s and >= 40 % of the limit", holds, figures)


def _reference_row(reference: float, rate: float) -> Row:
    title = "the reference's algorithm: sort all, one put each"
    figures = {"per_second": reference, "ours_is_faster": rate / reference}
    measured = f"{reference:,.0f}/s, ours is {rate / reference:.0f} x faster"
    return Row(title, measured, "ours >= 10 x faster", rate >= 10 * reference, figures)


# -- the limit -------------------------------------------------------------------------------------


def _as_assigned(
    workers: Sequence[Node], resources: scenes.Resources, leadership: Leadership
) -> list[Put]:
    """What the ledger is going to write, below another prefix."""
    placed = (
        assigned(task, workers[n % len(workers)], time.time_ns()).replace(term=leadership.revision)
        for n, task in enumerate(resources.values())
    )
    return [Put(f"/bench/limit/{task.name}", encode_resource(task)) for task in placed]


def _limit(ground: Ground, leadership: Leadership, puts: Sequence[Put]) -> float:
    """Writes a second, of keys that are there already, as those of the tasks are."""
    ground.put(puts)
    fence = created_at(leadership.key, leadership.revision)
    started_s = time.perf_counter()
    for start in range(0, len(puts), BATCH):
        assert ground.store.txn([fence], puts[start : start + BATCH]).succeeded
    return len(puts) / (time.perf_counter() - started_s)


# -- ours ------------------------------------------------------------------------------------------


def place(
    ground: Ground, leadership: Leadership, lease: Lease, history: History | None = None
) -> tuple[float, float]:
    """A whole term: seconds from its first pass to the last commit, and the least lease margin."""
    clock = SystemClock()
    ledger = Counting(ground.store, ground.keys)
    cluster = Current(ground.store, ground.keys, clock, lambda: term.writer.wake())
    context = LeaderContext(
        leadership,
        lease,
        number=1,
        mirrors=cluster,
        ledger=ledger,
        tombstones=Tombstones(ground.store, ground.keys),
        election=Election(ground.store, ground.keys, clock),
        framework=Framework("least-load"),
        clock=clock,
        settings=SchedulerSettings(),
        refusals=Refusals(),
        tokens=Tokens(ground.store, ground.keys, clock),
        secrets=Secrets(ground.store, ground.keys, Seals([])),
        schedules=Schedules(ground.store, ground.keys, clock),
        projects=Projects(ground.store, ground.keys, clock),
        alerts=Alerts(ground.store, ground.keys, clock),
        alert_rules=Rules(AlertSettings()),
        channels=Channels(AlertSettings(), clock),
        history=history or NoHistory(),
    )
    term = Term(context)
    cluster.start(ground.supervisor)
    for mirror in (cluster.workers, cluster.masters, cluster.resources):
        assert mirror.listed.wait(WITHIN_S)
    all_placed = ledger.count_to(TASKS)
    lease.take_margin()
    started_s = time.perf_counter()
    running = ground.supervisor.spawn("term", term.run, ())
    assert all_placed.wait(WITHIN_S), "not all tasks were placed in time"
    took_s = time.perf_counter() - started_s
    margin = lease.take_margin()
    term.finish()
    running.join(WITHIN_S)
    _check(cluster)
    return took_s, margin


def _check(cluster: Mirrors) -> None:
    """What etcd holds is what was counted."""
    cluster.resources.refresh()
    stored = cluster.all_resources()
    assert len(stored) == TASKS
    assert all(resource.owner is not None for resource in stored)


# -- the reference's -------------------------------------------------------------------------------


def _reference(ground: Ground, workers: Sequence[Node], resources: scenes.Resources) -> float:
    """Tasks a second when each is placed alone: sort all workers by load, take the first, put."""
    load, order = Counter[str](), list(workers)
    tasks = list(resources.values())[:REFERENCE_TASKS]
    started_s = time.perf_counter()
    for task in tasks:
        order.sort(key=lambda worker: load[worker.id])
        load[order[0].id] += 1
        _put(ground, assigned(task, order[0], time.time_ns()))
    return len(tasks) / (time.perf_counter() - started_s)


def _put(ground: Ground, task: Resource) -> None:
    ground.store.txn([], [Put(f"/bench/reference/{task.name}", encode_resource(task))])

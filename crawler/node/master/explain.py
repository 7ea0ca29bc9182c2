"""Explains, from what the leader knows, why a task waits."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.errors import shown
from crawler.logs import get_logger
from crawler.model.policy import Explanation, Judgement, ShardStanding
from crawler.model.records import OFFERING, Resource, State
from crawler.node.master.deployed import lack
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.placement import Placer
from crawler.node.master.poison import deaths_of
from crawler.node.master.set_aside import told
from crawler.node.master.shards import shards_of
from crawler.plural import counted
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.explain import judge
from crawler.scheduler.task import Task

log = get_logger(__name__)


def explained(ctx: LeaderContext, placer: Placer, resource: Resource) -> Explanation:
    """Explain why a task is on its worker or waits, and how the scheduler judges the workers
    now. A task that cannot be judged is explained without a judgement."""
    cluster_state = ctx.mirrors.cluster_state
    held, fault = placer.held(resource.name), ""
    try:
        judgement = judge(ctx.framework, cluster_state, Task.of(resource), resource.awaits_spider)
    except Exception as error:
        log.error("a task cannot be judged", task=resource.name, exc_info=error)
        judgement = Judgement(ctx.framework.policy.strategy, "", ())
        fault = f"judging it failed ({told(error)}), and the leader's log says where"
    # What cannot be written is not in the resource either.
    reasons = [held.reason] if held else [resource.told_reason, fault]
    return Explanation(
        name=resource.name,
        state=resource.state.value,
        reason="; ".join(filter(None, reasons)),
        assigned_node=resource.owner.node_id if resource.owner else "",
        group=cluster_state.group_of(resource),
        priority=resource.spec.priority,
        waits_for=_its_project(ctx, resource)
        or waits_for(placer, cluster_state, resource, ctx.clock.monotonic()),
        judgement=judgement,
        shards=() if resource.spec.shard else tuple(_standings(ctx, placer, resource.name)),
    )


def _standings(ctx: LeaderContext, placer: Placer, task: str) -> Iterator[ShardStanding]:
    """Yield where each shard of a task is, or why it waits."""
    cluster_state, now_s = ctx.mirrors.cluster_state, ctx.clock.monotonic()
    for shard in shards_of(ctx.mirrors.resource, task):
        yield ShardStanding(
            shard.name,
            shard.state.value,
            shard.told_reason,
            shard.owner.node_id if shard.owner else "",
            waits_for(placer, cluster_state, shard, now_s),
        )


def waits_for(placer: Placer, cluster_state: ClusterState, resource: Resource, now_s: float) -> str:
    """Return what has to happen before a task is placed, or an empty text if the task does not
    wait."""
    queue = placer.backlog.queue_of(resource.name)
    if queue is None and resource.awaits_spider and resource.state is State.FAILED:
        return _its_spider(resource)
    if queue is None:
        return "" if resource.owner else _out_of_turn(placer, resource, now_s)
    if queue.reasons is not None and queue.lost:
        return "its only worker: it is parked until that worker is registered"
    if queue.reasons is not None:
        return "a worker that suits: it is parked until something changes that could help it"
    if not placer.backlog.room(queue.group, cluster_state.workers.groups):
        most = placer.backlog.group(queue.group).most
        return f"its group {queue.group!r} to have fewer than {counted(most, 'task')} on workers"
    return f"its turn: the next pass has {counted(len(placer.backlog), 'task')} to place"


def _out_of_turn(placer: Placer, resource: Resource, now_s: float) -> str:
    """Return what a task waits for that has no worker and is not in the backlog."""
    if resource.paused:
        return f"somebody who resumes it: crawler resume {resource.spec.task}"
    pause_s = placer.tries_again_s(resource.name, now_s)
    if pause_s:
        in_a_row = resource.interruption.in_a_row
        why = f"its last {in_a_row} runs were interrupted" if in_a_row else "its last run failed"
        return f"{pause_s:.1f} s to pass: {why}"
    pause_s = placer.parked_s(resource.name, now_s)
    if pause_s:
        return f"{pause_s:.1f} s to pass: {deaths_of(resource)}"
    if resource.awaits_spider:
        return _its_spider(resource)
    held = placer.held(resource.name)
    if held is not None:
        return f"{max(0.0, held.due_s - now_s):.1f} s to pass: placing it failed"
    return "" if resource.state.finished else f"a change of the task itself: {resource.reason}"


def _its_project(ctx: LeaderContext, resource: Resource) -> str:
    """Return that a task waits for its project, which has no code for it; empty if it does not."""
    spec = resource.spec
    if not spec.project or resource.owner is not None or resource.paused or resource.has_ended:
        return ""
    why = lack(ctx.projects, spec)
    return f"its code: {why}; deploy it with crawler deploy --project {spec.project}" if why else ""


def _its_spider(resource: Resource) -> str:
    """Return that a task waits for its spider, and what to do about it."""
    return f"a worker that offers its spider {shown(resource.spec.offered_as)}: {OFFERING}"

"""Converts the policy of the scheduler and explanations to messages, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crawler.api import fields
from crawler.model.policy import (
    DryRun,
    Explanation,
    Fault,
    Judgement,
    Move,
    PluginView,
    Policy,
    PolicyChange,
    SchedulerView,
    Score,
    ShardStanding,
    Share,
    WorkerVerdict,
)
from crawler.proto import crawler_pb2 as pb
from crawler.schemas.structs import from_struct, to_struct


def change_message(change: PolicyChange) -> pb.Scheduler:
    """Return the request for a change of the policy."""
    message = pb.Scheduler()
    if change.strategy is not None:
        message.strategy = change.strategy
    if change.disabled is not None:
        message.disabled.SetInParent()
        message.disabled.extend(sorted(change.disabled))
    if change.weights is not None:
        message.weights.CopyFrom(to_struct(change.weights))
    if change.disable:
        message.disable.extend(sorted(change.disable))
    if change.enable:
        message.enable.extend(sorted(change.enable))
    if change.weigh:
        message.weigh.CopyFrom(to_struct(change.weigh))
    return message


def policy_fields(message: pb.Scheduler) -> dict[str, Any]:
    """Return the fields of a request for `schemas.load_policy`. Fields that were not given are
    None."""
    lists = {name: getattr(message, name) for name in ("disabled", "disable", "enable")}
    maps = {name: getattr(message, name) for name in ("weights", "weigh")}
    return {
        "strategy": message.strategy if message.HasField("strategy") else None,
        **{name: list(each) if message.HasField(name) else None for name, each in lists.items()},
        **{
            name: from_struct(each) if message.HasField(name) else None
            for name, each in maps.items()
        },
    }


def scheduler_message(view: SchedulerView) -> pb.Scheduler:
    """Return the policy and the plugins of the scheduler."""
    return pb.Scheduler(**fields.of_scheduler(view))


def scheduler_from(message: pb.Scheduler) -> SchedulerView:
    """Return the policy and the plugins from another master's message."""
    weights = {name: float(weight) for name, weight in from_struct(message.weights).items()}
    names = frozenset(str(name) for name in message.disabled)
    return SchedulerView(
        policy=Policy(message.strategy, names, weights),
        strategies=list(message.strategies),
        plugins=[_plugin_from(plugin) for plugin in message.plugins],
        switched=message.switched,
        fault=message.fault,
    )


def dry_run_message(found: DryRun) -> pb.DryRun:
    """Return what the scheduler would do after a change of the policy."""
    return pb.DryRun(**fields.of_dry_run(found))


def dry_run_from(message: pb.DryRun) -> DryRun:
    """Return what the scheduler would do from another master's message."""
    policy = message.policy
    shares = [Share(each.id, each.now, each.after_pass, each.anew) for each in message.workers]
    return DryRun(
        policy=Policy(policy.strategy, frozenset(policy.disabled), dict(policy.weights)),
        waiting=message.waiting,
        placed=message.placed,
        placements=_moves_from(message.placements),
        left=_moves_from(message.left),
        owned=message.owned,
        checked=message.checked,
        moved=message.moved,
        moves=_moves_from(message.moves),
        workers=shares,
        faults=_faults_from(message.faults),
    )


def _moves_from(messages: Iterable[pb.Move]) -> list[Move]:
    return [Move(each.name, each.before, each.after, each.reason) for each in messages]


def _faults_from(messages: Iterable[pb.PluginFault]) -> list[Fault]:
    return [Fault(each.plugin, each.hook, each.error, each.worker) for each in messages]


def explanation_message(found: Explanation) -> pb.Explanation:
    """Return the explanation why a task is where it is, or why it waits."""
    return pb.Explanation(**fields.of_explanation(found))


def explanation_from(message: pb.Explanation) -> Explanation:
    """Return an explanation from another master's message."""
    workers = [_verdict_from(verdict) for verdict in message.workers]
    faults = _faults_from(message.faults)
    shards = [
        ShardStanding(each.name, each.state, each.reason, each.assigned_node, each.waits_for)
        for each in message.shards
    ]
    return Explanation(
        name=message.name,
        state=message.state,
        reason=message.reason,
        assigned_node=message.assigned_node,
        group=message.group,
        priority=message.priority,
        waits_for=message.waits_for,
        judgement=Judgement(message.strategy, message.chosen, workers, faults),
        shards=tuple(shards),
    )


def _plugin_from(message: pb.Plugin) -> PluginView:
    return PluginView(
        name=message.name,
        source=message.source,
        order=message.order,
        on=message.on,
        weight=message.weight,
        hooks=list(message.hooks),
        calls=message.calls,
        failures=message.failures,
        seconds=message.seconds,
        slow=message.slow,
    )


def _verdict_from(message: pb.WorkerVerdict) -> WorkerVerdict:
    return WorkerVerdict(
        node_id=message.id,
        unfinished=message.unfinished,
        refusals=dict(message.refusals),
        rating=message.rating,
        scores=tuple(_score_from(score) for score in message.scores),
        total=message.total,
    )


def _score_from(message: pb.Score) -> Score:
    return Score(message.plugin, message.weight, message.points, message.place)

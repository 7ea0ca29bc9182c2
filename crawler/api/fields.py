"""Converts records into the fields of the messages in crawler.proto, for gRPC and HTTP alike.

Each function returns the fields by their names in the proto, in its order. gRPC makes a message of
them (`api/rpc/codec.py`), HTTP a body (`api/http/bodies.py`). Constraints stay a record, because
gRPC and HTTP write them differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from crawler.api.backend import NodeLoad, Page
from crawler.model.access import NewToken, Token
from crawler.model.alerts import Alert, AlertRule
from crawler.model.audit import AuditRecord
from crawler.model.constraints import NONE
from crawler.model.history import Event, Run
from crawler.model.policy import (
    DryRun,
    Explanation,
    Fault,
    Move,
    PluginView,
    SchedulerView,
    ShardStanding,
    Share,
    WorkerVerdict,
)
from crawler.model.projects import BundleFiles, Comparison, FileChange, ProjectView, Version
from crawler.model.records import Counts, Leader, Resource, Spec, WorkerLoad
from crawler.model.schedules import ScheduleView, ScheduleWish
from crawler.model.secrets import Secret
from crawler.model.spiders import OfferedSpider, SpiderAbout, SpiderArgument, SpiderList
from crawler.model.task_statistics import CrawlPart, TaskStatistics

Fields = Mapping[str, Any]
"""The fields by their names in crawler.proto. None means that the field is absent."""


def of_spec(spec: Spec) -> Fields:
    """Return the fields of a request for a task: a ResourceSpec."""
    asked = spec.constraints
    return {
        "name": spec.name,
        "spider": spec.spider,
        "parameters": spec.parameters,
        "labels": spec.labels,
        "priority": spec.priority,
        "constraints": None if asked is NONE or asked == NONE else asked,
        "retries": spec.retries,
        "workers": spec.workers,
        "isolated": spec.isolated,
        "project": spec.project,
        "bundle": spec.bundle,
    }


def of_resource(resource: Resource) -> Fields:
    """Return the fields of a resource as a client sees it: a ResourceSpec."""
    return {
        **of_spec(resource.spec),
        "id": resource.id,
        "assigned_node": resource.owner.text if resource.owner is not None else "",
        "creation_time": resource.creation_time,
        "state": resource.state.value,
        "reason": resource.told_reason,
        "epoch": resource.epoch,
        "counts": of_counts(resource.counts),
        "assigned_time": resource.assigned_time,
        "failed_on": list(resource.failed_on),
        "kills": resource.kills,
        "generation": resource.generation,
        "shard": resource.spec.shard,
        "shard_of": resource.spec.shard_of,
        "running": resource.running,
        "paused": bool(resource.paused),
        "stopped": resource.stopped,
        "run": resource.run,
        "digest": resource.digest,
        "killed_processes": min(resource.blame.processes, resource.kills),
    }


def of_counts(counts: Counts) -> Fields:
    """Return the fields of the counts of a run: Counts."""
    return {
        "pages": counts.pages,
        "items": counts.items,
        "failures": counts.failures,
        "seconds": counts.seconds,
    }


def of_page(page: Page) -> Fields:
    """Return the fields of a page of resources: a ListResourcesResponse."""
    return {
        "resources": [of_resource(resource) for resource in page.resources],
        "next_page_token": page.next_token,
        "total": page.total,
        "counts": page.counts,
    }


def of_node(load: NodeLoad) -> Fields:
    """Return the fields of a live node: a NodeInfo."""
    node = load.node
    return {
        "id": node.id,
        "address": node.address,
        "role": load.role,
        "labels": node.labels,
        "spiders": sorted(node.spiders or ()),
        "every_spider": node.spiders is None,
        "metadata": node.metadata,
        "incarnation": node.incarnation,
        "unfinished": load.unfinished,
        "resources": load.resources,
        "capacity": dict(sorted(node.capacity.items())),
        "taints": [str(taint) for taint in node.taints],
        "used": dict(sorted(load.used.items())),
        "cordoned": load.cordoned,
        "load": of_load(load.load),
    }


def of_load(load: WorkerLoad) -> Fields:
    """Return the fields of the load that a worker reports: a WorkerLoad."""
    return {"cpu": load.cpu, "lag_s": load.lag_s, "disk": load.disk}


def of_leader(leader: Leader) -> Fields:
    """Return the fields of the present leader: a LeaderSpec."""
    return {"id": leader.id, "address": leader.address}


def of_token(token: Token) -> Fields:
    """Return the fields of a token without its text: a Token."""
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "labels": dict(token.labels),
        "creation_time": token.created_ns,
        "expiration_time": token.expires_ns,
        "text": None,
    }


def of_new_token(made: NewToken) -> Fields:
    """Return the fields of a token that was just made: a Token."""
    return {**of_token(made.token), "text": made.text}


def of_secret(secret: Secret) -> Fields:
    """Return the fields of a secret without its value: a Secret."""
    return {
        "name": secret.name,
        "value": None,
        "set_time": secret.set_ns,
        "set_by": secret.set_by,
        "key_id": secret.key_id,
    }


def of_alert_rule(rule: AlertRule) -> Fields:
    """Return the fields of a rule of alerts: an AlertRule."""
    return {
        "name": rule.name,
        "when": rule.when.value,
        "labels": rule.labels,
        "channels": rule.channels,
        "limit": rule.limit,
        "for_s": rule.for_s,
        "set_by": rule.set_by,
    }


def of_alert(alert: Alert) -> Fields:
    """Return the fields of an alert: an Alert."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "when": alert.when.value,
        "subject": alert.subject,
        "text": alert.text,
        "labels": alert.labels,
        "since": alert.since_ns,
        "recovered": alert.recovered_ns,
        "recovery": alert.recovery,
        "owed": alert.owed,
        "mark": alert.mark,
    }


def of_schedule_wish(wish: ScheduleWish) -> Fields:
    """Return the fields of a request for a schedule: a Schedule."""
    return {
        "name": wish.name,
        "when": wish.when,
        "time_zone": wish.time_zone,
        "overlap": wish.overlap.value,
        "jitter_s": wish.jitter_s,
        "catch_up_s": wish.catch_up_s,
        "paused": wish.paused,
        "task": of_spec(wish.task),
    }


def of_schedule(view: ScheduleView) -> Fields:
    """Return the fields of a schedule as a client sees it: a Schedule."""
    schedule = view.schedule
    return {
        **of_schedule_wish(schedule.wish),
        "task": of_resource(Resource(schedule.wish.task)),
        "creation_time": schedule.created_ns,
        "last_time": schedule.fired_ns,
        "last_outcome": schedule.outcome,
        "queued_time": schedule.queued_ns,
        "next": list(view.next),
    }


def of_version(version: Version) -> Fields:
    """Return the fields of a version of a project: a BundleVersion."""
    return {
        "digest": version.digest,
        "deploy_time": version.at_ns,
        "by": version.by,
        "bytes": version.bytes,
        "spiders": list(version.spiders),
        "requirements": version.requirements,
    }


def of_project(view: ProjectView) -> Fields:
    """Return the fields of a project: a Project."""
    found = view.project
    return {
        "name": found.name,
        "current": found.current,
        "versions": list(map(of_version, found.versions)),
        "labels": found.labels,
        "rolled": view.rolled,
    }


def of_bundle_files(found: BundleFiles) -> Fields:
    """Return the fields of what is in a bundle: a BundleFiles."""
    files = [{"name": each.name, "bytes": each.bytes} for each in found.files]
    return {"digest": found.digest, "files": files, "total": found.total}


def of_comparison(found: Comparison) -> Fields:
    """Return the fields of how two bundles differ: a Comparison."""
    return {
        "before": found.before,
        "after": found.after,
        "files": [_of_file_change(each) for each in found.files],
        "changed": found.changed,
        "packages": [
            {"name": each.name, "before": each.before, "after": each.after}
            for each in found.packages
        ],
    }


def _of_file_change(change: FileChange) -> Fields:
    return {
        "name": change.name,
        "before": change.before,
        "after": change.after,
        "diff": change.diff,
        "note": change.note,
    }


def of_audit(record: AuditRecord) -> Fields:
    """Return the fields of a record of the audit: an AuditRecord."""
    return {
        "time": record.time_ns,
        "who": record.who,
        "role": record.role,
        "from": record.address,
        "transport": record.transport,
        "action": record.action,
        "object": record.object,
        "outcome": record.outcome,
        "id": record.id,
        "detail": record.detail,
        "reason": record.reason,
        "count": record.count,
    }


def of_event(event: Event) -> Fields:
    """Return the fields of an event of the history: a HistoryEvent."""
    return {
        "time": event.time_ns,
        "kind": event.kind.value,
        "task": event.task,
        "id": event.id,
        "epoch": event.epoch,
        "generation": event.generation,
        "shard": event.shard,
        "state": event.state.value if event.state else "",
        "worker": event.worker,
        "reason": event.reason,
        "who": event.who,
        "spider": event.spider,
        "labels": event.labels,
        "counts": of_counts(event.counts),
        "late": event.late,
        "step": int(event.step),
        "run": event.run,
        "statistics": event.statistics or None,
    }


def of_run(run: Run) -> Fields:
    """Return the fields of a run: a Run."""
    return {
        "task": run.task,
        "id": run.id,
        "epoch": run.epoch,
        "generation": run.generation,
        "shard": run.shard,
        "state": run.state.value,
        "worker": run.worker,
        "spider": run.spider,
        "placed_time": run.placed_ns,
        "begun_time": run.begun_ns,
        "ended_time": run.ended_ns,
        "reason": run.reason,
        "who": run.who,
        "counts": of_counts(run.counts),
        "labels": run.labels,
        "run": run.run,
        "statistics": run.statistics or None,
    }


def of_scheduler(view: SchedulerView) -> Fields:
    """Return the fields of the scheduler's policy and plugins: a Scheduler."""
    return {
        "strategy": view.policy.strategy,
        "disabled": sorted(view.policy.disabled),
        "weights": dict(view.policy.weights),
        "strategies": list(view.strategies),
        "plugins": [_of_plugin(plugin) for plugin in view.plugins],
        "switched": view.switched,
        "fault": view.fault,
    }


def of_dry_run(found: DryRun) -> Fields:
    """Return the fields of what the scheduler would do after a change of the policy: a DryRun."""
    policy = found.policy
    return {
        "policy": {
            "strategy": policy.strategy,
            "disabled": sorted(policy.disabled),
            "weights": dict(policy.weights),
        },
        "waiting": found.waiting,
        "placed": found.placed,
        "placements": [_of_move(each) for each in found.placements],
        "left": [_of_move(each) for each in found.left],
        "owned": found.owned,
        "checked": found.checked,
        "moved": found.moved,
        "moves": [_of_move(each) for each in found.moves],
        "workers": [_of_share(each) for each in found.workers],
        "faults": [_of_fault(each) for each in found.faults],
    }


def _of_move(move: Move) -> Fields:
    return {
        "name": move.name,
        "before": move.before,
        "after": move.after,
        "reason": move.reason,
    }


def _of_share(share: Share) -> Fields:
    return {
        "id": share.node_id,
        "now": share.now,
        "after_pass": share.after_pass,
        "anew": share.anew,
    }


def of_explanation(found: Explanation) -> Fields:
    """Return the fields of an explanation why a task is where it is: an Explanation."""
    judgement = found.judgement
    return {
        "name": found.name,
        "state": found.state,
        "reason": found.reason,
        "assigned_node": found.assigned_node,
        "group": found.group,
        "priority": found.priority,
        "waits_for": found.waits_for,
        "strategy": judgement.strategy,
        "chosen": judgement.chosen,
        "workers": [_of_verdict(verdict) for verdict in judgement.workers],
        "faults": [_of_fault(fault) for fault in judgement.faults],
        "shards": [_of_shard(shard) for shard in found.shards],
    }


def _of_plugin(plugin: PluginView) -> Fields:
    return {
        "name": plugin.name,
        "source": plugin.source,
        "order": plugin.order,
        "on": plugin.on,
        "weight": plugin.weight,
        "hooks": list(plugin.hooks),
        "calls": plugin.calls,
        "failures": plugin.failures,
        "seconds": plugin.seconds,
        "slow": plugin.slow,
    }


def _of_shard(shard: ShardStanding) -> Fields:
    return {
        "name": shard.name,
        "state": shard.state,
        "reason": shard.reason,
        "assigned_node": shard.assigned_node,
        "waits_for": shard.waits_for,
    }


def _of_fault(fault: Fault) -> Fields:
    return {
        "plugin": fault.plugin,
        "hook": fault.hook,
        "error": fault.error,
        "worker": fault.worker,
    }


def _of_verdict(verdict: WorkerVerdict) -> Fields:
    return {
        "id": verdict.node_id,
        "unfinished": verdict.unfinished,
        "refusals": dict(verdict.refusals),
        "rating": verdict.rating,
        "scores": [
            {
                "plugin": score.plugin,
                "weight": score.weight,
                "points": score.points,
                "place": score.place,
            }
            for score in verdict.scores
        ],
        "total": verdict.total,
    }


def of_task_statistics(found: TaskStatistics) -> Fields:
    """Return the fields of the statistics of a task: a TaskStatistics."""
    return {
        "name": found.name,
        "statistics": found.statistics and found.statistics.to_json(),
        "parts": [_of_crawl_part(each) for each in found.parts],
    }


def _of_crawl_part(part: CrawlPart) -> Fields:
    return {
        "name": part.name,
        "node": part.node,
        "statistics": part.statistics and part.statistics.to_json(),
        "age_s": part.age_s,
        "of_head": part.of_head,
        "silent": part.silent,
        "note": part.note,
    }


def of_spider_list(found: SpiderList) -> Fields:
    """Return the fields of the spiders of a cluster: a SpiderList."""
    return {
        "spiders": [of_offered_spider(each) for each in found.spiders],
        "notes": list(found.notes),
    }


def of_offered_spider(found: OfferedSpider) -> Fields:
    """Return the fields of a spider: an OfferedSpider."""
    return {
        "name": found.name,
        "project": found.project,
        "about": found.about and _of_about(found.about),
        "nodes": list(found.nodes),
        "differs": found.differs,
    }


def _of_about(found: SpiderAbout) -> Fields:
    return {
        "about": found.about,
        "arguments": [_of_argument(each) for each in found.arguments],
        "takes_others": found.takes_others,
    }


def _of_argument(found: SpiderArgument) -> Fields:
    return {name: value for name, value in asdict(found).items() if value is not None}

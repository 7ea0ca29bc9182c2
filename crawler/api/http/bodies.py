"""The bodies of HTTP requests and answers: JSON as grpc-gateway writes it by default.

64-bit integers are strings, names are lowerCamelCase, and fields without a value are written too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from crawler.api.failures import Failure
from crawler.api.service import NodeLoad, Page
from crawler.errors import InvalidArgument
from crawler.model.constraints import NONE
from crawler.model.policy import Explanation, PluginView, SchedulerView, WorkerVerdict
from crawler.model.records import Counts, Leader, Resource
from crawler.schemas import constraint_json


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a request body; an empty body is an empty one.

    Raises InvalidArgument.
    """
    try:
        text = body.strip() or b"{}"
        value = _DECODER.decode(text.decode(json.detect_encoding(text), "surrogatepass"))
    except (ValueError, RecursionError) as fault:
        raise InvalidArgument(f"the body is not JSON: {fault}") from None
    if not isinstance(value, dict):
        raise InvalidArgument(f"the body is a JSON {type(value).__name__}; allowed is an object")
    return value


def write(value: Any) -> bytes:
    """A value as a body: compact, and UTF-8 whatever the strings hold."""
    return _ENCODER.encode(value).encode(errors="backslashreplace")


def placement(resource: Resource) -> dict[str, Any]:
    """The answer to an addition: the node alone, or why there is none yet."""
    if resource.owner is None:
        return {"id": "", "Address": "", "reason": resource.reason}
    return {"id": resource.owner.node_id, "Address": resource.owner.address}


def resource(resource: Resource) -> dict[str, Any]:
    """A resource as a client sees it."""
    spec = resource.spec
    asked = constraint_json.write(spec.constraints) if spec.constraints != NONE else None
    return {
        "id": resource.id,
        "name": spec.name,
        "assignedNode": str(resource.owner or ""),
        "creationTime": str(resource.creation_time),
        "spider": spec.spider,
        "parameters": spec.parameters,
        "labels": spec.labels,
        "priority": spec.priority,
        "state": resource.state.value,
        "reason": resource.reason,
        "epoch": str(resource.epoch),
        "counts": _counts(resource.counts),
        **({"constraints": asked} if asked else {}),
        "retries": spec.retries,
        "assignedTime": str(resource.assigned_time),
        "failedOn": list(resource.failed_on),
        "kills": resource.kills,
    }


def page(page: Page) -> dict[str, Any]:
    """A page of resources."""
    return {
        "resources": [resource(each) for each in page.resources],
        "nextPageToken": page.next_token,
        "total": page.total,
    }


def nodes(loads: Sequence[NodeLoad]) -> dict[str, Any]:
    """The live nodes."""
    return {"nodes": [node(load) for load in loads]}


def node(load: NodeLoad) -> dict[str, Any]:
    """A live node."""
    found = load.node
    return {
        "id": found.id,
        "address": found.address,
        "role": load.role,
        "labels": found.labels,
        "spiders": sorted(found.spiders or ()),
        "everySpider": found.spiders is None,
        "metadata": found.metadata,
        "incarnation": str(found.incarnation),
        "unfinished": load.unfinished,
        "resources": load.resources,
        "capacity": dict(sorted(found.capacity.items())),
        "taints": [str(taint) for taint in found.taints],
        "used": dict(sorted(load.used.items())),
        "cordoned": load.cordoned,
        "load": {"cpu": load.load.cpu, "lagS": load.load.lag_s},
    }


def scheduler(view: SchedulerView) -> dict[str, Any]:
    """How tasks are placed."""
    policy = view.policy
    return {
        "strategy": policy.strategy,
        "disabled": sorted(policy.disabled),
        "weights": dict(policy.weights),
        "strategies": list(view.strategies),
        "plugins": [_plugin(plugin) for plugin in view.plugins],
        "switched": view.switched,
        "fault": view.fault,
    }


def explanation(found: Explanation) -> dict[str, Any]:
    """Why a task is where it is, or waits."""
    judgement = found.judgement
    return {
        "name": found.name,
        "state": found.state,
        "reason": found.reason,
        "assignedNode": found.assigned_node,
        "group": found.group,
        "priority": found.priority,
        "waitsFor": found.waits_for,
        "strategy": judgement.strategy,
        "chosen": judgement.chosen,
        "workers": [_verdict(verdict) for verdict in judgement.workers],
        "faults": [
            {"plugin": fault.plugin, "hook": fault.hook, "error": fault.error}
            for fault in judgement.faults
        ],
    }


def leader(leader: Leader) -> dict[str, Any]:
    """The present leader."""
    return {"id": leader.id, "address": leader.address}


def failure(failure: Failure) -> dict[str, Any]:
    """An error."""
    return {"code": failure.number, "message": failure.message, "details": []}


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "pages": str(counts.pages),
        "items": str(counts.items),
        "failures": str(counts.failures),
        "seconds": counts.seconds,
    }


def _plugin(plugin: PluginView) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "source": plugin.source,
        "order": plugin.order,
        "on": plugin.on,
        "weight": plugin.weight,
        "hooks": list(plugin.hooks),
        "calls": str(plugin.calls),
        "failures": str(plugin.failures),
        "seconds": plugin.seconds,
        "slow": str(plugin.slow),
    }


def _verdict(verdict: WorkerVerdict) -> dict[str, Any]:
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


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


# Made once: with options, `json.loads` and `json.dumps` make another for each call.
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

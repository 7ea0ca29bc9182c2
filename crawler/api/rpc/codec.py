"""Converts records to messages of crawler.proto, and back.

A message has only a part of a record. The incarnation of an owner, fields of other programs and
store revisions stay with the leader, because no client uses them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from crawler.api import fields
from crawler.api.backend import NodeLoad, Page, Submission
from crawler.errors import InvalidArgument
from crawler.model.constraints import NONE, Constraints, Taint
from crawler.model.records import (
    NO_BLAME,
    NO_SHARD_COUNTS,
    NOT_PAUSED,
    Blame,
    Counts,
    Node,
    Owner,
    Pause,
    Query,
    Report,
    Resource,
    Spec,
    State,
    WorkerLoad,
)
from crawler.model.run_statistics import MOST_BYTES, RunStatistics
from crawler.model.shards import MAX_WORKERS
from crawler.model.sorting import TOLD_STATES
from crawler.proto import crawler_pb2 as pb
from crawler.schemas import constraint_json
from crawler.schemas.readers import Faulty
from crawler.schemas.states import load_state
from crawler.schemas.structs import from_struct

MOST_REASON = 4000
"""The longest reason of a report that is kept, in characters."""

MOST_SECONDS = 10.0**12
"""The longest running time of a crawl that is believed."""

CACHED = 1024
"""How many constraints are kept in both forms, because many tasks have the same."""


def spec_message(
    spec: Spec, *, restart: bool | None = None, wait_for_spider: bool = False
) -> pb.ResourceSpec:
    """Return the request to add a task, or to update it, perhaps with `restart`."""
    message = _resource_spec(fields.of_spec(spec))
    if restart is not None:
        message.restart = restart
    if wait_for_spider:
        message.wait_for_spider = True
    return message


def restart_of(message: pb.ResourceSpec) -> bool | None:
    """Return whether an update may restart a run; None if the request does not say."""
    return bool(message.restart) if message.HasField("restart") else None


def spec_fields(message: pb.ResourceSpec) -> dict[str, Any]:
    """Return the fields of a request for `schemas.load_spec`, which checks them."""
    return {
        "name": message.name,
        "spider": message.spider,
        "parameters": from_struct(message.parameters),
        "labels": dict(message.labels),
        "priority": message.priority,
        "constraints": MessageToDict(message.constraints, preserving_proto_field_name=True),
        "retries": message.retries,
        "workers": message.workers or None,
        "isolated": message.isolated,
        "project": message.project,
        "bundle": message.bundle,
    }


def resource_message(resource: Resource) -> pb.ResourceSpec:
    """Return a resource as a client sees it."""
    return _resource_spec(fields.of_resource(resource))


def resource_from(message: pb.ResourceSpec) -> Resource:
    """Return a resource from another master's message."""
    owner = _owner_from(message.assigned_node)
    return Resource(
        spec=_spec_from(message),
        id=message.id,
        creation_time=message.creation_time,
        owner=owner,
        epoch=message.epoch,
        state=_state_from(message.state, owner),
        reason=message.reason,
        counts=_counts_from(message.counts),
        assigned_time=message.assigned_time,
        failed_on=tuple(message.failed_on),
        kills=message.kills,
        blame=Blame(processes=message.killed_processes) if message.killed_processes else NO_BLAME,
        generation=message.generation,
        running=message.running,
        paused=Pause(message.reason or "paused") if message.paused else NOT_PAUSED,
        stopped=message.stopped,
        run=message.run or 1,
        digest=message.digest,
    )


def placement_message(submission: Submission) -> pb.NodeSpec:
    """Return the answer to an addition."""
    resource, new = submission
    message = pb.NodeSpec(resource=resource_message(resource), new=new, state=resource.state.value)
    if resource.owner is None:
        message.reason = resource.reason
    else:
        message.id, message.Address = resource.owner.node_id, resource.owner.address
    return message


def placement_from(message: pb.NodeSpec, spec: Spec) -> Submission:
    """Return what became of an addition. A master of another implementation returns only the
    node."""
    new = message.new if message.HasField("new") else True
    if message.HasField("resource"):
        return Submission(resource_from(message.resource), new)
    owner = Owner(message.id, message.Address) if message.id else None
    state = _state_from(message.state, owner)
    return Submission(Resource(spec, owner=owner, state=state, reason=message.reason), new)


def query_message(query: Query) -> pb.ListResourcesRequest:
    """Return the request for a list of resources."""
    state = query.state.value if query.state else ""
    return pb.ListResourcesRequest(
        page_size=query.page_size,
        page_token=query.page_token,
        state=state,
        shards=query.shards,
        labels=dict(query.labels),
        search=query.search,
        spider=query.spider,
        node=query.node,
        sort=query.sort.value,
        descending=query.descending,
    )


def query_fields(message: pb.ListResourcesRequest) -> dict[str, Any]:
    """Return the fields of a request for `schemas.load_query`."""
    return {
        "page_size": message.page_size,
        "page_token": message.page_token,
        "state": message.state,
        "shards": message.shards,
        "labels": dict(message.labels),
        "search": message.search,
        "spider": message.spider,
        "node": message.node,
        "sort": message.sort,
        "descending": message.descending,
    }


def page_message(page: Page) -> pb.ListResourcesResponse:
    """Return a page of resources."""
    return pb.ListResourcesResponse(
        resources=[resource_message(resource) for resource in page.resources],
        next_page_token=page.next_token,
        total=page.total,
        counts=page.counts,
    )


def page_from(message: pb.ListResourcesResponse) -> Page:
    """Return a page of resources from another master's message."""
    resources = [resource_from(resource) for resource in message.resources]
    told = dict(message.counts)
    counts = {state: told[state] for state in (*TOLD_STATES, *told) if state in told}
    return Page(resources, message.next_page_token, message.total, counts)


def node_message(load: NodeLoad) -> pb.NodeInfo:
    """Return a live node."""
    return pb.NodeInfo(**fields.of_node(load))


def node_from(message: pb.NodeInfo) -> NodeLoad:
    """Return a live node from another master's message."""
    node = Node(
        id=message.id,
        address=message.address,
        metadata=dict(message.metadata),
        labels=dict(message.labels),
        spiders=None if message.every_spider else frozenset(message.spiders),
        incarnation=message.incarnation,
        capacity=dict(message.capacity),
        taints=tuple(Taint.parse(taint) for taint in message.taints),
    )
    return NodeLoad(
        node,
        message.role,
        message.unfinished,
        message.resources,
        used=dict(message.used),
        cordoned=message.cordoned,
        load=WorkerLoad(message.load.cpu, message.load.lag_s, message.load.disk),
    )


def reports_message(
    node_id: str,
    reports: Sequence[Report],
    load: WorkerLoad,
    over: Sequence[RunStatistics] = (),
) -> pb.ReportRunsRequest:
    """Return a worker's reports about its runs and its load."""
    return pb.ReportRunsRequest(
        node_id=node_id,
        reports=[
            pb.RunReport(
                name=report.name,
                id=report.id,
                epoch=report.epoch,
                state=report.state.value,
                reason=report.reason,
                awaits_spider=report.awaits_spider,
                counts=fields.of_counts(report.counts),
                shard_counts={
                    shard: pb.Counts(**fields.of_counts(counts))
                    for shard, counts in report.shard_counts.items()
                },
                interrupted=report.interrupted,
                charged=report.charged,
            )
            for report in reports
        ],
        load=fields.of_load(load),
        over=[
            pb.RunStatistics(id=told.id, shard=told.shard, epoch=told.epoch, statistics=told.text)
            for told in over
        ],
    )


def statistics_from(message: pb.ReportRunsRequest) -> list[RunStatistics]:
    """Return the statistics of runs that are over. Raises InvalidArgument."""
    for at, told in enumerate(message.over):
        if len(told.statistics) > MOST_BYTES:
            raise InvalidArgument(
                f"over[{at}].statistics: {len(told.statistics)} characters are too many; allowed"
                f" are {MOST_BYTES}"
            )
    return [
        RunStatistics(told.id, told.shard, told.epoch, told.statistics) for told in message.over
    ]


def load_from(message: pb.ReportRunsRequest) -> WorkerLoad:
    """Return the load that a worker reports. Raises InvalidArgument."""
    load = message.load
    for name, value in (("cpu", load.cpu), ("lag_s", load.lag_s), ("disk", load.disk)):
        if not 0 <= value < math.inf:
            raise InvalidArgument(f"load.{name}: {value} is not allowed; allowed is 0 or more")
    return WorkerLoad(load.cpu, load.lag_s, load.disk)


def reports_from(message: pb.ReportRunsRequest) -> list[Report]:
    """Return the reports of a worker. Raises InvalidArgument."""
    if not message.node_id:
        raise InvalidArgument("node_id: is missing")
    return [
        Report(
            name=report.name,
            id=report.id,
            epoch=report.epoch,
            state=_reported_state(report, f"reports[{at}]"),
            reason=report.reason[:MOST_REASON],
            awaits_spider=report.awaits_spider,
            counts=_checked(report.counts, f"reports[{at}].counts"),
            shard_counts=_shard_counts_from(report.shard_counts, f"reports[{at}].shard_counts"),
            interrupted=report.interrupted,
            charged=report.charged,
        )
        for at, report in enumerate(message.reports)
    ]


def _reported_state(report: pb.RunReport, where: str) -> State:
    """Return the state in a report. Only a run that failed can have been interrupted, and only an
    interrupted one charged. Raises InvalidArgument."""
    state = load_state(report.state)
    if report.interrupted and (state is not State.FAILED or report.awaits_spider):
        raise InvalidArgument(
            f"{where}.interrupted: true is not allowed; allowed where state is failed, and"
            " awaits_spider is not set"
        )
    if report.charged and not report.interrupted:
        raise InvalidArgument(
            f"{where}.charged: true is not allowed; allowed where interrupted is true"
        )
    return state


def _shard_counts_from(found: Mapping[int, pb.Counts], where: str) -> Mapping[int, Counts]:
    if not found:
        return NO_SHARD_COUNTS
    for shard in found:
        if not 1 <= shard < MAX_WORKERS:
            raise InvalidArgument(
                f"{where}: {shard} is no shard; allowed are 1 to {MAX_WORKERS - 1}"
            )
    return {shard: _checked(counts, f"{where}[{shard}]") for shard, counts in found.items()}


def _checked(message: pb.Counts, where: str) -> Counts:
    """Return the counts of a report. What could not be read again must not be stored. Raises
    InvalidArgument."""
    for name in ("pages", "items", "failures", "seconds"):
        value = getattr(message, name)
        if not 0 <= value <= (MOST_SECONDS if name == "seconds" else math.inf):
            raise InvalidArgument(f"{where}.{name}: {value} is not allowed; allowed is 0 or more")
    return _counts_from(message)


def _resource_spec(found: fields.Fields) -> pb.ResourceSpec:
    asked = found["constraints"]
    constraints = _constraints_message(asked) if asked is not None else None
    parameters = found["parameters"] or None
    return pb.ResourceSpec(**{**found, "parameters": parameters, "constraints": constraints})


def _spec_from(message: pb.ResourceSpec) -> Spec:
    return Spec(
        name=message.name,
        spider=message.spider,
        parameters=from_struct(message.parameters),
        labels=dict(message.labels),
        priority=message.priority,
        constraints=_constraints_from(message.constraints),
        retries=message.retries,
        workers=message.workers or 1,
        shard=message.shard,
        shard_of=message.shard_of,
        isolated=message.isolated,
        project=message.project,
        bundle=message.bundle,
    )


@lru_cache(CACHED)
def _constraints_message(constraints: Constraints) -> pb.Constraints:
    return ParseDict(constraint_json.write(constraints), pb.Constraints())


def _constraints_from(message: pb.Constraints) -> Constraints:
    return _parsed(message.SerializeToString(deterministic=True)) if message.ByteSize() else NONE


@lru_cache(CACHED)
def _parsed(constraints: bytes) -> Constraints:
    try:
        return constraint_json.read(MessageToDict(pb.Constraints.FromString(constraints)))
    except Faulty as fault:
        raise InvalidArgument(fault.told("constraints")) from None


def _state_from(text: str, owner: Owner | None) -> State:
    if text:
        return load_state(text)
    return State.PENDING if owner is None else State.ASSIGNED


def _owner_from(assigned_node: str) -> Owner | None:
    node_id, _, address = assigned_node.partition("|")
    return Owner(node_id, address) if node_id else None


def _counts_from(message: pb.Counts) -> Counts:
    return Counts(message.pages, message.items, message.failures, message.seconds)

"""The bodies of HTTP requests and answers: JSON as grpc-gateway writes it by default.

64-bit integers are strings, names are lowerCamelCase, and fields without a value are also written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NoReturn

import msgspec
from google.protobuf.descriptor import FieldDescriptor

from crawler.api import fields
from crawler.api.backend import NodeLoad, Page, Submission
from crawler.api.failures import Failure
from crawler.errors import InvalidArgument
from crawler.model.access import NewToken, Token
from crawler.model.alerts import Alert, AlertRule
from crawler.model.audit import AuditRecord
from crawler.model.history import Event, Run
from crawler.model.logs import LogPart
from crawler.model.policy import DryRun, Explanation, SchedulerView
from crawler.model.projects import BundleFiles, Comparison, ProjectView
from crawler.model.records import Leader, Resource, Spec
from crawler.model.schedules import ScheduleView
from crawler.model.secrets import Secret
from crawler.model.spiders import OfferedSpider, SpiderList
from crawler.model.task_statistics import TaskStatistics
from crawler.proto import crawler_pb2 as pb
from crawler.schemas import constraint_json

_Descriptor = Any
"""Describes the fields of a message. protobuf has several classes for it."""

_Write = Callable[[Any], Any]


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a request body. An empty body is an empty object.

    Raises InvalidArgument.
    """
    try:
        text = body.strip() or b"{}"
        value = _DECODER.decode(text.decode(json.detect_encoding(text), "surrogatepass"))
    except RecursionError:
        raise InvalidArgument("the body is nested too deeply; allowed are some 16 levels") from None
    except ValueError as fault:
        why = "a number has thousands of digits" if "digits" in str(fault) else fault
        raise InvalidArgument(f"the body is not JSON: {why}") from None
    if not isinstance(value, dict):
        raise InvalidArgument(f"the body is a JSON {type(value).__name__}; allowed is an object")
    return value


def write(value: Any) -> bytes:
    """Encode a value as a body: compact, and in UTF-8 whatever the strings contain."""
    try:
        return msgspec.json.encode(value)
    # Half a surrogate pair; more than 64 bits; a subclass of str or int, None or True as a key.
    except (UnicodeEncodeError, OverflowError, TypeError):
        return _ENCODER.encode(value).encode(errors="backslashreplace")


def placement(submission: Submission) -> dict[str, Any]:
    """Return the answer to an addition: only the node, or why there is none yet. If the task
    existed, the answer says so, and how far it is.

    A task with nothing but a name is one of the reference's form. Its clients may refuse fields
    that they do not know, so they get none.
    """
    resource, new = submission
    told = {} if new or _is_plain(resource) else {"new": False, "state": resource.state.value}
    if resource.owner is None:
        return {"id": "", "Address": "", "reason": resource.reason, **told}
    return {"id": resource.owner.node_id, "Address": resource.owner.address, **told}


def _is_plain(resource: Resource) -> bool:
    return resource.spec == Spec(resource.name)


def resource(resource: Resource) -> dict[str, Any]:
    """Return a resource as a client sees it."""
    return _body(pb.ResourceSpec.DESCRIPTOR, fields.of_resource(resource))


def page(page: Page) -> dict[str, Any]:
    """Return a page of resources."""
    return _body(pb.ListResourcesResponse.DESCRIPTOR, fields.of_page(page))


def nodes(loads: Sequence[NodeLoad]) -> dict[str, Any]:
    """Return the live nodes."""
    return {"nodes": [node(load) for load in loads]}


def node(load: NodeLoad) -> dict[str, Any]:
    """Return a live node."""
    return _body(pb.NodeInfo.DESCRIPTOR, fields.of_node(load))


def scheduler(view: SchedulerView) -> dict[str, Any]:
    """Return the policy and the plugins of the scheduler."""
    return _body(pb.Scheduler.DESCRIPTOR, fields.of_scheduler(view))


def dry_run(found: DryRun) -> dict[str, Any]:
    """Return what the scheduler would do after a change of the policy."""
    return _body(pb.DryRun.DESCRIPTOR, fields.of_dry_run(found))


def explanation(found: Explanation) -> dict[str, Any]:
    """Return the explanation why a task is where it is, or why it waits."""
    return _body(pb.Explanation.DESCRIPTOR, fields.of_explanation(found))


def new_token(made: NewToken) -> dict[str, Any]:
    """Return a token that was just made, with its text."""
    return _body(pb.Token.DESCRIPTOR, fields.of_new_token(made))


def token(found: Token) -> dict[str, Any]:
    """Return a token without its text."""
    return _body(pb.Token.DESCRIPTOR, fields.of_token(found))


def tokens(found: Sequence[Token]) -> dict[str, Any]:
    """Return tokens without their texts."""
    return {"tokens": [token(each) for each in found]}


def secret(found: Secret) -> dict[str, Any]:
    """Return a secret without its value."""
    return _body(pb.Secret.DESCRIPTOR, fields.of_secret(found))


def secrets(found: Sequence[Secret]) -> dict[str, Any]:
    """Return secrets without their values."""
    return {"secrets": [secret(each) for each in found]}


def alert_rule(found: AlertRule) -> dict[str, Any]:
    """Return a rule of alerts."""
    return _body(pb.AlertRule.DESCRIPTOR, fields.of_alert_rule(found))


def alert_rules(found: Sequence[AlertRule]) -> dict[str, Any]:
    """Return rules of alerts."""
    return {"rules": [alert_rule(each) for each in found]}


def alert(found: Alert) -> dict[str, Any]:
    """Return an alert."""
    return _body(pb.Alert.DESCRIPTOR, fields.of_alert(found))


def alerts(found: Sequence[Alert]) -> dict[str, Any]:
    """Return alerts."""
    return {"alerts": [alert(each) for each in found]}


def schedule(found: ScheduleView) -> dict[str, Any]:
    """Return a schedule."""
    return _body(pb.Schedule.DESCRIPTOR, fields.of_schedule(found))


def schedules(found: Sequence[ScheduleView]) -> dict[str, Any]:
    """Return schedules."""
    return {"schedules": [schedule(each) for each in found]}


def project(found: ProjectView) -> dict[str, Any]:
    """Return a project."""
    return _body(pb.Project.DESCRIPTOR, fields.of_project(found))


def projects(found: Sequence[ProjectView]) -> dict[str, Any]:
    """Return projects."""
    return {"projects": [project(each) for each in found]}


def bundle_files(found: BundleFiles) -> dict[str, Any]:
    """Return what is in a bundle."""
    return _body(pb.BundleFiles.DESCRIPTOR, fields.of_bundle_files(found))


def comparison(found: Comparison) -> dict[str, Any]:
    """Return how two bundles differ."""
    return _body(pb.Comparison.DESCRIPTOR, fields.of_comparison(found))


def audit(found: Sequence[AuditRecord]) -> dict[str, Any]:
    """Return records of the audit."""
    plan = pb.AuditRecord.DESCRIPTOR
    return {"records": [_body(plan, fields.of_audit(each)) for each in found]}


def history(found: Sequence[Event]) -> dict[str, Any]:
    """Return events of the history."""
    plan = pb.HistoryEvent.DESCRIPTOR
    return {"events": [_body(plan, fields.of_event(each)) for each in found]}


def runs(found: Sequence[Run]) -> dict[str, Any]:
    """Return runs."""
    return {"runs": [_body(pb.Run.DESCRIPTOR, fields.of_run(each)) for each in found]}


def task_statistics(found: TaskStatistics) -> dict[str, Any]:
    """Return the statistics of a task."""
    return _body(pb.TaskStatistics.DESCRIPTOR, fields.of_task_statistics(found))


def spiders(found: SpiderList) -> dict[str, Any]:
    """Return the spiders of a cluster."""
    return _body(pb.SpiderList.DESCRIPTOR, fields.of_spider_list(found))


def spider(found: OfferedSpider) -> dict[str, Any]:
    """Return a spider of a cluster."""
    return _body(pb.OfferedSpider.DESCRIPTOR, fields.of_offered_spider(found))


def log_lines(part: LogPart) -> Iterator[bytes]:
    """Yield the lines of a part of a log, each with its place and the `offset` behind it; or the
    note that it is."""
    if part.note:
        yield write({"note": part.note}) + b"\n"
    key, at = part.key, part.begin
    for line in part.data.splitlines(keepends=True):
        at += len(line)
        told = {
            "epoch": key.epoch,
            "shard": key.shard,
            "run": part.run,
            "node": part.node,
            "offset": f"{key.shard}.{key.epoch}.{at}",
        }
        yield b'%s,"line":%s}\n' % (write(told)[:-1], _object(line))


def _object(line: bytes) -> bytes:
    """Return a line of a log, which is JSON unless its file was damaged."""
    text = line.strip()
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    return text if is_object else write({"msg": text.decode(errors="replace")})


def leader(leader: Leader) -> dict[str, Any]:
    """Return the present leader."""
    return _body(pb.LeaderSpec.DESCRIPTOR, fields.of_leader(leader))


def failure(failure: Failure) -> dict[str, Any]:
    """Return an error."""
    return {"code": failure.number, "message": failure.message, "details": []}


def _body(message: _Descriptor, found: fields.Fields) -> dict[str, Any]:
    """Return the fields of a message as JSON, without those that are None."""
    return {
        json_name: value if write is None else write(value)
        for name, json_name, write in _plan(message)
        if (value := found.get(name)) is not None
    }


@cache
def _plan(message: _Descriptor) -> Sequence[tuple[str, str, _Write | None]]:
    """Return for each field its name, its name in JSON, and the function that converts its
    value."""
    return [(field.name, field.json_name, _writer(field)) for field in message.fields]


def _writer(field: FieldDescriptor) -> _Write | None:
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT64:
        return str
    message = field.message_type
    if message is None or message.full_name.startswith("google.") or _is_map(message):
        return None
    if message is pb.Constraints.DESCRIPTOR:
        return constraint_json.write
    if field.is_repeated:
        return lambda values: [_body(message, value) for value in values]
    return partial(_body, message)


def _is_map(message: _Descriptor) -> bool:
    return bool(message.GetOptions().map_entry)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


# Made once: with options, `json.loads` and `json.dumps` make a new coder for each call.
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

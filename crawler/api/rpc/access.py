"""Lets gRPC calls in: each method says what it needs, and the doors decide who may."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from crawler.api import passed_on
from crawler.api.doors import Approach, Doors
from crawler.api.limiter import address_of
from crawler.api.rpc.interceptors import Method
from crawler.api.rpc.metadata import CALLER, FORWARDED, caller_from
from crawler.model import audit
from crawler.model.access import Caller, Need

_MASTER, _WORKER = "/CrawlerMaster/", "/CrawlerWorker/"

NEEDS: Mapping[str, Need] = {
    "/grpc.health.v1.Health/Check": Need.NOTHING,
    "/grpc.health.v1.Health/Watch": Need.NOTHING,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Need.READ,
    f"{_MASTER}AddResource": Need.TASKS,
    f"{_MASTER}UpdateResource": Need.TASKS,
    f"{_MASTER}AgainResource": Need.TASKS,
    f"{_MASTER}PauseResource": Need.TASKS,
    f"{_MASTER}ResumeResource": Need.TASKS,
    f"{_MASTER}StopResource": Need.TASKS,
    f"{_MASTER}RunResource": Need.TASKS,
    f"{_MASTER}DeleteResource": Need.TASKS,
    f"{_MASTER}GetResource": Need.READ,
    f"{_MASTER}ListResources": Need.READ,
    f"{_MASTER}ExplainResource": Need.READ,
    f"{_MASTER}ListNodes": Need.READ,
    f"{_MASTER}GetScheduler": Need.READ,
    f"{_MASTER}GetSignIn": Need.NOTHING,
    f"{_MASTER}GetLeader": Need.READ,
    f"{_MASTER}DrainNode": Need.CLUSTER,
    f"{_MASTER}UncordonNode": Need.CLUSTER,
    f"{_MASTER}UpdateScheduler": Need.CLUSTER,
    f"{_MASTER}DryRunScheduler": Need.CLUSTER,
    f"{_MASTER}ResetScheduler": Need.CLUSTER,
    f"{_MASTER}CreateToken": Need.CLUSTER,
    f"{_MASTER}ListTokens": Need.CLUSTER,
    f"{_MASTER}RevokeToken": Need.CLUSTER,
    f"{_MASTER}SetSecret": Need.CLUSTER,
    f"{_MASTER}ListSecrets": Need.CLUSTER,
    f"{_MASTER}DeleteSecret": Need.CLUSTER,
    f"{_MASTER}AddSchedule": Need.TASKS,
    f"{_MASTER}UpdateSchedule": Need.TASKS,
    f"{_MASTER}GetSchedule": Need.READ,
    f"{_MASTER}ListSchedules": Need.READ,
    f"{_MASTER}DeleteSchedule": Need.TASKS,
    f"{_MASTER}PauseSchedule": Need.TASKS,
    f"{_MASTER}ResumeSchedule": Need.TASKS,
    f"{_MASTER}RunSchedule": Need.TASKS,
    f"{_MASTER}DeployBundle": Need.CLUSTER,
    f"{_MASTER}ListProjects": Need.READ,
    f"{_MASTER}GetProject": Need.READ,
    f"{_MASTER}ListBundleFiles": Need.CLUSTER,
    f"{_MASTER}CompareBundles": Need.CLUSTER,
    f"{_MASTER}RollbackProject": Need.CLUSTER,
    f"{_MASTER}DeleteProject": Need.CLUSTER,
    f"{_MASTER}RecordBundle": Need.NODES,
    f"{_MASTER}FetchBundle": Need.NODES,
    f"{_MASTER}ListAudit": Need.CLUSTER,
    f"{_MASTER}GetHistory": Need.READ,
    f"{_MASTER}ListRuns": Need.READ,
    f"{_MASTER}GetTaskStatistics": Need.READ,
    f"{_MASTER}ListSpiders": Need.READ,
    f"{_MASTER}ReadLogs": Need.READ,
    f"{_MASTER}ListItemFiles": Need.READ,
    f"{_MASTER}ReadItemFile": Need.READ,
    f"{_MASTER}ListAlerts": Need.READ,
    f"{_MASTER}ListAlertRules": Need.READ,
    f"{_MASTER}SetAlertRule": Need.TASKS,
    f"{_MASTER}DeleteAlertRule": Need.TASKS,
    f"{_MASTER}TestAlert": Need.TASKS,
    f"{_MASTER}ReportRuns": Need.NODES,
    f"{_WORKER}GetStatistics": Need.READ,
    f"{_WORKER}ListStatistics": Need.READ,
    f"{_WORKER}ListProcesses": Need.READ,
    f"{_WORKER}ListLogs": Need.NODES,
    f"{_WORKER}ReadLog": Need.NODES,
    f"{_WORKER}ListItems": Need.NODES,
    f"{_WORKER}ListOffered": Need.NODES,
    f"{_WORKER}ReadItems": Need.NODES,
}
"""What each method needs. A method that is not here needs what a node needs."""

ACTIONS: Mapping[str, str] = {
    f"{_MASTER}AddResource": audit.TASK_ADD,
    f"{_MASTER}UpdateResource": audit.TASK_UPDATE,
    f"{_MASTER}AgainResource": audit.TASK_AGAIN,
    f"{_MASTER}PauseResource": audit.TASK_PAUSE,
    f"{_MASTER}ResumeResource": audit.TASK_RESUME,
    f"{_MASTER}StopResource": audit.TASK_STOP,
    f"{_MASTER}RunResource": audit.TASK_RUN,
    f"{_MASTER}DeleteResource": audit.TASK_DELETE,
    f"{_MASTER}DrainNode": audit.NODE_DRAIN,
    f"{_MASTER}UncordonNode": audit.NODE_UNCORDON,
    f"{_MASTER}UpdateScheduler": audit.SCHEDULER_UPDATE,
    f"{_MASTER}ResetScheduler": audit.SCHEDULER_RESET,
    f"{_MASTER}CreateToken": audit.TOKEN_CREATE,
    f"{_MASTER}ListTokens": audit.TOKEN_LIST,
    f"{_MASTER}RevokeToken": audit.TOKEN_REVOKE,
    f"{_MASTER}SetSecret": audit.SECRET_SET,
    f"{_MASTER}ListSecrets": audit.SECRET_LIST,
    f"{_MASTER}DeleteSecret": audit.SECRET_DELETE,
    f"{_MASTER}AddSchedule": audit.SCHEDULE_ADD,
    f"{_MASTER}UpdateSchedule": audit.SCHEDULE_UPDATE,
    f"{_MASTER}DeleteSchedule": audit.SCHEDULE_DELETE,
    f"{_MASTER}PauseSchedule": audit.SCHEDULE_PAUSE,
    f"{_MASTER}ResumeSchedule": audit.SCHEDULE_RESUME,
    f"{_MASTER}RunSchedule": audit.SCHEDULE_RUN,
    f"{_MASTER}DeployBundle": audit.PROJECT_DEPLOY,
    f"{_MASTER}RollbackProject": audit.PROJECT_ROLLBACK,
    f"{_MASTER}DeleteProject": audit.PROJECT_DELETE,
    f"{_MASTER}SetAlertRule": audit.ALERT_RULE_SET,
    f"{_MASTER}DeleteAlertRule": audit.ALERT_RULE_DELETE,
    f"{_MASTER}TestAlert": audit.ALERT_TEST,
    f"{_MASTER}ListAudit": audit.AUDIT_READ,
}
"""The words of the audit for methods."""

_present: ContextVar[Caller | None] = ContextVar("caller", default=None)


def present_caller() -> Caller | None:
    """Return who makes the call that is being carried out; None if it needs nobody."""
    return _present.get()


class AccessInterceptor(ServerInterceptor):
    """Refuses calls whose callers may not make them, before anything of their messages is read."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def intercept(
        self,
        method: Method,
        request_or_iterator: Any,
        context: grpc.ServicerContext,
        method_name: str,
    ) -> Any:
        """Call the method as its caller. Raises Unauthenticated, Forbidden, Overloaded and
        Unavailable."""
        metadata = {key: value for key, value in context.invocation_metadata() or ()}
        need = Need.NODES if FORWARDED in metadata else NEEDS.get(method_name, Need.NODES)
        caller = self._doors.admit(_approach(context, metadata, method_name), need)
        if caller is not None and caller.is_node and CALLER in metadata:
            caller = caller_from(metadata[CALLER])
        token = _present.set(caller)
        try:
            return method(request_or_iterator, context)
        finally:
            _present.reset(token)


def _approach(
    context: grpc.ServicerContext, metadata: Mapping[str, Any], method_name: str
) -> Approach:
    return Approach(
        address_of(context.peer()),
        str(metadata.get("authorization", "")),
        passed_on.in_metadata(metadata),
        transport="grpc",
        action=ACTIONS.get(method_name, ""),
        object=method_name,
    )

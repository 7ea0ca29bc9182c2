"""Lets HTTP requests in: each route says what it needs, and the doors decide who may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crawler.api import passed_on
from crawler.api.doors import Approach
from crawler.api.http.origins import is_from_a_page, other_host
from crawler.model import audit
from crawler.model.access import Need

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CALLER = "crawler.caller"
"""The key in the environment of a request for who makes it."""

TRACE = "crawler.trace"
"""The key for the span in which it is answered, as a W3C traceparent. Without traces there is
none."""

NEEDS: Mapping[str, Need] = {
    "node.healthz": Need.NOTHING,
    "node.readyz": Need.NOTHING,
    "node.metrics": Need.METRICS,
    "node.openapi": Need.READ,
    "crawler.add": Need.TASKS,
    "crawler.update": Need.TASKS,
    "crawler.again": Need.TASKS,
    "crawler.pause": Need.TASKS,
    "crawler.resume": Need.TASKS,
    "crawler.stop": Need.TASKS,
    "crawler.run": Need.TASKS,
    "crawler.delete": Need.TASKS,
    "crawler.delete_by_body": Need.TASKS,
    "crawler.get": Need.READ,
    "crawler.list_": Need.READ,
    "crawler.explain": Need.READ,
    "crawler.logs": Need.READ,
    "crawler.items": Need.READ,
    "crawler.statistics": Need.READ,
    "crawler.spiders": Need.READ,
    "crawler.nodes": Need.READ,
    "crawler.leader": Need.READ,
    "crawler.scheduler": Need.READ,
    "crawler.update_scheduler": Need.CLUSTER,
    "crawler.dry_run": Need.CLUSTER,
    "crawler.reset_scheduler": Need.CLUSTER,
    "crawler.drain": Need.CLUSTER,
    "crawler.uncordon": Need.CLUSTER,
    "crawler.create_token": Need.CLUSTER,
    "crawler.tokens": Need.CLUSTER,
    "crawler.revoke_token": Need.CLUSTER,
    "debug.profile": Need.DEBUG,
    "debug.stacks": Need.DEBUG,
    "debug.memory": Need.DEBUG,
    "crawler.set_secret": Need.CLUSTER,
    "crawler.secrets": Need.CLUSTER,
    "crawler.delete_secret": Need.CLUSTER,
    "crawler.add_schedule": Need.TASKS,
    "crawler.update_schedule": Need.TASKS,
    "crawler.schedule": Need.READ,
    "crawler.schedules": Need.READ,
    "crawler.delete_schedule": Need.TASKS,
    "crawler.pause_schedule": Need.TASKS,
    "crawler.resume_schedule": Need.TASKS,
    "crawler.run_schedule": Need.TASKS,
    "crawler.deploy": Need.CLUSTER,
    "crawler.projects": Need.READ,
    "crawler.project": Need.READ,
    "crawler.bundle_files": Need.CLUSTER,
    "crawler.compare_bundles": Need.CLUSTER,
    "crawler.rollback": Need.CLUSTER,
    "crawler.delete_project": Need.CLUSTER,
    "crawler.audit": Need.CLUSTER,
    "crawler.history": Need.READ,
    "crawler.runs": Need.READ,
    "crawler.alerts": Need.READ,
    "crawler.alert_rules": Need.READ,
    "crawler.set_alert_rule": Need.TASKS,
    "crawler.delete_alert_rule": Need.TASKS,
    "crawler.test_alert": Need.TASKS,
    "crawls.processes": Need.READ,
    "crawls.list_": Need.READ,
    "crawls.get": Need.READ,
}
"""What each route needs, by its endpoint."""

ACTIONS: Mapping[str, str] = {
    "crawler.add": audit.TASK_ADD,
    "crawler.update": audit.TASK_UPDATE,
    "crawler.again": audit.TASK_AGAIN,
    "crawler.pause": audit.TASK_PAUSE,
    "crawler.resume": audit.TASK_RESUME,
    "crawler.stop": audit.TASK_STOP,
    "crawler.run": audit.TASK_RUN,
    "crawler.delete": audit.TASK_DELETE,
    "crawler.delete_by_body": audit.TASK_DELETE,
    "crawler.update_scheduler": audit.SCHEDULER_UPDATE,
    "crawler.reset_scheduler": audit.SCHEDULER_RESET,
    "crawler.drain": audit.NODE_DRAIN,
    "crawler.uncordon": audit.NODE_UNCORDON,
    "crawler.create_token": audit.TOKEN_CREATE,
    "crawler.tokens": audit.TOKEN_LIST,
    "crawler.revoke_token": audit.TOKEN_REVOKE,
    "crawler.set_secret": audit.SECRET_SET,
    "crawler.secrets": audit.SECRET_LIST,
    "crawler.delete_secret": audit.SECRET_DELETE,
    "crawler.add_schedule": audit.SCHEDULE_ADD,
    "crawler.update_schedule": audit.SCHEDULE_UPDATE,
    "crawler.delete_schedule": audit.SCHEDULE_DELETE,
    "crawler.pause_schedule": audit.SCHEDULE_PAUSE,
    "crawler.resume_schedule": audit.SCHEDULE_RESUME,
    "crawler.run_schedule": audit.SCHEDULE_RUN,
    "crawler.deploy": audit.PROJECT_DEPLOY,
    "crawler.rollback": audit.PROJECT_ROLLBACK,
    "crawler.delete_project": audit.PROJECT_DELETE,
    "crawler.set_alert_rule": audit.ALERT_RULE_SET,
    "crawler.delete_alert_rule": audit.ALERT_RULE_DELETE,
    "crawler.test_alert": audit.ALERT_TEST,
    "crawler.audit": audit.AUDIT_READ,
}
"""The words of the audit for routes, by their endpoints."""


def need_of(endpoint: str | None) -> Need:
    """Return what a route needs. One that nobody has decided on needs what a node needs. To learn
    that a path has no route needs a reader: strangers learn nothing of what there is."""
    return Need.READ if endpoint is None else NEEDS.get(endpoint, Need.NODES)


def approach(environ: WSGIEnvironment, endpoint: str | None = None, object: str = "") -> Approach:
    """Return what a request shows of its caller, and what it asks for."""
    host = environ.get("HTTP_HOST", "")
    return Approach(
        environ.get("REMOTE_ADDR") or "",
        environ.get("HTTP_AUTHORIZATION", ""),
        passed_on.in_environ(environ),
        is_from_a_page(environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN"), host),
        other_host(host),
        "http",
        ACTIONS.get(endpoint or "", ""),
        object,
    )

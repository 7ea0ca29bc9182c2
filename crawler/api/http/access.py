"""Lets HTTP requests in: each route says what it needs, and the doors decide who may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crawler.api.doors import Approach
from crawler.api.http.origins import is_from_a_page, other_host
from crawler.model.access import Need

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CALLER = "crawler.caller"
"""The key in the environment of a request for who makes it."""

NEEDS: Mapping[str, Need] = {
    "node.healthz": Need.NOTHING,
    "node.readyz": Need.NOTHING,
    "node.metrics": Need.METRICS,
    "node.openapi": Need.READ,
    "crawler.add": Need.TASKS,
    "crawler.update": Need.TASKS,
    "crawler.again": Need.TASKS,
    "crawler.delete": Need.TASKS,
    "crawler.delete_by_body": Need.TASKS,
    "crawler.get": Need.READ,
    "crawler.list_": Need.READ,
    "crawler.explain": Need.READ,
    "crawler.nodes": Need.READ,
    "crawler.leader": Need.READ,
    "crawler.scheduler": Need.READ,
    "crawler.update_scheduler": Need.CLUSTER,
    "crawler.reset_scheduler": Need.CLUSTER,
    "crawler.drain": Need.CLUSTER,
    "crawler.uncordon": Need.CLUSTER,
    "crawler.create_token": Need.CLUSTER,
    "crawler.tokens": Need.CLUSTER,
    "crawler.revoke_token": Need.CLUSTER,
    "debug.profile": Need.CLUSTER,
    "debug.stacks": Need.CLUSTER,
    "debug.memory": Need.CLUSTER,
    "crawler.set_secret": Need.CLUSTER,
    "crawler.secrets": Need.CLUSTER,
    "crawler.delete_secret": Need.CLUSTER,
    "crawls.processes": Need.READ,
    "crawls.list_": Need.READ,
    "crawls.get": Need.READ,
}
"""What each route needs, by its endpoint."""

_PASSED_ON = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA")
"""The headers that a proxy adds."""


def need_of(endpoint: str | None) -> Need:
    """Return what a route needs. One that nobody has decided on needs what a node needs. To learn
    that a path has no route needs a reader: strangers learn nothing of what there is."""
    return Need.READ if endpoint is None else NEEDS.get(endpoint, Need.NODES)


def approach(environ: WSGIEnvironment) -> Approach:
    """Return what a request shows of its caller."""
    host = environ.get("HTTP_HOST", "")
    return Approach(
        environ.get("REMOTE_ADDR") or "",
        environ.get("HTTP_AUTHORIZATION", ""),
        any(name in environ for name in _PASSED_ON),
        is_from_a_page(environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN"), host),
        other_host(host),
    )

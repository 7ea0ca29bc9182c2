"""The paths of projects."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from flask import Response, request

from crawler.api.bundles import CHUNK
from crawler.api.http import bodies
from crawler.api.http.asked import (
    answer,
    api,
    backend,
    body_of,
    named_in_path,
    present_call,
    service,
)
from crawler.errors import InvalidArgument, shown
from crawler.schemas import project_schemas

_TRUTHS = {"": False, "true": True, "false": False}


@api.post("/projects/<name>/bundles")
def deploy(name: str) -> Response:
    """Take a bundle, and make it the current one of the project. With roll=true the runs under way
    go on with it."""
    call = present_call()
    named = project_schemas.load_name(name)
    roll = request.args.get("roll", "")
    if roll not in _TRUTHS:
        raise InvalidArgument(f"roll: {shown(roll)} is not allowed; allowed: true, false")
    request.max_content_length = sys.maxsize  # what takes the bundle counts its bytes
    return answer(bodies.project(service().deploy(named, _body(), _TRUTHS[roll], call)))


@api.get("/projects")
def projects() -> Response:
    """Return all projects, by name."""
    call = present_call()
    return answer(bodies.projects(backend(call).projects(call)))


@api.get("/projects/<name>")
def project(name: str) -> Response:
    """Return one project."""
    call = present_call()
    named = project_schemas.load_name(name)
    return answer(bodies.project(backend(call).project(named, call)))


@api.get("/projects/<name>/files")
def bundle_files(name: str) -> Response:
    """Return what is in a version of a project: in the current one, unless `digest` names one."""
    call = present_call()
    wish = project_schemas.load_comparison({**request.args.to_dict(), "name": name})
    return answer(bodies.bundle_files(service().bundle_files(wish.name, wish.digest, call)))


@api.get("/projects/<name>/diff")
def compare_bundles(name: str) -> Response:
    """Return how a version of a project differs from the one before, or from that of `since`."""
    call = present_call()
    wish = project_schemas.load_comparison({**request.args.to_dict(), "name": name})
    return answer(bodies.comparison(service().compare(*wish, call)))


@api.post("/projects/<name>/rollback")
def rollback(name: str) -> Response:
    """Make another version of a project the current one; without a digest, the one before."""
    call = present_call()
    wish = project_schemas.load_rollback(named_in_path(name, body_of(call)))
    return answer(bodies.project(backend(call).rollback(*wish, call)))


@api.delete("/projects/<name>")
def delete_project(name: str) -> Response:
    """Remove a project that no unfinished task names, and return it."""
    call = present_call()
    named = project_schemas.load_name(name)
    return answer(bodies.project(backend(call).delete_project(named, call)))


def _body() -> Iterator[bytes]:
    while chunk := request.stream.read(CHUNK):
        yield chunk

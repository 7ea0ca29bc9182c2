"""The projects: their versions, who deployed them, and which one counts."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, request
from werkzeug.datastructures import FileStorage

from crawler.api.bundles import CHUNK
from crawler.dashboard.asked import action, backend, call, field, page, shared, show
from crawler.errors import InvalidArgument
from crawler.model import audit
from crawler.model.access import Need
from crawler.model.projects import SHORT, bundles_in
from crawler.plural import counted
from crawler.schemas import project_schemas


@page("/projects")
def projects() -> Response:
    """Show all projects."""
    found = backend(asking := call()).projects(asking)
    return show("projects.html", found=found)


@page("/projects/<name>")
def project(name: str) -> Response:
    """Show the versions of a project, and which workers have which."""
    asking = call()
    asked = backend(asking)
    found = asked.project(project_schemas.load_name(name), asking)
    has = {
        each.node.id: bundles_in(each.node.metadata)[name]
        for each in asked.nodes(asking)
        if name in bundles_in(each.node.metadata)
    }
    return show("project.html", project=found.project, has=has, short=SHORT)


@action("/projects", Need.CLUSTER, audit.PROJECT_DEPLOY)
def deploy_project() -> str:
    """Take a bundle, and make it the current one of a project."""
    name = project_schemas.load_name(field("name"))
    given = request.files.get("bundle")
    if given is None or not given.filename:
        raise InvalidArgument("bundle: choose a file that crawler deploy --out FILE wrote")
    rolls = request.form.get("roll") == "yes"
    found = shared().service.deploy(name, _chunks(given), rolls, call())
    told = f"{name} has the bundle {found.project.current[:SHORT]} now."
    return f"{told} {counted(found.rolled, 'run')} went on with it." if rolls else told


@action("/projects/<name>/rollback", Need.CLUSTER, audit.PROJECT_ROLLBACK)
def roll_back(name: str) -> str:
    """Make another version the current one."""
    rolls = request.form.get("roll") == "yes"
    asking = call()
    found = backend(asking).rollback(name, request.form.get("digest", ""), rolls, asking)
    return f"{name} has the bundle {found.project.current[:SHORT]} now."


@action("/projects/<name>/delete", Need.CLUSTER, audit.PROJECT_DELETE)
def remove_project(name: str) -> str:
    """Remove a project."""
    backend(asking := call()).delete_project(name, asking)
    return f"The project {name} is deleted."


def _chunks(given: FileStorage) -> Iterator[bytes]:
    while chunk := given.stream.read(CHUNK):
        yield chunk

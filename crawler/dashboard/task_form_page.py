"""The forms to add a task, and to change one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from flask import Response, redirect, request

from crawler.api.backend import Backend, Call
from crawler.dashboard import writing
from crawler.dashboard.asked import (
    ACTIONS,
    NEEDS,
    backend,
    call,
    check_form,
    page,
    pages,
    show,
    tell,
)
from crawler.dashboard.task_typed import Filled, asked, faults_of, typed_in, typed_of
from crawler.errors import AlreadyExists, CrawlerError, Rejected, WouldRestart
from crawler.model import audit
from crawler.model.access import Need
from crawler.schemas import task_schemas

WORKER = "worker"
EMPTY = {"priority": "0", "retries": "0", "workers": "1"}
MAY_RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Choice:
    """A spider that a task can have."""

    value: str
    """`spider`, or of a project `project/spider`."""
    about: str = ""


@page("/tasks/new", Need.TASKS)
def new_task() -> Response:
    """Show the form to add a task: an empty one, or like another task."""
    like, spider = request.args.get("like", ""), request.args.get("spider", "")
    asking = call()
    typed = dict(EMPTY)
    if like:
        known = backend(asking).get(task_schemas.load_name({"name": like}), asking)
        typed = {**typed_of(known.spec), "name": ""}
    if spider:
        typed["spider"] = spider
    return _form(Filled(typed))


@pages.post("/tasks/new")
def add_task() -> Response:
    """Add a task. If it is refused, the form is there again with what was typed."""
    check_form()
    typed, asking = typed_in(request.form), call()
    try:
        spec, _ = task_schemas.load_addition(asked(typed))
        waits = typed["wait_for_spider"] == "on"
        found, is_new = backend(asking).submit(spec, asking, waits)
    except AlreadyExists as error:
        return _form(Filled(typed, {"name": str(error)}), 409)
    except Rejected as error:
        return _form(Filled(typed, faults_of(error)), 400)
    where = f"{found.owner.node_id} has it" if found.owner else f"it waits: {found.reason}"
    tell("ok", f"{spec.name} is added; {where}." if is_new else f"{spec.name} was there already.")
    return _led_to(spec.name)


@page("/tasks/<name>/change", Need.TASKS)
def change_task_form(name: str) -> Response:
    """Show the form to change a task."""
    asking = call()
    known = backend(asking).get(task_schemas.load_name({"name": name}), asking)
    return _form(Filled(typed_of(known.spec)), name=name)


@pages.post("/tasks/<name>/change")
def update_task(name: str) -> Response:
    """Change a task. A run ends for it only if that was ticked."""
    check_form()
    typed, asking = {**typed_in(request.form), "name": name}, call()
    try:
        given = {**asked(typed), "restart": typed[MAY_RESTART] == "on"}
        spec, restart, _ = task_schemas.load_update(given)
        waits = typed["wait_for_spider"] == "on"
        found = backend(asking).update(spec, asking, restart, waits)
    except WouldRestart as error:
        return _form(Filled(typed, {MAY_RESTART: str(error)}, would_restart=True), 409, name)
    except Rejected as error:
        return _form(Filled(typed, faults_of(error)), 400, name)
    tell("ok", f"{name} is changed; it is {found.told_state} now.")
    return _led_to(name)


NEEDS.update({"dashboard.add_task": Need.TASKS, "dashboard.update_task": Need.TASKS})
ACTIONS.update({"dashboard.add_task": audit.TASK_ADD, "dashboard.update_task": audit.TASK_UPDATE})


def choices(asked: Backend, asking: Call) -> Sequence[Choice]:
    """Return the spiders of the live workers and of the projects."""
    own = {
        name
        for each in asked.nodes(asking)
        if each.role == WORKER
        for name in each.node.spiders or ()
    }
    deployed = {
        f"{view.project.name}/{name}": view.project.name
        for view in asked.projects(asking)
        for version in view.project.versions
        if version.digest == view.project.current
        for name in version.spiders
    }
    return [Choice(name) for name in sorted(own | deployed.keys())]


def _form(filled: Filled, status: int = 200, name: str = "") -> Response:
    """Show the form with what was typed; of the task of that name, or of a new one."""
    asking = call()
    try:
        spiders = choices(backend(asking), asking)
    except CrawlerError:
        spiders = []  # what was typed counts for more than suggestions
    return show("task_form.html", status, filled=filled, name=name, spiders=spiders)


def _led_to(name: str) -> Response:
    return cast(Response, redirect(writing.path("tasks", name), 303))

"""The forms to add a task, and to change one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from flask import Response, redirect, request

from crawler.api.spider_list import Spiders
from crawler.dashboard import writing
from crawler.dashboard.asked import (
    ACTIONS,
    NEEDS,
    backend,
    call,
    check_form,
    page,
    pages,
    shared,
    show,
    tell,
)
from crawler.dashboard.task_arguments import PREFIX
from crawler.dashboard.task_typed import (
    Arguments,
    Filled,
    asked,
    faults_of,
    typed_in,
    typed_of,
)
from crawler.errors import AlreadyExists, CrawlerError, Rejected, WouldRestart
from crawler.model import audit
from crawler.model.access import Need
from crawler.model.spiders import OfferedSpider
from crawler.schemas import task_schemas

EMPTY = {"priority": "0", "retries": "0", "workers": "1"}
MAY_RESTART = "restart"
BY_HAND = "hand"
"""The word in the query for a form without a chosen spider."""


@page("/tasks/new", Need.TASKS)
def new_task() -> Response:
    """Show the spiders to choose from, or the form to add a task: an empty one, or like another
    task."""
    like, spider, asking = request.args.get("like", ""), request.args.get("spider", ""), call()
    if like:
        known = backend(asking).get(task_schemas.load_name({"name": like}), asking).spec
        chosen = _offered(known.offered_as)
        return _form(Filled({**typed_of(known, _arguments(chosen)), "name": ""}), chosen=chosen)
    if not spider and request.args.get("by") != BY_HAND and (offered := spiders()):
        return show("task_spiders.html", spiders=offered, hand=BY_HAND)
    return _form(Filled({**EMPTY, "spider": spider}), chosen=_offered(spider))


@pages.post("/tasks/new")
def add_task() -> Response:
    """Add a task. If it is refused, the form is there again with what was typed."""
    check_form()
    typed, asking = typed_in(request.form), call()
    chosen = _offered(typed["spider"])
    try:
        spec, _ = task_schemas.load_addition(asked(typed, _arguments(chosen)))
        waits = typed["wait_for_spider"] == "on"
        found, is_new = backend(asking).submit(spec, asking, waits)
    except AlreadyExists as error:
        return _form(Filled(typed, {"name": str(error)}), 409, chosen=chosen)
    except Rejected as error:
        return _form(Filled(typed, faults_of(error)), 400, chosen=chosen)
    where = f"{found.owner.node_id} has it" if found.owner else f"it waits: {found.reason}"
    tell("ok", f"{spec.name} is added; {where}." if is_new else f"{spec.name} was there already.")
    return _led_to(spec.name)


@page("/tasks/<name>/change", Need.TASKS)
def change_task_form(name: str) -> Response:
    """Show the form to change a task."""
    asking = call()
    known = backend(asking).get(task_schemas.load_name({"name": name}), asking).spec
    chosen = _offered(known.offered_as)
    return _form(Filled(typed_of(known, _arguments(chosen))), name=name, chosen=chosen)


@pages.post("/tasks/<name>/change")
def update_task(name: str) -> Response:
    """Change a task. A run ends for it only if that was ticked."""
    check_form()
    typed, asking = {**typed_in(request.form), "name": name}, call()
    chosen = _offered(typed["spider"])
    try:
        given = {**asked(typed, _arguments(chosen)), "restart": typed[MAY_RESTART] == "on"}
        spec, restart, _ = task_schemas.load_update(given)
        waits = typed["wait_for_spider"] == "on"
        found = backend(asking).update(spec, asking, restart, waits)
    except WouldRestart as error:
        return _form(Filled(typed, {MAY_RESTART: str(error)}), 409, name, chosen)
    except Rejected as error:
        return _form(Filled(typed, faults_of(error)), 400, name, chosen)
    tell("ok", f"{name} is changed; it is {found.told_state} now.")
    return _led_to(name)


NEEDS.update({"dashboard.add_task": Need.TASKS, "dashboard.update_task": Need.TASKS})
ACTIONS.update({"dashboard.add_task": audit.TASK_ADD, "dashboard.update_task": audit.TASK_UPDATE})


def spiders() -> Sequence[OfferedSpider]:
    """Return the spiders of the live workers and of the projects; none if nobody can tell."""
    reach, service = shared().reach, shared().service
    if reach is None:
        return ()
    try:
        return Spiders(service.backend, reach, call(), service.offers).all().spiders
    except CrawlerError:
        return ()  # what was typed counts for more than suggestions


def _offered(text: str) -> OfferedSpider | None:
    """Return a spider, given as `spider` or `project/spider`."""
    project, _, name = text.strip().rpartition("/")
    return next((each for each in spiders() if (each.project, each.name) == (project, name)), None)


def _arguments(spider: OfferedSpider | None) -> Arguments:
    return spider.about.arguments if spider is not None and spider.about is not None else ()


def _form(
    filled: Filled, status: int = 200, name: str = "", chosen: OfferedSpider | None = None
) -> Response:
    """Show the form with what was typed; of the task of that name, or of a new one."""
    arguments = [(f"{PREFIX}{each.name}", each) for each in _arguments(chosen)]
    return show(
        "task_form.html", status, filled=filled, name=name, chosen=chosen, arguments=arguments
    )


def _led_to(name: str) -> Response:
    return cast(Response, redirect(writing.path("tasks", name), 303))

"""The schedules: what fires when, what became of the last time, and the week to come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from flask import Response, redirect, request

from crawler.api.backend import Call
from crawler.api.service import Service
from crawler.dashboard.asked import (
    ACTIONS,
    NEEDS,
    action,
    allowed,
    backend,
    call,
    check_form,
    page,
    pages,
    shared,
    show,
    stream,
    tell,
)
from crawler.dashboard.live import Shown
from crawler.dashboard.writing import part, path
from crawler.errors import CrawlerError, InvalidArgument, shown
from crawler.model import audit
from crawler.model.access import Need
from crawler.model.schedules import Overlap, ScheduleView, ScheduleWish
from crawler.schedules.timetable import moments_of
from crawler.schemas import task_schemas
from crawler.schemas.schedule_schemas import load_schedule

DAYS = 7
"""How many days the calendar shows."""
MOST_A_DAY = 4
"""How many times of a schedule are told one by one on a day."""
DAY_NS = 86_400 * 10**9
NS = 1_000_000_000


class Fires(NamedTuple):
    """What a schedule does on a day."""

    name: str
    times: Sequence[str]
    """The first times, as hours and minutes of UTC."""
    has_more: bool
    """Whether there are more of them."""


class Day(NamedTuple):
    """A day of the calendar."""

    begin: datetime
    fires: Sequence[Fires]


@page("/schedules")
def schedules() -> Response:
    """Show all schedules, and the days to come."""
    found = backend(asking := call()).schedules(asking)
    return show("schedules.html", found=found, days=days(found, shared().clock.time_ns()))


@page("/schedules/live")
def schedules_live() -> Response:
    """Follow them."""
    service, acts = shared().service, allowed()
    return stream("schedules", lambda call: _shown(service, call, acts))


@page("/schedules/new", Need.TASKS)
def new_schedule() -> Response:
    """Show the form of a new schedule."""
    return _form({"time_zone": "UTC", "overlap": Overlap.SKIP.value})


@page("/schedules/<name>")
def schedule(name: str) -> Response:
    """Show one schedule with all that it says, and the form that changes it."""
    found = backend(asking := call()).schedule(name, asking)
    return _form(_fields_of(found.schedule.wish), found)


@pages.post("/schedules")
def set_schedule() -> Response:
    """Add a schedule, or change one. What was typed stays there if it is refused."""
    check_form()
    asking, changes = call(), request.form.get("changes") == "yes"
    try:
        wish = load_schedule(_given())
        asked = backend(asking)
        (asked.update_schedule if changes else asked.add_schedule)(wish, asking)
    except CrawlerError as error:
        return _form(request.form, fault=str(error))
    tell("ok", f"The schedule {wish.name} is {'changed' if changes else 'added'}.")
    return redirect(path("schedules", wish.name), 303)  # type: ignore[return-value]


NEEDS["dashboard.set_schedule"] = Need.TASKS
ACTIONS["dashboard.set_schedule"] = audit.SCHEDULE_ADD


@action("/schedules/<name>/pause", Need.TASKS, audit.SCHEDULE_PAUSE)
def pause_schedule(name: str) -> str:
    """Let a schedule begin nothing."""
    backend(asking := call()).pause_schedule(name, asking)
    return f"The schedule {name} is paused. A run under way goes on."


@action("/schedules/<name>/resume", Need.TASKS, audit.SCHEDULE_RESUME)
def resume_schedule(name: str) -> str:
    """Let a schedule go on."""
    backend(asking := call()).resume_schedule(name, asking)
    return f"The schedule {name} goes on. Times during the pause are not caught up."


@action("/schedules/<name>/run", Need.TASKS, audit.SCHEDULE_RUN)
def run_schedule(name: str) -> str:
    """Let a schedule begin its task now."""
    found = backend(asking := call()).run_schedule(name, asking)
    return f"The schedule {name} begins the task {found.schedule.wish.task.name} now."


@action("/schedules/<name>/delete", Need.TASKS, audit.SCHEDULE_DELETE)
def delete_schedule(name: str) -> str:
    """Remove a schedule."""
    backend(asking := call()).delete_schedule(name, asking)
    return f"The schedule {name} is deleted. Its task stays."


def days(found: Sequence[ScheduleView], now_ns: int) -> Sequence[Day]:
    """Return the days to come, with what fires on each, by UTC."""
    today = datetime.fromtimestamp(now_ns / NS, UTC).replace(hour=0, minute=0, second=0)
    begins = [today.replace(microsecond=0) + timedelta(days=number) for number in range(DAYS)]
    return [Day(begin, list(_on_day(found, begin, now_ns))) for begin in begins]


def _on_day(found: Sequence[ScheduleView], begin: datetime, now_ns: int) -> Iterator[Fires]:
    """Yield what fires on a day from now on, in the order of the first times."""
    begin_ns = int(begin.timestamp()) * NS
    end_ns, told = begin_ns + DAY_NS, []
    for each in found:
        if not each.schedule.wish.paused:
            first_ns = max(begin_ns - 1, now_ns)
            times = list(islice(_moments(each, first_ns, end_ns), MOST_A_DAY + 1))
            if times:
                told.append(Fires(each.schedule.name, times[:MOST_A_DAY], len(times) > MOST_A_DAY))
    yield from sorted(told, key=lambda fires: (fires.times[0], fires.name))


def _moments(view: ScheduleView, after_ns: int, until_ns: int) -> Iterator[str]:
    """Yield the moments of a schedule between two times, as hours and minutes of UTC."""
    table, at = moments_of(view.schedule), moments_of(view.schedule).after(after_ns)
    while at is not None and at < until_ns:
        yield f"{datetime.fromtimestamp(at / NS, UTC):%H:%M}"
        at = table.after(at)


def _form(typed: Mapping[str, Any], view: ScheduleView | None = None, fault: str = "") -> Response:
    overlaps = [each.value for each in Overlap]
    status = 400 if fault else 200
    return show("schedule.html", status, typed=typed, view=view, fault=fault, overlaps=overlaps)


def _given() -> dict[str, Any]:
    """Return the form as the fields of a schedule. Raises InvalidArgument."""
    form = request.form
    task = {
        "name": form.get("task", "").strip() or form.get("name", "").strip(),
        "spider": form.get("spider", "").strip(),
        "project": form.get("project", "").strip(),
        "labels": dict(map(task_schemas.load_label, form.get("labels", "").split())),
        "parameters": _parameters(form.get("parameters", "")),
    }
    given = {each: form.get(each, "").strip() for each in ("name", "when", "time_zone", "overlap")}
    return {**given, "task": task, "jitter_s": _seconds("jitter_s", 0.0)}


def _parameters(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError as fault:
        raise InvalidArgument(f"parameters: {fault}; allowed is a JSON object") from None


def _seconds(name: str, usual: float) -> float:
    given = request.form.get(name, "").strip()
    try:
        return float(given) if given else usual
    except ValueError:
        raise InvalidArgument(f"{name}: {shown(given)} is not allowed; a number is") from None


def _fields_of(wish: ScheduleWish) -> dict[str, Any]:
    """Return what the form has of a schedule."""
    task = wish.task
    return {
        "name": wish.name,
        "when": wish.when,
        "time_zone": wish.time_zone,
        "overlap": wish.overlap.value,
        "jitter_s": f"{wish.jitter_s:g}" if wish.jitter_s else "",
        "task": task.name,
        "spider": task.spider,
        "project": task.project,
        "labels": " ".join(f"{key}={value}" for key, value in sorted(task.labels.items())),
        "parameters": json.dumps(dict(task.parameters), indent=2) if task.parameters else "",
        "changes": "yes",
    }


def _shown(service: Service, call: Call, acts: Mapping[str, bool]) -> Shown:
    found = service.backend(call).schedules(call)
    rows = {f"schedule-{each.schedule.name}": _part("row", each, acts) for each in found}
    return Shown(rows, {"schedules": list(rows)})


_part = partial(part, "schedule_parts.html")

"""The paths of schedules."""

from __future__ import annotations

from flask import Response

from crawler.api.http import bodies
from crawler.api.http.asked import answer, api, backend, body_of, named_in_path, present_call
from crawler.schemas import schedule_schemas


@api.post("/schedule")
def add_schedule() -> Response:
    """Add a schedule."""
    call = present_call()
    wish = schedule_schemas.load_schedule(body_of(call))
    return answer(bodies.schedule(backend(call).add_schedule(wish, call)))


@api.put("/schedule/<name>")
def update_schedule(name: str) -> Response:
    """Change a schedule."""
    call = present_call()
    wish = schedule_schemas.load_schedule(named_in_path(name, body_of(call)))
    return answer(bodies.schedule(backend(call).update_schedule(wish, call)))


@api.get("/schedule/<name>")
def schedule(name: str) -> Response:
    """Return one schedule."""
    call = present_call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(backend(call).schedule(named, call)))


@api.get("/schedule")
def schedules() -> Response:
    """Return all schedules, by name."""
    call = present_call()
    return answer(bodies.schedules(backend(call).schedules(call)))


@api.delete("/schedule/<name>")
def delete_schedule(name: str) -> Response:
    """Remove a schedule, and return it. Its task stays."""
    call = present_call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(backend(call).delete_schedule(named, call)))


@api.post("/schedule/<name>/pause")
def pause_schedule(name: str) -> Response:
    """Let a schedule fire no more."""
    call = present_call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(backend(call).pause_schedule(named, call)))


@api.post("/schedule/<name>/resume")
def resume_schedule(name: str) -> Response:
    """Let a schedule fire again, from now on."""
    call = present_call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(backend(call).resume_schedule(named, call)))


@api.post("/schedule/<name>/run")
def run_schedule(name: str) -> Response:
    """Let a schedule fire now."""
    call = present_call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(backend(call).run_schedule(named, call)))

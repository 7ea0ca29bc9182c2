"""The paths of tasks. They raise errors, and `app` answers them."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from crawler.api.backend import Call
from crawler.api.http import bodies
from crawler.api.http.asked import answer, api, backend, body_of, named_in_path, present_call
from crawler.schemas import task_schemas


@api.post("/resource")
def add() -> Response:
    """Store and place a task."""
    call = present_call()
    spec, waits = task_schemas.load_addition(body_of(call))
    return answer(bodies.placement(backend(call).submit(spec, call, waits)))


@api.delete("/resource")
def delete_by_body() -> Response:
    """Delete the task that the body names."""
    call = present_call()
    return _delete(body_of(call), call)


@api.get("/resource")
def list_() -> Response:
    """Return a page of the tasks."""
    call = present_call()
    query = task_schemas.load_query(_query())
    return answer(bodies.page(backend(call).list(query, call)))


@api.get("/resource/<name>")
def get(name: str) -> Response:
    """Return one task."""
    call = present_call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(backend(call).get(named, call)))


@api.put("/resource/<name>")
def update(name: str) -> Response:
    """Change what a task does. The body may omit its name. With `restart` false, a change that
    would restart a run is refused."""
    call = present_call()
    given = named_in_path(name, body_of(call))
    spec, restart, waits = task_schemas.load_update(given)
    return answer(bodies.resource(backend(call).update(spec, call, restart, waits)))


@api.post("/resource/<name>/again")
def again(name: str) -> Response:
    """Begin a task anew."""
    call = present_call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(backend(call).again(named, call)))


@api.post("/resource/<name>/pause")
def pause(name: str) -> Response:
    """Let a task rest."""
    call = present_call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(backend(call).pause(named, call)))


@api.post("/resource/<name>/resume")
def resume(name: str) -> Response:
    """Let a paused task go on."""
    call = present_call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(backend(call).resume(named, call)))


@api.post("/resource/<name>/stop")
def stop(name: str) -> Response:
    """End a task for good."""
    call = present_call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(backend(call).stop(named, call)))


@api.post("/resource/<name>/run")
def run(name: str) -> Response:
    """Run a finished task once more."""
    call = present_call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(backend(call).run(named, call)))


@api.delete("/resource/<name>")
def delete(name: str) -> Response:
    """Delete a task."""
    return _delete({"name": name}, present_call())


@api.get("/resource/<name>/explain")
def explain(name: str) -> Response:
    """Explain why a task is where it is, or why it waits."""
    call = present_call()
    name = task_schemas.load_name({"name": name})
    return answer(bodies.explanation(backend(call).explain(name, call)))


def _query() -> dict[str, Any]:
    """Return what the query asks for. `label` may be there several times."""
    given: dict[str, Any] = request.args.to_dict()
    pairs = request.args.getlist("label")
    if pairs and "labels" not in given:
        del given["label"]
        given["labels"] = dict(map(task_schemas.load_label, pairs))
    return given


def _delete(given: dict[str, Any], call: Call) -> Response:
    name = task_schemas.load_name(given)
    backend(call).delete(name, call)
    return answer({})

"""The paths of the history of tasks."""

from __future__ import annotations

from flask import Response, request

from crawler.api.http import bodies
from crawler.api.http.asked import answer, api, backend, present_call
from crawler.schemas import history_schemas, task_schemas


@api.get("/resource/<name>/history")
def history(name: str) -> Response:
    """Return what happened to a task, the oldest first."""
    call = present_call()
    named = task_schemas.load_name({"name": name})
    limit = history_schemas.load_limit(request.args.to_dict())
    return answer(bodies.history(backend(call).history(named, limit, call)))


@api.get("/runs")
def runs() -> Response:
    """Return the latest runs of all tasks, the latest first."""
    call = present_call()
    query = history_schemas.load_runs(request.args.to_dict())
    return answer(bodies.runs(backend(call).runs(query, call)))

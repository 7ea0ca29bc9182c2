"""The path of the statistics of a task."""

from __future__ import annotations

from flask import Response

from crawler.api.http import bodies
from crawler.api.http.asked import answer, api, parts, present_call, service
from crawler.api.task_statistics import TaskCounts
from crawler.errors import Unavailable
from crawler.schemas import task_schemas


@api.get("/resource/<name>/statistics")
def statistics(name: str) -> Response:
    """Return what the crawls of a task count now: all together, and each with its worker and its
    age."""
    call, reach = present_call(), parts().reach
    if reach is None:
        raise Unavailable("this node reaches no workers")
    named = task_schemas.load_name({"name": name})
    return answer(bodies.task_statistics(TaskCounts(service().backend, reach, named, call).whole()))

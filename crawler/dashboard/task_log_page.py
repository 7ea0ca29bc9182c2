"""The log of a task: its last lines, and what comes."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, request

from crawler.api.http.log_routes import CONTENT_TYPE, written_lines
from crawler.api.task_logs import TaskLog
from crawler.api.workers import Reach
from crawler.dashboard.asked import backend, call, events, page, shared, show, watching
from crawler.dashboard.log_ends import end_of_log
from crawler.dashboard.log_tails import KEPT, last_lines
from crawler.errors import Unavailable
from crawler.model.logs import LogPart, LogQuery
from crawler.schemas import log_schemas

LAST = 200
"""How many lines the page has before it follows the log."""
NO_WORKERS = "this node reaches no workers"


@page("/tasks/<name>/log")
def task_log(name: str) -> Response:
    """Show the last lines of a run; the browser follows it from there on."""
    query, asking = _query(name, follow=False), call()
    task = backend(asking).get(query.name, asking)
    lines, left_out = last_lines(_end(query), LAST)
    run = query.run or task.run
    return show("task_log.html", task=task, run=run, lines=lines, left_out=left_out, kept=KEPT)


@page("/tasks/<name>/log/live")
def task_log_live(name: str) -> Response:
    """Follow it."""
    query, (asking, who) = _query(name, follow=True), watching()
    reach, service = _reach(), shared().service

    def begin() -> Iterator[LogPart]:
        return end_of_log(service.backend, reach, query, asking)

    seen = request.headers.get("Last-Event-ID", "")
    return events(shared().tails.watch((name, query.run, who), begin, seen))


@page("/tasks/<name>/log/whole")
def whole_task_log(name: str) -> Response:
    """Let the browser keep the whole log of a run, as HTTP gives it."""
    query = _query(name, follow=False)
    parts = TaskLog(shared().service.backend, _reach(), query, call()).parts()
    answer = Response(written_lines(parts, request.path), content_type=CONTENT_TYPE)
    answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.log.jsonl")
    return answer


def _end(query: LogQuery) -> Iterator[LogPart]:
    return end_of_log(shared().service.backend, _reach(), query, call())


def _query(name: str, follow: bool) -> LogQuery:
    run = request.args.get("run", "") or 0
    return log_schemas.load_query({"name": name, "run": run, "follow": follow})


def _reach() -> Reach:
    if (reach := shared().reach) is None:
        raise Unavailable(NO_WORKERS)
    return reach

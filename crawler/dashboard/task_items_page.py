"""The items of a task: a look at the first or the last ones, and all of them to keep."""

from __future__ import annotations

from flask import Response, request

from crawler.api.backend import Call
from crawler.api.http.item_routes import found_items, item_lines
from crawler.api.http.log_routes import CONTENT_TYPE
from crawler.api.task_items import TaskFiles
from crawler.dashboard.asked import backend, call, page, shared, show
from crawler.dashboard.items_preview import ROWS, Preview, first_items, last_items
from crawler.errors import CrawlerError, Unavailable
from crawler.items.reader import TaskItems
from crawler.schemas import item_schemas

NO_WORKERS = "this node reaches no workers"
LAST = "last"


@page("/tasks/<name>/items")
def task_items(name: str) -> Response:
    """Show some items."""
    asking, end = call(), request.args.get("end", "")
    task = backend(asking).get(name, asking)
    found, preview, why = _looked_at(name, end == LAST, asking)
    return show(
        "task_items.html", task=task, found=found, preview=preview, why=why, end=end, rows=ROWS
    )


@page("/tasks/<name>/items/all")
def all_task_items(name: str) -> Response:
    """Let the browser keep them all, as HTTP gives them."""
    skips = request.args.get("skip_missing", "") == "true"
    answer = Response(item_lines(_found(name, skips, call())), content_type=CONTENT_TYPE)
    answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.jsonl")
    return answer


def _looked_at(
    name: str, is_last: bool, asking: Call
) -> tuple[TaskItems | None, Preview | None, str]:
    """Return the items, those to show, or why there are none."""
    try:
        found = _found(name, True, asking)
        return found, last_items(found) if is_last else first_items(found), ""
    except (CrawlerError, OSError, ValueError) as error:
        return None, None, str(error)


def _found(name: str, skips_missing: bool, asking: Call) -> TaskItems:
    if (reach := shared().reach) is None:
        raise Unavailable(NO_WORKERS)
    given = {"name": name, "skip_missing": skips_missing}
    query = item_schemas.load_query(given)
    return found_items(TaskFiles(shared().service.backend, reach, query.name, asking), query)

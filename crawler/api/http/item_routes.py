"""The path of the items of a task: a stream of JSON lines."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
from flask import Response, request

from crawler.api.http.asked import api, parts, present_call, service
from crawler.api.http.log_routes import CONTENT_TYPE
from crawler.api.task_items import TaskFiles
from crawler.errors import Unavailable, WrongState
from crawler.items.failures import ItemsMissing
from crawler.items.far import shelf_of
from crawler.items.formats import SQLITE
from crawler.items.reader import TaskItems, items_at
from crawler.items.texts import to_line
from crawler.schemas import item_schemas
from crawler.schemas.item_schemas import ItemQuery

STATE = "Crawl-State"
"""The header that says how far the crawl is."""
_TURN = 100
"""After so many items others get a turn."""
_TABLES = (SQLITE, "parquet")


@api.get("/resource/<name>/items")
def items(name: str) -> Response:
    """Return the items of the last crawl of a task, each once, whichever workers have them."""
    call, reach = present_call(), parts().reach
    if reach is None:
        raise Unavailable("this node reaches no workers")
    query = item_schemas.load_query({**request.args.to_dict(), "name": name})
    found = found_items(TaskFiles(service().backend, reach, query.name, call), query)
    answer = Response(item_lines(found), content_type=CONTENT_TYPE)
    answer.headers[STATE] = found.state
    return answer


def found_items(files: TaskFiles, query: ItemQuery) -> TaskItems:
    """Find the items. Raises NotFound, Unavailable and WrongState."""
    listed = files.all()
    if listed.notes and not query.skip_missing:
        raise Unavailable(f"{'; '.join(listed.notes)}. Leave it out with skip_missing=true")
    shelf = shelf_of(listed.folders, files.read)
    try:
        found = items_at(
            query.name,
            shelf.folders(),
            id=query.id,
            epoch=query.epoch,
            skip_missing=query.skip_missing,
        )
    except ItemsMissing as error:
        raise WrongState(f"{error}; over HTTP that is skip_missing=true") from error
    tables = [source.format for source in found.sources if source.format in _TABLES]
    if tables:
        raise WrongState(
            f"the items are in {tables[0]} alone, which must be read as a whole; use crawler items"
        )
    return found


def item_lines(found: TaskItems) -> Iterator[bytes]:
    """Yield the items as lines. An error ends the answer without its end, as the status is sent."""
    waiting: list[bytes] = []
    for item in found:
        waiting.append(to_line(item))
        if len(waiting) >= _TURN:
            yield b"".join(waiting)
            waiting.clear()
            gevent.sleep(0)
    yield b"".join(waiting)

"""The path of the log of a task: a stream of lines, each a JSON object."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, request

from crawler.api.failures import explain
from crawler.api.http import bodies
from crawler.api.http.asked import api, parts, present_call, service
from crawler.api.task_logs import TaskLog
from crawler.errors import Unavailable
from crawler.model.logs import LogPart
from crawler.schemas import log_schemas

CONTENT_TYPE = "application/x-ndjson"


@api.get("/resource/<name>/logs")
def logs(name: str) -> Response:
    """Return the log of a run of a task, line by line. A line without anything shows that the
    stream is alive."""
    call, reach = present_call(), parts().reach
    if reach is None:
        raise Unavailable("this node reaches no workers")
    given = {**request.args.to_dict(), "name": name}
    if given.get("follow") == "":  # ?follow
        given["follow"] = "true"
    query = log_schemas.load_query(given)
    found = TaskLog(service().backend, reach, query, call).parts()
    return Response(written_lines(found, request.path), content_type=CONTENT_TYPE)


def written_lines(found: Iterator[LogPart], path: str) -> Iterator[bytes]:
    """Yield the parts as lines. An error that comes too late for a status is a note."""
    try:
        for part in found:
            yield b"".join(bodies.log_lines(part)) or b"\n"
    except Exception as error:
        told = f"the stream ends here: {explain(error, f'GET {path}').message}"
        yield b"".join(bodies.log_lines(LogPart(note=told)))

"""The paths of a worker's HTTP: the statistics of its crawls, and its crawl processes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from crawler.api.bounded_crawls import LabelsOf, owned_by
from crawler.api.http import bodies
from crawler.api.http.access import CALLER
from crawler.api.service import Crawls
from crawler.model.statistics import Owns
from crawler.schemas import task_schemas


def blueprint(crawls: Crawls, labels_of: LabelsOf) -> Blueprint:
    """Return the paths of a worker's HTTP. `labels_of` says whose tasks are whose, for callers that
    are bounded by labels."""
    made = Blueprint("crawls", __name__)

    def owns() -> Owns:
        return owned_by(request.environ.get(CALLER), labels_of)

    @made.get("/processes")
    def processes() -> Response:
        """Return the crawl processes of the worker; none if it crawls by itself."""
        return _answer({"processes": [found.to_json() for found in crawls.processes()]})

    @made.get("/crawls")
    def list_() -> Response:
        """Return the statistics of the crawls that run here, and of those that ended lately."""
        return _answer({"crawls": [found.to_json() for found in crawls.all(owns())]})

    @made.get("/crawls/<name>")
    def get(name: str) -> Response:
        """Return the statistics of all crawls of a task here, as those of one crawl."""
        task = task_schemas.load_name({"name": name})
        return _answer(crawls.of_task(task, owns()).to_json())

    return made


def _answer(value: Any) -> Response:
    return Response(bodies.write(value), content_type="application/json")

"""The paths of a worker's HTTP: the statistics of its crawls, and its crawl processes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from crawler.api.http import bodies
from crawler.api.service import Crawls
from crawler.schemas import task_schemas


def blueprint(crawls: Crawls) -> Blueprint:
    """Return the paths of a worker's HTTP."""
    made = Blueprint("crawls", __name__)

    @made.get("/processes")
    def processes() -> Response:
        """Return the crawl processes of the worker; none if it crawls by itself."""
        return _answer({"processes": [found.to_json() for found in crawls.processes()]})

    @made.get("/crawls")
    def list_() -> Response:
        """Return the statistics of the crawls that run here, and of those that ended lately."""
        return _answer({"crawls": [found.to_json() for found in crawls.all()]})

    @made.get("/crawls/<name>")
    def get(name: str) -> Response:
        """Return the statistics of all crawls of a task here, as those of one crawl."""
        return _answer(crawls.of_task(task_schemas.load_name({"name": name})).to_json())

    return made


def _answer(value: Any) -> Response:
    return Response(bodies.write(value), content_type="application/json")

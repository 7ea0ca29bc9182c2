"""The paths under /debug, for admins without labels alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from crawler.api.http import bodies
from crawler.debugging.looks import MEMORY, PROFILE, STACKS, Question, seconds_of, times_of
from crawler.debugging.profile_forms import FORMS
from crawler.errors import InvalidArgument, shown

MOST_DIGITS = 9
"""How many digits the number of a process may have."""

Ask = Callable[[Question], Any]
"""Asks this process, or one of its crawl processes."""


def blueprint(ask: Ask) -> Blueprint:
    """Return the paths under /debug."""
    made = Blueprint("debug", __name__, url_prefix="/debug")

    @made.get("/profile")
    def profile() -> Response:
        """Return what the node has computed in the next seconds: a flame graph, or its stacks with
        their microseconds. The request takes as long."""
        form = request.args.get("format", "svg")
        if form not in FORMS:
            raise InvalidArgument(
                f"format: {shown(form)} is not allowed; allowed are {', '.join(FORMS)}"
            )
        seconds = seconds_of(request.args.get("seconds"))
        write, content_type = FORMS[form]
        found = times_of(ask(Question(PROFILE, seconds, _process())))
        return Response(write(found), content_type=content_type)

    @made.get("/stacks")
    def stacks() -> Response:
        """Return where all greenlets and native threads of the node stand. The names of greenlets
        have tasks and hosts in them; no values of variables are shown."""
        found = str(ask(Question(STACKS, process=_process())))
        return Response(found.encode(errors="replace"), content_type="text/plain; charset=utf-8")

    @made.get("/memory")
    def memory() -> Response:
        """Return what fills the memory of the node: its objects by type, without any values."""
        found = ask(Question(MEMORY, process=_process()))
        return Response(bodies.write(found), content_type="application/json")

    return made


def _process() -> int:
    """Return the number of the crawl process that is meant; 0 if the node itself is."""
    text = request.args.get("process", "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise InvalidArgument(
            f"process: {shown(text)} is not allowed; allowed is the number of a crawl process, as"
            " in /processes, or 0 for the node itself"
        )
    return int(text)

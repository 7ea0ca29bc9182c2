"""Puts the pages of a master together."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Request, Response, redirect, request
from werkzeug.exceptions import HTTPException, NotFound

from crawler.api.doors import Doors
from crawler.api.failures import explain
from crawler.api.service import Service
from crawler.api.workers import Reach
from crawler.clock import Clock
from crawler.dashboard import (
    access_page,
    alerts_page,
    cluster_page,
    projects_page,
    scheduler_page,
    schedules_page,
    signing_in,
    task_form_page,
    task_items_page,
    task_log_page,
    task_page,
    tasks_page,
)
from crawler.dashboard.asked import (
    ACTIONS,
    EXTENSION,
    NEEDS,
    ROOT,
    Shared,
    keep_session,
    own_path,
    page,
    pages,
    refused,
    session,
    show,
)
from crawler.dashboard.live import Streams
from crawler.dashboard.log_tails import Tails
from crawler.dashboard.sessions import Sessions
from crawler.dashboard.writing import PREFIX, asset, part, path
from crawler.errors import CrawlerError, Unauthenticated
from crawler.settings.oidc import OidcSettings

VIEWS = (
    access_page,
    alerts_page,
    cluster_page,
    projects_page,
    scheduler_page,
    schedules_page,
    signing_in,
    task_form_page,
    task_items_page,
    task_log_page,
    task_page,
    tasks_page,
)
"""Each adds its paths to `pages`."""

GUARDS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers of every page: it loads and runs what this node serves, and nothing else."""

FOREVER = "public, max-age=31536000, immutable"
ASKED = "no-cache"
"""A browser asks each time whether its copy is still right."""

_TOLD = {
    404: "there is no such page",
    413: "the form is larger than this node takes; send less, or use the command: crawler deploy "
    "for a bundle",
}


class Dashboard:
    """The pages of one master. It is what `api.http.pages` asks for."""

    needs = NEEDS
    actions = ACTIONS

    def __init__(
        self,
        service: Service,
        doors: Doors,
        secrets: tuple[Callable[[], str], Callable[[], str]],
        oidc: OidcSettings,
        clock: Clock,
        *,
        reach: Reach | None = None,
    ) -> None:
        """`secrets` return the secret of the cluster's nodes, and the former one."""
        sessions = Sessions(*secrets, clock)
        streams = Streams(clock, lambda why: part("parts.html", "trouble", why))
        tails = Tails(clock, lambda line: part("log_line.html", "line", line))
        self._shared = Shared(service, doors, reach, sessions, streams, tails, oidc, clock)

    def begin(self, app: Flask) -> None:
        """Let an application have them."""
        app.extensions[EXTENSION] = self._shared
        app.register_blueprint(pages)
        app.add_url_rule("/", ROOT, lambda: redirect(PREFIX, 303))

    def authorization(self) -> str:
        """Return what the session of the present request shows at the doors."""
        token = session().token
        return f"Bearer {token}" if token else ""

    def stop(self) -> None:
        """End all that is watched."""
        self._shared.streams.stop()
        self._shared.tails.stop()


@page("/<path:rest>")
def nothing(rest: str) -> Response:
    """Say that there is no such page."""
    raise NotFound


@pages.after_request
def _guard(answer: Response) -> Response:
    answer.headers.update(GUARDS)
    if request.endpoint == "dashboard.static":
        answer.headers["Cache-Control"] = FOREVER if _is_as_named(request, answer) else ASKED
        return answer
    answer.headers.setdefault("Cache-Control", "no-store")
    return keep_session(answer)


@pages.errorhandler(Exception)
def _failed(error: Exception) -> Response:
    """Answer an error with a page. Who has to sign in is led there."""
    if isinstance(error, HTTPException):
        return show("error.html", error.code or 400, why=_told(error), code=error.code or 400)
    if isinstance(error, Unauthenticated) and _wants_page(request):
        back = own_path(request.full_path.rstrip("?"))
        return redirect(path("login", back="" if back == PREFIX else back), 303)  # type: ignore[return-value]
    failure = explain(error, f"{request.method} {request.path}")
    shown = error if isinstance(error, CrawlerError) else CrawlerError(failure.message)
    return refused(shown, failure.http_status)


def _is_as_named(asked: Request, answer: Response) -> bool:
    """Whether a static file is the very one that the path names with its mark. Another version of
    the program asks for another one, and a module gets the modules that it imports without one."""
    if answer.status_code >= 400 or not (mark := asked.args.get("v")):
        return False
    return asset((asked.view_args or {})["filename"]).endswith(f"?v={mark}")


def _wants_page(asked: Request) -> bool:
    return asked.method == "GET" and "text/html" in asked.headers.get("Accept", "text/html")


def _told(error: HTTPException) -> str:
    return _TOLD.get(error.code or 0) or error.description or error.name

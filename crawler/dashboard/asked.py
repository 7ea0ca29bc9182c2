"""What the pages have in common: how a request is read, answered with a page, and led elsewhere.

A view is a function with `page` or `action` around it. A page shows something, an action changes
it: it is a POST with the form's secret, and leads back to a page that says what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Blueprint, Response, current_app, g, redirect, request

import crawler
from crawler.api.backend import Backend, Call
from crawler.api.doors import Doors
from crawler.api.http.access import CALLER
from crawler.api.http.origins import is_from_a_page
from crawler.api.service import Service
from crawler.api.workers import Reach
from crawler.clock import Clock
from crawler.dashboard import writing
from crawler.dashboard.live import Look, Streams
from crawler.dashboard.log_tails import Tails
from crawler.dashboard.sessions import Session, Sessions
from crawler.errors import CrawlerError, Forbidden, InvalidArgument, Rejected
from crawler.model.access import Caller, Need
from crawler.settings.oidc import OidcSettings

EXTENSION = "crawler.dashboard"
"""The name under which the application keeps what the pages share."""
TIMEOUT_S = 15.0
"""Deadline of what a page asks the leader."""
BACK = "back"
"""The field of a form with the path of the page from which it came."""
CSRF = "csrf"
"""The field of a form with the secret of its session."""
STREAM = "text/event-stream"
OLD_FORM = "this form is old, or of another session: nothing was changed; send it again"
STRANGE_FORM = "a page of another site sent this form: nothing was changed"

View = Callable[..., Any]
Decorated = TypeVar("Decorated", bound=View)

pages = Blueprint(
    "dashboard",
    __name__,
    url_prefix=writing.PREFIX,
    static_folder="static",
    static_url_path="/static",
)
"""The routes of the page. The static files are those of this package."""

ROOT = "dashboard_root"
"""The endpoint that leads to the pages."""
NEEDS: dict[str, Need] = {ROOT: Need.NOTHING, "dashboard.static": Need.NOTHING}
"""What each route needs, by its endpoint."""
ACTIONS: dict[str, str] = {}
"""The words of the audit for routes, by their endpoints."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the pages of one master share."""

    service: Service
    doors: Doors
    reach: Reach | None
    """Returns the client of a worker."""
    sessions: Sessions
    streams: Streams
    tails: Tails
    oidc: OidcSettings
    clock: Clock


def shared() -> Shared:
    """Return what the pages of the application share that handles the present request."""
    return cast(Shared, current_app.extensions[EXTENSION])


def page(rule: str, need: Need = Need.READ, word: str = "") -> Callable[[Decorated], Decorated]:
    """Let a function answer a GET of a path with a page. `word` is what the audit calls it, if it
    tells of that who sees it."""

    def decorated(view: Decorated) -> Decorated:
        NEEDS[f"{pages.name}.{view.__name__}"] = need
        if word:
            ACTIONS[f"{pages.name}.{view.__name__}"] = word
        return pages.get(rule)(view)

    return decorated


def action(rule: str, need: Need, word: str = "") -> Callable[[Callable[..., str]], View]:
    """Let a function carry out a POST of a form. It returns what to tell of its outcome; a refusal
    is told with its reason. Then the browser goes back to the page of the form. `word` is what the
    audit calls it."""

    def decorated(view: Callable[..., str]) -> View:
        NEEDS[f"{pages.name}.{view.__name__}"] = need
        if word:
            ACTIONS[f"{pages.name}.{view.__name__}"] = word

        @wraps(view)
        def carried_out(**given: str) -> Response:
            check_form()
            try:
                tell("ok", view(**given))
            except CrawlerError as error:
                tell("error", str(error))
            return led_back()

        return cast(View, pages.post(rule)(carried_out))

    return decorated


# -- the session ---------------------------------------------------------------------------------


def session() -> Session:
    """Return the session of the present request. It is a new one if there was none."""
    if "session" not in g:
        sessions = shared().sessions
        found = sessions.read(request.cookies.get(sessions.cookie, ""))
        g.is_new = found is None
        g.session = found or sessions.begun()
    return cast(Session, g.session)


def set_session(changed: Session) -> None:
    """Let the answer bring another cookie."""
    g.session, g.is_new = changed, True


def tell(kind: str, text: str) -> None:
    """Let the next page say something: `ok` or `error`, and what."""
    if text:
        held = session()
        set_session(replace(held, told=(*held.told, (kind, text[:600]))[-3:]))


def keep_session(answer: Response) -> Response:
    """Bring the cookie of the session, if it has changed or is old."""
    if "session" not in g:
        return answer
    sessions, held = shared().sessions, session()
    if g.is_new or sessions.is_due(held):
        answer.set_cookie(
            sessions.cookie,
            sessions.write(held),
            path=writing.PREFIX,
            httponly=True,
            samesite="Lax",
            secure=request.is_secure,
        )
    return answer


def check_form() -> None:
    """Refuse a form that this session did not get from a page. Raises Forbidden."""
    headers = request.headers
    if is_from_a_page(headers.get("Sec-Fetch-Site"), headers.get("Origin"), request.host):
        raise Forbidden(STRANGE_FORM)
    if not session().is_mine(request.form.get(CSRF, "")):
        raise Forbidden(OLD_FORM)


# -- the request ---------------------------------------------------------------------------------


def caller() -> Caller | None:
    """Return who asks; None on a page for everybody."""
    return cast("Caller | None", request.environ.get(CALLER))


def call() -> Call:
    """Return how the leader is asked for the present request."""
    return Call(TIMEOUT_S, caller=caller())


def backend(call: Call) -> Backend:
    """Return who carries a call out. Raises Unavailable."""
    return shared().service.backend(call)


def field(name: str) -> str:
    """Return a field of a form. Raises InvalidArgument if it is empty."""
    if not (text := request.form.get(name, "").strip()):
        raise InvalidArgument(f"{name}: is missing")
    return text


def allowed() -> Mapping[str, bool]:
    """Return what who asks may do, by the words of the needs."""
    who = caller()
    return {need.value: who is not None and who.role.may(need) for need in Need}


# -- the answer ----------------------------------------------------------------------------------


def show(template: str, status: int = 200, **values: Any) -> Response:
    """Answer with a page. What there was to tell is told with it."""
    # An error is told even before there can be sessions.
    held = session() if shared().sessions.is_ready else Session()
    if held.told:
        set_session(replace(held, told=()))
    text = writing.written(
        template,
        told=held.told,
        csrf=held.csrf,
        caller=caller(),
        signed_in=bool(held.token),
        may=allowed(),
        here=request.full_path.rstrip("?"),
        section=request.path.removeprefix(writing.PREFIX).strip("/").partition("/")[0] or "cluster",
        sections=writing.SECTIONS,
        host=request.host,
        version=crawler.__version__,
        **values,
    )
    return Response(text, status, content_type="text/html; charset=utf-8")


def stream(name: str, look: Callable[[Call], Any]) -> Response:
    """Answer with what changes on a page from now on. `look` asks the leader, and returns what the
    page shows. All whose role and bounds are the same share what it returns for the same query."""
    asking, who = watching()
    query = tuple(sorted(request.args.items(multi=True)))
    looking = cast(Look, lambda: look(asking))
    return events(shared().streams.watch((name, request.path, query, who), looking))


def watching() -> tuple[Call, Hashable]:
    """Return how the leader is asked for who watches a page, and what tells apart those who may
    see different things."""
    who = caller()
    assert who is not None  # nobody else gets here
    asking = Call(TIMEOUT_S, caller=replace(who, address="", transport=""))
    return asking, (who.role, tuple(sorted(who.labels.items())))


def events(found: Iterator[bytes]) -> Response:
    """Answer with server-sent events."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(found, content_type=STREAM, headers=headers)


def led_back() -> Response:
    """Lead the browser back to the page from which its form came, or to the first page."""
    return cast(Response, redirect(own_path(request.form.get(BACK, "")), 303))


def own_path(path: str) -> str:
    """Return a path of a page; the first page's if another site is meant."""
    is_own = path == writing.PREFIX or path.startswith((f"{writing.PREFIX}/", f"{writing.PREFIX}?"))
    return path if is_own and "\\" not in path and "//" not in path else writing.PREFIX


def refused(error: Rejected | CrawlerError, status: int) -> Response:
    """Answer with a page that says why there is no other."""
    return show("error.html", status, why=str(error), code=status)

"""Lets people in: with a token of the cluster, or with a login at an OpenID provider."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from flask import Response, redirect, request

from crawler.api.doors import Approach
from crawler.api.http.access import approach
from crawler.api.oidc.provider import Provider, discover
from crawler.api.oidc.sign_in import Client, CodeFlow
from crawler.dashboard import writing
from crawler.dashboard.asked import (
    BACK,
    NEEDS,
    check_form,
    own_path,
    page,
    pages,
    session,
    set_session,
    shared,
    show,
    tell,
)
from crawler.errors import CrawlerError, Forbidden, InvalidArgument
from crawler.model.access import Need

STATE, VERIFIER = "state", "verifier"
STALE = "this login is old, or began in another browser; begin again"


@page("/login", Need.NOTHING)
def login() -> Response:
    """Show the form. Who needs no token is led on."""
    back = own_path(request.args.get(BACK, ""))
    held = session()
    if held.told or not shared().doors.admits(_approach(held.token), Need.READ):
        return show("login.html", back=back, issuer=shared().oidc.oidc_issuer)
    return _led_to(back)


@pages.post("/login")
def sign_in() -> Response:
    """Take a token. The session of who signs in is a new one."""
    back = own_path(request.form.get(BACK, ""))
    try:
        check_form()
        token = request.form.get("token", "").strip()
        if not token:
            raise InvalidArgument("token: give the token that an admin made for you")
        shared().doors.admit(_approach(token), Need.READ)
        set_session(shared().sessions.begun(token))
    except CrawlerError as error:
        tell("error", str(error))
        return _led_to(writing.path("login", back=back))
    return _led_to(back)


@pages.post("/logout")
def sign_out() -> Response:
    """Forget the token."""
    check_form()
    set_session(shared().sessions.begun())
    tell("ok", "You have signed out.")
    return _led_to(writing.path("login"))


@page("/login/provider", Need.NOTHING)
def to_provider() -> Response:
    """Lead the browser to the provider."""
    flow = _flow(_provider())
    back = own_path(request.args.get(BACK, ""))
    kept = {STATE: flow.state, VERIFIER: flow.verifier, BACK: back}
    set_session(replace(shared().sessions.begun(), kept=kept))
    return cast(Response, redirect(flow.url, 303))


@page("/login/done", Need.NOTHING)
def from_provider() -> Response:
    """Take what the browser brings back from the provider."""
    kept = session().kept
    try:
        flow = _flow(_provider(), kept.get(STATE, ""), kept.get(VERIFIER, ""))
        given = request.args.to_dict()
        if not kept.get(STATE) or not flow.is_ours(given):
            raise Forbidden(STALE)
        token = flow.finish(given).id
        shared().doors.admit(_approach(token), Need.READ)
        signed_in = shared().sessions.begun(token)
        shared().sessions.write(signed_in)  # raises if it is too long for a cookie
        set_session(signed_in)
    except CrawlerError as error:
        set_session(shared().sessions.begun())
        tell("error", str(error))
        return _led_to(writing.path("login"))
    return _led_to(own_path(kept.get(BACK, "")))


NEEDS.update({"dashboard.sign_in": Need.NOTHING, "dashboard.sign_out": Need.NOTHING})


def _approach(token: str) -> Approach:
    shown = approach(request.environ, request.endpoint, "sign in")
    return replace(shown, authorization=f"Bearer {token}" if token else shown.authorization)


def _provider() -> Provider:
    if not (issuer := shared().oidc.oidc_issuer):
        raise InvalidArgument("this cluster has no OpenID provider: sign in with a token")
    return discover(issuer)


def _flow(provider: Provider, state: str = "", verifier: str = "") -> CodeFlow:
    oidc = shared().oidc
    back = f"{request.host_url.rstrip('/')}{writing.path('login', 'done')}"
    return CodeFlow(provider, Client(oidc.oidc_client), oidc.oidc_scopes, back, state, verifier)


def _led_to(path: str) -> Response:
    return cast(Response, redirect(path, 303))

"""Who may do what, and who did what: the tokens and the audit."""

from __future__ import annotations

from flask import Response, request

from crawler.dashboard.asked import (
    ACTIONS,
    NEEDS,
    action,
    backend,
    call,
    check_form,
    field,
    page,
    pages,
    shared,
    show,
)
from crawler.errors import CrawlerError, InvalidArgument, shown
from crawler.model import audit as words
from crawler.model.access import GIVEN, Need, NewToken
from crawler.schemas import task_schemas
from crawler.schemas.token_schemas import load_wish

NS_A_DAY = 86_400 * 1_000_000_000
SHOWN = 200
"""How many records of the audit a page shows."""


@page("/tokens", Need.CLUSTER)
def tokens() -> Response:
    """Show the tokens, without their texts."""
    return _tokens()


@pages.post("/tokens")
def make_token() -> Response:
    """Make a token. This answer alone has its text."""
    check_form()
    try:
        asking = call()
        given = {
            "name": request.form.get("name", "").strip(),
            "role": field("role"),
            "labels": dict(map(task_schemas.load_label, request.form.get("labels", "").split())),
            "expiration_time": _expiry(),
        }
        made = backend(asking).create_token(load_wish(given), asking)
    except CrawlerError as error:
        return _tokens(fault=str(error))
    return _tokens(made=made)


NEEDS["dashboard.make_token"] = Need.CLUSTER
ACTIONS["dashboard.make_token"] = words.TOKEN_CREATE


@action("/tokens/<name>/revoke", Need.CLUSTER, words.TOKEN_REVOKE)
def revoke(name: str) -> str:
    """End a token."""
    asking = call()
    found = backend(asking).revoke_token(name, asking)
    return f"The token {found.id} ({found.name or 'without a name'}) counts no more."


@page("/audit", Need.CLUSTER)
def audit() -> Response:
    """Show the last changes that somebody asked for, the latest first."""
    asking = call()
    found = backend(asking).audit(words.MOST_RECORDS, asking)
    wanted = request.args.get("search", "").strip()
    matching = [each for each in reversed(found) if not wanted or _has(each, wanted)]
    return show("audit.html", found=matching[:SHOWN], total=len(matching), search=wanted)


def _has(record: words.AuditRecord, wanted: str) -> bool:
    fields = (record.who, record.action, record.object, record.outcome, record.address)
    return any(wanted.lower() in each.lower() for each in fields)


def _tokens(made: NewToken | None = None, fault: str = "") -> Response:
    asking = call()
    found = backend(asking).tokens(asking)
    typed = {} if made else request.form
    return show("tokens.html", found=found, roles=GIVEN, typed=typed, made=made, fault=fault)


def _expiry() -> int:
    given = request.form.get("days", "").strip()
    if not given:
        return 0
    if not given.isdigit() or not 0 < int(given) <= 3650:
        raise InvalidArgument(f"days: {shown(given)} is not allowed; allowed are 1 to 3650")
    return shared().clock.time_ns() + int(given) * NS_A_DAY

"""Finds what lets a command in: a token that is kept, or a login, renewed if it has expired."""

from __future__ import annotations

import time
from dataclasses import replace

from crawler.cli import token_file
from crawler.cli.token_file import Login
from crawler.errors import CrawlerError, Retryable

EARLY_S = 10.0
"""A token is renewed so long before its end, so that it outlasts the call."""


def token_for(master: str) -> str:
    """Return what lets a command in at a master; empty if nothing is kept. Raises CrawlerError."""
    kept = token_file.kept_for([master])
    if isinstance(kept, Login) and _has_ended(kept):
        return _renewed(master)
    return kept.token if isinstance(kept, Login) else kept


def _has_ended(login: Login) -> bool:
    return time.time() > login.expires_s - EARLY_S


def _renewed(master: str) -> str:
    with token_file.alone():
        login = token_file.kept_for([master])
        if isinstance(login, Login) and _has_ended(login):  # no other command was faster
            fresh = _refreshed(login)
            token_file.replace(login, fresh)
            login = fresh
        return login.token if isinstance(login, Login) else login


def _refreshed(login: Login) -> Login:
    from crawler.api.oidc import sign_in  # most commands need no HTTP
    from crawler.api.oidc.provider import discover

    if not login.refresh:
        raise CrawlerError("your login has expired; run crawler login again")
    client = sign_in.Client(login.client, login.secret)
    try:
        found = sign_in.refreshed(discover(login.issuer), client, login.refresh)
    except sign_in.SignInFailed as error:
        raise CrawlerError(f"your login has ended: {error}; run crawler login again") from None
    except Retryable as error:
        raise CrawlerError(f"your login has expired and cannot be renewed now: {error}") from None
    return replace(
        login, token=found.id, refresh=found.refresh, expires_s=sign_in.expiry_of(found.id)
    )

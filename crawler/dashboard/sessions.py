"""What a browser keeps of its session: a cookie that only the nodes of the cluster can read.

It is sealed with a key that is made from the secret of the cluster's nodes, so any master takes it,
no master keeps a list, and a cookie of another cluster is none. It holds the token of the person,
who is admitted with each request as if the token came with it: a revoked one ends here, too.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from crawler.clock import Clock
from crawler.coordination.sealing import CannotUnseal, Seals, key_id
from crawler.errors import InvalidArgument, Unavailable

ROTATE_S = 900.0
"""A cookie that is older is made anew with the next page."""
IDLE_S = 12 * 3600.0
"""A session in which nobody asked for a page for so long is over."""
MOST_S = 7 * 86_400.0
"""A session is over after this time, whatever happens."""
MOST_BYTES = 3800
"""Browsers drop cookies of more than 4,096 bytes, with their names."""
SHORT = 100
"""How many characters are told where there is little room."""
SEALED = "a session of the dashboard"
"""What a cookie is sealed as."""
NS = 1_000_000_000

NOT_READ = "this node has not read the secret of its cluster's nodes yet; try again in a second"
TOO_LONG = (
    "this login does not fit into a cookie: its token has {} bytes; ask the provider for fewer "
    "claims, or sign in with a token of the cluster"
)


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of who sits at a browser."""

    token: str = ""
    """The text of a token, or of a login; empty if nobody has signed in."""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """What the forms of this session bring, and those of other sites cannot."""
    began_ns: int = 0
    made_ns: int = 0
    """When the cookie was made."""
    told: tuple[tuple[str, str], ...] = ()
    """What the next page says: `ok` or `error`, and a text."""
    kept: dict[str, str] = field(default_factory=dict)
    """What a login with a provider needs when the browser comes back."""

    def is_mine(self, csrf: str) -> bool:
        """Whether a form is of this session."""
        return hmac.compare_digest(csrf.encode(errors="replace"), self.csrf.encode())


class Sessions:
    """Makes the cookies, and reads them."""

    def __init__(self, secret: Callable[[], str], former: Callable[[], str], clock: Clock) -> None:
        """`secret` is that of the cluster's nodes, empty until it has been read; `former` is the
        one before."""
        self._secret = secret
        self._former = former
        self._clock = clock

    @property
    def cookie(self) -> str:
        """The name of the cookie. Nodes of several clusters on one machine share their cookies, for
        ports do not count: each cluster has a name of its own. Raises Unavailable."""
        return f"crawler_{key_id(self._key(self._secret()))}"

    def begun(self, token: str = "") -> Session:
        """Return a new session."""
        now_ns = self._clock.time_ns()
        return Session(token, began_ns=now_ns, made_ns=now_ns)

    def read(self, text: str) -> Session | None:
        """Return the session of a cookie; None if there is none, or none any more."""
        found = self._opened(text) if text else None
        if found is None:
            return None
        now_ns = self._clock.time_ns()
        is_idle = now_ns - found.made_ns > (IDLE_S + ROTATE_S) * NS
        return None if is_idle or now_ns - found.began_ns > MOST_S * NS else found

    def is_due(self, session: Session) -> bool:
        """Whether its cookie is old enough to be made anew."""
        return self._clock.time_ns() - session.made_ns > ROTATE_S * NS

    def write(self, session: Session) -> str:
        """Return the text of its cookie. What it tells is shortened, or left out, if it has no
        room. Raises Unavailable, and InvalidArgument if it is too long even so."""
        for told in (session.told, _shortened(session.told), ()):
            text = self._sealed(replace(session, told=told))
            if len(text) <= MOST_BYTES:
                return text
        raise InvalidArgument(TOO_LONG.format(len(session.token)))

    @property
    def is_ready(self) -> bool:
        """Whether the secret has been read, without which there is no session."""
        return bool(self._secret())

    def _sealed(self, session: Session) -> str:
        made = replace(session, made_ns=self._clock.time_ns())
        sealed = Seals([self._key(self._secret())]).seal(SEALED, _packed(made))
        return base64.urlsafe_b64encode(sealed).decode()

    def _opened(self, text: str) -> Session | None:
        keys = [self._key(self._secret()), *map(self._key, filter(None, [self._former()]))]
        with suppress(CannotUnseal, ValueError):
            return _unpacked(Seals(keys).unseal(SEALED, base64.urlsafe_b64decode(text)))
        return None

    def _key(self, secret: str) -> str:
        if not secret:
            raise Unavailable(NOT_READ)
        made = hmac.digest(secret.encode(), b"sessions of the dashboard", "sha256")
        return base64.b64encode(made).decode()


def _shortened(told: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((kind, f"{text[:SHORT]}…") for kind, text in told[-1:])


def _packed(session: Session) -> str:
    told = [list(each) for each in session.told]
    fields: list[Any] = [session.token, session.csrf, session.began_ns, session.made_ns]
    return json.dumps([*fields, told, session.kept], separators=(",", ":"))


def _unpacked(data: str) -> Session:
    token, csrf, began_ns, made_ns, told, kept = json.loads(data)
    return Session(token, csrf, began_ns, made_ns, tuple(map(tuple, told)), kept)

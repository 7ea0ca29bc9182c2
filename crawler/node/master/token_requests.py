"""Carries out requests about tokens for one term: make, list and revoke them.

As long as there are tokens, one of them is of a lasting admin: it has neither labels nor an
expiration time.
Otherwise the day would come on which everybody needs a token, and nobody may make one.
"""

from __future__ import annotations

from collections.abc import Sequence

from gevent.lock import RLock

from crawler.clock import Clock
from crawler.coordination.token_secret import hash_of, new_parts, new_salt
from crawler.coordination.tokens import Tokens
from crawler.errors import InvalidArgument, NotFound, Unavailable, shown
from crawler.model.access import NewToken, Role, Token, TokenWish
from crawler.model.records import Leadership

FIRST = (
    "{} is not allowed for the first token of a cluster, or the first that can be read; allowed is "
    "{}: from then on everybody needs a token, and this one must let somebody make more"
)


class TokenRequests:
    """Makes and ends tokens, in the greenlet of the request."""

    def __init__(self, leadership: Leadership, tokens: Tokens, clock: Clock) -> None:
        self._leadership = leadership
        self._tokens = tokens
        self._clock = clock
        self._one_by_one = RLock()
        """Two requests that revoke the last two lasting admins would each see the other one."""

    def create(self, wish: TokenWish) -> NewToken:
        """Make a token. Raises InvalidArgument, Conflict, LeadershipLost, Retryable."""
        self._check_known()
        now_ns = self._clock.time_ns()
        if wish.expires_ns and wish.expires_ns <= now_ns:
            raise InvalidArgument(
                f"expiration_time: {wish.expires_ns} has passed; allowed is a later time in "
                "nanoseconds, or 0 for a token that never expires"
            )
        parts, salt = new_parts(), new_salt()
        token = Token(
            id=parts.id,
            name=wish.name,
            role=wish.role,
            hashed=hash_of(parts.secret, salt),
            salt=salt,
            created_ns=now_ns,
            expires_ns=wish.expires_ns,
            labels=wish.labels,
        )
        with self._one_by_one:
            if not any(map(_is_lasting_admin, self._tokens.all().values())):
                _check_first(wish)
            self._tokens.add(self._leadership, token)
        return NewToken(token, parts.text)

    def all(self) -> Sequence[Token]:
        """Return all tokens, the oldest first."""
        return sorted(self._tokens.all().values(), key=lambda each: (each.created_ns, each.id))

    def revoke(self, id: str) -> Token:
        """End a token, and return it. Raises InvalidArgument, NotFound, Conflict, LeadershipLost,
        Retryable."""
        self._check_known()
        with self._one_by_one:
            token = self._tokens.get(id)
            if token is None:
                raise NotFound(
                    f"no token {shown(id)}; `crawler token list` shows those that there are"
                )
            self._check_others(token)
            self._tokens.revoke(self._leadership, id)
        return token

    def _check_known(self) -> None:
        if not self._tokens.are_known:
            raise Unavailable("the leader has not read the tokens of its cluster yet")

    def _check_others(self, leaving: Token) -> None:
        """Check that a lasting admin stays, or nobody. Raises InvalidArgument."""
        others = [token for token in self._tokens.all().values() if token.id != leaving.id]
        if others and _is_lasting_admin(leaving) and not any(map(_is_lasting_admin, others)):
            raise InvalidArgument(
                f"id: {shown(leaving.id)} is the last token of an admin without labels and without "
                "an expiration time; without it nobody could make others. Make another such token "
                "first, or revoke all others first"
            )


def _is_lasting_admin(token: Token | TokenWish) -> bool:
    return token.role is Role.ADMIN and not token.labels and not token.expires_ns


def _check_first(wish: TokenWish) -> None:
    """Check that the first token is of a lasting admin. Raises InvalidArgument."""
    if wish.role is not Role.ADMIN:
        raise InvalidArgument("role: " + FIRST.format(shown(wish.role.value), "admin"))
    if wish.labels:
        raise InvalidArgument("labels: " + FIRST.format(", ".join(sorted(wish.labels)), "none"))
    if wish.expires_ns:
        raise InvalidArgument("expiration_time: " + FIRST.format(wish.expires_ns, "0, for never"))

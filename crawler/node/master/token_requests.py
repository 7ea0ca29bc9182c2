"""Carries out requests about tokens for one term: make, list and revoke them."""

from __future__ import annotations

from collections.abc import Sequence

from crawler.clock import Clock
from crawler.coordination.token_secret import hash_of, new_parts, new_salt
from crawler.coordination.tokens import Tokens
from crawler.errors import InvalidArgument, NotFound
from crawler.model.access import NewToken, Token, TokenWish
from crawler.model.records import Leadership


class TokenRequests:
    """Makes and ends tokens, in the greenlet of the request."""

    def __init__(self, leadership: Leadership, tokens: Tokens, clock: Clock) -> None:
        self._leadership = leadership
        self._tokens = tokens
        self._clock = clock

    def create(self, wish: TokenWish) -> NewToken:
        """Make a token. Raises InvalidArgument, Conflict, LeadershipLost, Retryable."""
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
        self._tokens.add(self._leadership, token)
        return NewToken(token, parts.text)

    def all(self) -> Sequence[Token]:
        """Return all tokens, the oldest first."""
        return sorted(self._tokens.all().values(), key=lambda each: (each.created_ns, each.id))

    def revoke(self, id: str) -> Token:
        """End a token, and return it. Raises NotFound, Conflict, LeadershipLost, Retryable."""
        token = self._tokens.get(id)
        if token is None:
            raise NotFound(f"no token {id!r}; `crawler token list` shows those that there are")
        self._tokens.revoke(self._leadership, id)
        return token

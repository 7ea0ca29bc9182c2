"""What it costs to check tokens, and how that is bounded: secrets that were right are remembered,
wrong ones are counted, and few checks are under way at once."""

from __future__ import annotations

import math
from collections import OrderedDict
from hashlib import sha256

from gevent.event import AsyncResult

from crawler.api.places import Places
from crawler.clock import Clock
from crawler.coordination.token_secret import is_secret
from crawler.errors import Overloaded, Unavailable
from crawler.model.access import Token

MOST_PROVEN = 10_000
"""How many secrets are remembered that were right. One that is forgotten is hashed again."""
FAILURES_A_MINUTE = 60
"""An address that gives so many wrong tokens a minute is asked to wait."""
MOST_WAIT_S = 60.0
"""It never waits longer, however many it gave at once."""
MOST_ADDRESSES = 10_000
"""Of how many addresses wrong tokens are counted."""
MOST_CHECKS = 64
MOST_CHECKS_OF_ADDRESS = 16
"""How many tokens are hashed, or wait for the keys of a provider, at once: in all, and of one
address. Over gRPC their callers wait before their calls have places."""

MOST_CHECK_S = 30.0
"""For how long a caller waits for the check of the same token that another one began."""


def places() -> Places:
    """Return the places of checks that are under way."""
    return Places("checks of tokens", MOST_CHECKS, MOST_CHECKS_OF_ADDRESS)


class Proven:
    """The secrets that were right: each is hashed by scrypt once, and not with each call."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        """A quick hash of the secret, and the hash of the token that it belongs to."""
        self._under_way: dict[tuple[bytes, bytes], AsyncResult[bool]] = {}
        """Who comes with a secret that is being hashed waits for that, and hashes nothing."""

    def has(self, secret: str, token: Token) -> bool:
        """Return whether this was the secret of a token already. It hashes nothing."""
        quick = _quick(secret)
        if self._known.get(quick) == token.hashed:
            self._known.move_to_end(quick)
            return True
        return False

    def proves(self, secret: str, token: Token, checks: Places, address: str) -> bool:
        """Return whether this is the secret of a token. Raises Overloaded if too many are being
        hashed, and Unavailable if the check of another caller, for which it waits, does not end."""
        key = _quick(secret), token.hashed
        other = self._under_way.get(key)
        if other is not None:
            return _answer_of(other)
        give_back = checks.take(address)
        mine = self._under_way[key] = AsyncResult()
        try:
            mine.set(is_secret(secret, token.hashed, token.salt))
        except Exception as error:
            mine.set_exception(error)
            raise
        except BaseException:  # the end of this caller's greenlet, or of its time: nobody else's
            mine.set_exception(Unavailable("the check of this token was broken off; try again"))
            raise
        finally:
            del self._under_way[key]
            give_back()
        if mine.get():
            self._remember(*key)
        return bool(mine.get())

    def _remember(self, quick: bytes, hashed: bytes) -> None:
        self._known[quick] = hashed
        if len(self._known) > MOST_PROVEN:
            self._known.popitem(last=False)


class Failures:
    """Counts the wrong tokens of each address, and lets those wait that give too many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_s: OrderedDict[str, float] = OrderedDict()
        """The monotonic time at which an address may give all its wrong tokens again (GCRA)."""

    def check(self, address: str) -> None:
        """Raise Overloaded if the address has given too many wrong tokens."""
        wait_s = self._full_s.get(address, 0.0) - self._clock.monotonic() - 60.0
        if wait_s > 0:
            raise Overloaded(
                f"{address} gave too many wrong tokens; try again in {math.ceil(wait_s)} s",
                wait_s,
            )

    def note(self, address: str) -> None:
        """Note a wrong token."""
        now_s = self._clock.monotonic()
        full_s = max(now_s, self._full_s.pop(address, now_s)) + 60.0 / FAILURES_A_MINUTE
        self._full_s[address] = min(full_s, now_s + 60.0 + MOST_WAIT_S)
        if len(self._full_s) > MOST_ADDRESSES:
            self._full_s.popitem(last=False)


def _answer_of(other: AsyncResult[bool]) -> bool:
    """Return what the check that another caller began finds out. Raises Unavailable."""
    if not other.wait(MOST_CHECK_S) and not other.ready():
        raise Unavailable(f"the check of this token takes more than {MOST_CHECK_S:g} s; try again")
    return bool(other.get())


def _quick(secret: str) -> bytes:
    return sha256(secret.encode()).digest()

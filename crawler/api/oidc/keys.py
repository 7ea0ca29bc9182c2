"""The public keys of a provider: fetched when the first token comes, kept, and fetched again when a
token has a key that is not known, or after an hour.

Keys that are known count while the provider is away, for a day. They are fetched again before they
are an hour old, in the background, if tokens come. If none came, the next one waits for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gevent
from gevent.lock import RLock
from joserfc import jwk
from joserfc.errors import JoseError

from crawler.api.oidc.provider import ask, discover
from crawler.clock import Clock
from crawler.errors import Unauthenticated, Unavailable, shown
from crawler.logs import get_logger
from crawler.supervision import run_aside

log = get_logger(__name__)

PAUSE_S = 10.0
"""The keys are not fetched again sooner, whatever tokens come."""
SOON_S = 3000.0
"""Keys that are older are fetched again in the background."""
FRESH_S = 3600.0
"""Keys that are older do not count before the provider was asked, which may have withdrawn them."""
LONGEST_S = 86_400.0
"""If the provider gives no answer, its keys count until they are so old."""
LATELY_S = 60.0
"""A provider that gave no answer so lately is asked in the background: nobody waits once more."""
PATIENCE_S = 8.0
"""How long it may take to fetch the keys."""
MOST_KEYS = 100
TYPES = ("RSA", "EC", "OKP")
"""Keys with a public part. With any other, whoever can read it could sign."""


class SigningKeys:
    """The keys with which a provider signs."""

    def __init__(self, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._keys: Sequence[Any] = ()
        self._asking = RLock()
        self._asked_s = self._fetched_s = -FRESH_S
        self._trouble = ""
        """Why the keys could not be fetched the last time; empty if they could."""

    def find(self, kid: str | None) -> Any:
        """Return the key with that id. Without an id it is the only one that there is.

        Raises Unauthenticated if there is none, and Unavailable if nobody can tell.
        """
        if self._known(kid) is None or self._must_wait():
            self._fetch()
        elif self._age_s() > SOON_S and self._may_ask():
            run_aside("fetch keys", self._fetch, patience_s=0)
        found = self._known(kid)
        if found is not None:
            return found
        if self._trouble:
            raise Unavailable(f"this login cannot be checked now: {self._trouble}", PAUSE_S)
        raise Unauthenticated(
            f"this login is signed with the key {shown(kid)}, which {self._issuer} does not have"
        )

    def _known(self, kid: str | None) -> Any:
        if self._age_s() > LONGEST_S:
            return None
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.kid == kid), None)

    def _age_s(self) -> float:
        return self._clock.monotonic() - self._fetched_s

    def _must_wait(self) -> bool:
        """Whether keys are so old that they count only if the provider has just given no answer."""
        failed_lately = self._trouble and self._clock.monotonic() - self._asked_s < LATELY_S
        return self._age_s() > FRESH_S and not failed_lately

    def _may_ask(self) -> bool:
        return self._clock.monotonic() - self._asked_s >= PAUSE_S

    def _fetch(self) -> None:
        """Fetch the keys, unless somebody just has. Whoever comes meanwhile waits for them."""
        with self._asking:
            if not self._may_ask():
                return
            self._asked_s = self._clock.monotonic()
            try:
                with gevent.Timeout(PATIENCE_S, Unavailable("the OpenID provider is silent")):
                    self._keys = _keys_at(discover(self._issuer).keys)
            except Unavailable as error:
                self._trouble = str(error)
                log.warning("cannot fetch the keys of people's logins", error=self._trouble)
            else:
                self._trouble, self._fetched_s = "", self._clock.monotonic()


def _keys_at(url: str) -> Sequence[Any]:
    """Return the keys at a URL. One of a kind that nobody here knows is left out."""
    given = ask(url).get("keys")
    if not isinstance(given, list):
        raise Unavailable(f"the OpenID provider gives no list of keys at {url}")
    return [key for each in given[:MOST_KEYS] for key in _read(each)]


def _read(given: Any) -> Sequence[Any]:
    if not isinstance(given, dict) or given.get("kty") not in TYPES:
        return []
    if given.get("use", "sig") != "sig":
        return []
    try:
        key = jwk.import_key(given)
        key.ensure_kid()
    except (JoseError, ValueError, TypeError, KeyError) as error:
        log.warning("left out a key of people's logins", error=str(error))
        return []
    return [key]

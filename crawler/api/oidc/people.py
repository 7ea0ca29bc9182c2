"""Tells who somebody is by a token of an OpenID provider, and what they may do by its claims.

An ID token counts, and an access token in the form of a JWT. This file and `keys` alone know the
library joserfc, and are imported when there is an issuer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import (
    ClaimError,
    ExpiredTokenError,
    InvalidClaimError,
    JoseError,
    MissingClaimError,
)
from joserfc.jws import JWSRegistry, extract_compact

from crawler.api.oidc.keys import SigningKeys
from crawler.clock import Clock
from crawler.errors import Forbidden, Unauthenticated, shown
from crawler.model.access import Caller, Need, Role
from crawler.settings.oidc import OidcSettings

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
"""Signatures that only the provider can make. `none` and those with a shared secret are not
here."""
TYPES = ("jwt", "at+jwt", "application/at+jwt")
"""The types of tokens that say who somebody is. A provider signs others with the same keys, such as
those that end a session."""
READER = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
"""It skips what it does not know in a header, except what the header calls critical (RFC 7515, 4).
Some providers have fields of their own there."""
LEEWAY_S = 30
"""By so much the clocks of the provider and of this node may differ."""
MOST_NAME = 100


class OidcPeople:
    """The people of one provider."""

    def __init__(self, settings: OidcSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = SigningKeys(settings.oidc_issuer, clock)
        self._audiences = [each for each in (settings.oidc_client, settings.oidc_audience) if each]

    def caller(self, token: str) -> Caller:
        """Return whose token it is, with the strongest role of its claim. Raises Unauthenticated,
        Forbidden and Unavailable."""
        claims = self._claims(token)
        name = f"{_name(claims)} (oidc)"
        roles = self._roles(claims)
        if not roles:
            raise Forbidden(
                f"{name} has no role here: the claim {self._settings.oidc_claim} of the login has "
                "none of the values that have one; allowed: "
                + ", ".join(map(shown, self._settings.oidc_roles))
            )
        return Caller(name, max(roles, key=lambda role: sum(map(role.may, Need))))

    def _claims(self, token: str) -> Mapping[str, Any]:
        """Return what a token says. Raises Unauthenticated and Unavailable."""
        key = self._keys.find(_key_id(token))
        try:
            claims = jwt.decode(token, key, registry=READER).claims
            self._rules().validate(claims)
            self._check_party(claims)
        except ExpiredTokenError:
            raise Unauthenticated("this login has expired; crawler login makes another") from None
        except ClaimError as error:
            raise Unauthenticated(self._told(error)) from None
        except Exception as error:
            # A stranger wrote the text, and a library reads it: whatever it raises is a refusal.
            raise Unauthenticated(f"this login does not count: {_reason(error)}") from None
        return claims

    def _rules(self) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=self._clock.time_ns() // 10**9,
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._settings.oidc_issuer},
            aud={"essential": True, "values": list(self._audiences)},
            sub={"essential": True},
            exp={"essential": True},
        )

    def _check_party(self, claims: Mapping[str, Any]) -> None:
        """Check to whom a token was given that is for several. Each of these could show it here
        (OpenID Connect Core, 3.1.3.7). An audience of its own says that the token is for this
        cluster, whoever got it. Raises InvalidClaimError, MissingClaimError."""
        audiences = claims["aud"]
        own = self._settings.oidc_audience
        if isinstance(audiences, str) or len(audiences) < 2 or (own and own in audiences):
            return
        if "azp" not in claims:
            raise MissingClaimError("azp")
        if claims["azp"] != self._settings.oidc_client:
            raise InvalidClaimError("azp")

    def _told(self, error: ClaimError) -> str:
        """Return what is wrong with a claim, without its value."""
        allowed = {
            "iss": shown(self._settings.oidc_issuer),
            "aud": " or ".join(map(shown, self._audiences)),
            "azp": shown(self._settings.oidc_client),
            "nbf": "a time that has come",
            "iat": "a time that has come",
        }
        missing = "is missing" if isinstance(error, MissingClaimError) else "is not right"
        told = f"this login does not count: its claim {error.claim} {missing}"
        if isinstance(error, InvalidClaimError) and error.claim in allowed:
            told += f"; allowed: {allowed[error.claim]}"
        return told

    def _roles(self, claims: Mapping[str, Any]) -> Collection[Role]:
        found = _at(claims, self._settings.oidc_claim)
        values = found if isinstance(found, list) else [found]
        given = self._settings.oidc_roles
        return [Role(given[each]) for each in values if isinstance(each, str) and each in given]


def _key_id(token: str) -> str | None:
    """Return the id of the key with which a token says that it is signed. Raises
    Unauthenticated."""
    try:
        header = extract_compact(token.encode(), registry=READER).headers()
    except Exception as error:  # a stranger wrote it, as above
        raise Unauthenticated(f"this is no login: {_reason(error)}") from None
    algorithm, kind, kid = header.get("alg"), header.get("typ", "JWT"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise Unauthenticated(
            f"this login does not count: it is signed with {shown(algorithm)}; allowed: "
            + ", ".join(ALGORITHMS)
        )
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise Unauthenticated(
            f"this login does not count: its typ is {shown(kind)}; allowed: {', '.join(TYPES)}"
        )
    return None if kid is None else str(kid)


def _reason(error: Exception) -> str:
    """Return why a token was refused. Other errors could show a part of it."""
    return error.error.replace("_", " ") if isinstance(error, JoseError) else "it cannot be read"


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim with that name, or else the one to which the parts of a path lead."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _name(claims: Mapping[str, Any]) -> str:
    """Return how the records call somebody: by an address that the provider has not doubted, by
    the name at the login, or by the id."""
    email = claims.get("email") if claims.get("email_verified", True) is True else None
    names = (email, claims.get("preferred_username"), claims["sub"])
    name = next(each for each in names if isinstance(each, str) and each)
    return "".join(each if each.isprintable() else "?" for each in name[:MOST_NAME])

"""Signs a person in at an OpenID provider, for the command line.

The authorization code comes back to a port of this machine (RFC 8252), and a secret of this process
goes with it (PKCE, RFC 7636). Where there is no browser, the person types a code into one elsewhere
(RFC 8628). The tokens are not read here but by the nodes: they come from the provider itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.api.oidc.provider import Provider, ask
from crawler.errors import CrawlerError, shown

OFFLINE = "offline_access"
"""The scope for a refresh token, where a provider knows it."""
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER_S = 5.0
"""By so much longer a device waits each time it was too fast (RFC 8628, 3.5)."""


class SignInFailed(CrawlerError):
    """The provider does not let somebody in."""


@dataclass(frozen=True, slots=True)
class Client:
    """What this program is to the provider."""

    id: str
    secret: str = ""
    """Empty for a public client, as a command line should be."""

    @property
    def form(self) -> Mapping[str, str]:
        """The fields by which it says who it is."""
        return {"client_id": self.id, **({"client_secret": self.secret} if self.secret else {})}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider gave."""

    id: str
    refresh: str
    """What gets the next one; empty if the provider gave none."""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person types where there is a browser."""

    user: str
    url: str
    device: str
    interval_s: float
    expires_s: float


class CodeFlow:
    """One login through a browser."""

    def __init__(
        self,
        provider: Provider,
        client: Client,
        scopes: Sequence[str],
        back: str,
        state: str = "",
        verifier: str = "",
    ) -> None:
        """`back` is the URL to which the browser comes back. A login that has begun already has a
        `state` and a `verifier`."""
        self._provider = provider
        self._client = client
        self._back = back
        self.state = state or secrets.token_urlsafe(32)
        self.verifier = verifier or secrets.token_urlsafe(64)
        self._scopes = scopes

    @property
    def url(self) -> str:
        """Where the browser begins."""
        challenge = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._back,
            "scope": _scope(self._provider, self._scopes),
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        url = _needed(self._provider.authorization, self._provider, "authorization_endpoint")
        return f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode(query)}"

    def is_ours(self, query: Mapping[str, str]) -> bool:
        """Whether a browser came back from this login, and not from another."""
        return secrets.compare_digest(query.get("state", "").encode(), self.state.encode())

    def finish(self, query: Mapping[str, str]) -> Tokens:
        """Return the tokens for what the browser brought. Raises SignInFailed, Unavailable."""
        if "code" not in query:
            raise SignInFailed(f"the provider let nobody in: {_told(query)}")
        if query.get("iss", self._provider.issuer) != self._provider.issuer:  # RFC 9207
            raise SignInFailed(f"another provider answered: {shown(query['iss'])}")
        return _tokens(
            self._provider,
            self._client,
            grant_type="authorization_code",
            code=query["code"],
            redirect_uri=self._back,
            code_verifier=self.verifier,
        )


def device_code(provider: Provider, client: Client, scopes: Sequence[str]) -> DeviceCode:
    """Begin a login by a code. Raises SignInFailed, Unavailable."""
    url = _needed(provider.device, provider, "device_authorization_endpoint")
    given = ask(url, {**client.form, "scope": _scope(provider, scopes)})
    page = given.get("verification_uri_complete") or given.get("verification_uri")
    if not (given.get("device_code") and given.get("user_code") and page):
        raise SignInFailed(f"the provider gives no code: {_told(given)}")
    return DeviceCode(
        str(given["user_code"]),
        str(page),
        str(given["device_code"]),
        _seconds(given.get("interval"), SLOWER_S),
        _seconds(given.get("expires_in"), 600.0),
    )


def await_device(
    provider: Provider, client: Client, code: DeviceCode, sleep: Callable[[float], None]
) -> Tokens:
    """Wait until the person has typed the code, and return the tokens. Raises SignInFailed,
    Unavailable."""
    pause_s, until_s = code.interval_s, time.monotonic() + code.expires_s
    while time.monotonic() < until_s:
        sleep(pause_s)
        given = _asked(provider, client, grant_type=DEVICE, device_code=code.device)
        if given.get("error") == "slow_down":
            pause_s += SLOWER_S
        elif given.get("error") != "authorization_pending":
            return _read(given)
    raise SignInFailed("nobody typed the code in time; run crawler login again")


def refreshed(provider: Provider, client: Client, refresh: str) -> Tokens:
    """Return new tokens for a refresh token. Raises SignInFailed if it counts no more, and
    Unavailable."""
    found = _tokens(provider, client, grant_type="refresh_token", refresh_token=refresh)
    return found if found.refresh else Tokens(found.id, refresh)


def revoke(provider: Provider, client: Client, refresh: str) -> None:
    """End a refresh token, where the provider offers that. Raises Unavailable."""
    if provider.revocation:
        ask(provider.revocation, {**client.form, "token": refresh})


def expiry_of(token: str) -> float:
    """Return the Unix time at which a token ends, as it says itself. Nobody relies on it: the nodes
    check it."""
    try:
        part = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["exp"])
    except (LookupError, ValueError, TypeError):
        raise SignInFailed("the provider gave an ID token that cannot be read") from None


def _tokens(provider: Provider, client: Client, **form: str) -> Tokens:
    return _read(_asked(provider, client, **form))


def _asked(provider: Provider, client: Client, **form: str) -> Mapping[str, Any]:
    url = _needed(provider.token, provider, "token_endpoint")
    return ask(url, {**client.form, **form})


def _read(given: Mapping[str, Any]) -> Tokens:
    if "error" in given:
        raise SignInFailed(f"the provider let nobody in: {_told(given)}")
    token = given.get("id_token")
    if not isinstance(token, str):
        raise SignInFailed(
            "the provider gave no ID token; allowed are providers of OpenID Connect, with the "
            "scope openid"
        )
    return Tokens(token, str(given.get("refresh_token") or ""))


def _told(given: Mapping[str, Any]) -> str:
    """Return an error in the words of the provider (RFC 6749, 5.2)."""
    error, more = str(given.get("error", "no reason given")), given.get("error_description")
    text = f"{error}: {more}" if more else error
    return "".join(each for each in text if each.isprintable())[:500]


def _scope(provider: Provider, scopes: Sequence[str]) -> str:
    offline = [OFFLINE] if OFFLINE in provider.scopes and OFFLINE not in scopes else []
    return " ".join([*scopes, *offline])


def _needed(url: str, provider: Provider, name: str) -> str:
    if not url:
        raise SignInFailed(f"the provider {provider.issuer} offers no {name}")
    return url


def _seconds(given: Any, default: float) -> float:
    is_number = isinstance(given, int | float) and not isinstance(given, bool) and given > 0
    return float(given) if is_number else default

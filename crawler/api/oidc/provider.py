"""Asks an OpenID provider over HTTP: what it offers, and its forms.

Nodes and the command line use it. It needs no library: the signatures of tokens are read elsewhere.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Any

from crawler.errors import Unavailable, shown

TIMEOUT_S = 5.0
"""How long a provider may be silent."""
MOST_BYTES = 1_000_000
"""The largest answer that is read."""
DOCUMENT = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Provider:
    """What a provider offers, by its discovery document."""

    issuer: str
    keys: str
    """The URL of its public keys."""
    authorization: str
    token: str
    device: str
    """Where the device flow begins; empty if there is none."""
    revocation: str
    """Where tokens are ended; empty if that is not offered."""
    scopes: Sequence[str]


def discover(issuer: str) -> Provider:
    """Return what the provider with that URL offers. Raises Unavailable."""
    url = issuer.rstrip("/") + DOCUMENT
    told = ask(url)
    if told.get("issuer") != issuer:
        raise Unavailable(
            f"{url} is of the issuer {shown(told.get('issuer'))}, and not of {shown(issuer)}, as "
            "the settings have it: they must be the same to the letter"
        )
    scopes = told.get("scopes_supported")
    return Provider(
        issuer,
        _endpoint(told, "jwks_uri", issuer, is_needed=True),
        _endpoint(told, "authorization_endpoint", issuer),
        _endpoint(told, "token_endpoint", issuer),
        _endpoint(told, "device_authorization_endpoint", issuer),
        _endpoint(told, "revocation_endpoint", issuer),
        [str(each) for each in scopes] if isinstance(scopes, list) else [],
    )


def ask(url: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Return the JSON at a URL, or that of the answer to a form. An error in the form of OAuth is
    an answer too. Raises Unavailable."""
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, body, {"Accept": "application/json"})
    try:
        text = _sent(request)
        found = json.loads(text) if text else {}
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        reason = getattr(error, "reason", error)  # what urllib wraps
        raise Unavailable(f"the OpenID provider gives no answer at {url}: {reason}") from None
    if not isinstance(found, dict):
        raise Unavailable(f"the OpenID provider answers no JSON object at {url}")
    return found


class _KeepsTls(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but none from TLS to what anybody on the way could have written."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request to follow. Raises OSError."""
        if req.type == "https" and not newurl.lower().startswith("https:"):
            fp.close()
            raise OSError(f"it leads from https to {shown(newurl)}, which has no TLS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _sent(request: urllib.request.Request) -> bytes:
    try:
        opener = urllib.request.build_opener(_KeepsTls)
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return bytes(answer.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(MOST_BYTES)
        if request.data is None or not text.lstrip().startswith(b"{"):
            raise OSError(f"HTTP {error.code}") from None
        return text


def _endpoint(told: Mapping[str, Any], name: str, issuer: str, is_needed: bool = False) -> str:
    """Return a URL of the document. What an issuer with TLS names has TLS too."""
    url = told.get(name, "")
    schemes = ("https://",) if issuer.startswith("https:") else ("https://", "http://")
    if url and isinstance(url, str) and url.startswith(schemes):
        return url
    if url or is_needed:
        raise Unavailable(
            f"the OpenID provider {issuer} gives {name}: {shown(url)}; allowed is a URL that "
            f"begins with {' or '.join(schemes)}"
        )
    return ""

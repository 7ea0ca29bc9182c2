"""Decides when a stored answer may be used: the rules of a private cache, a part of RFC 9111.

It knows no-store, no-cache, max-age, Expires, the heuristic by Last-Modified, Vary, and validation
by ETag and Last-Modified. The functions are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from crawler.engine.http.headers import Headers, delta_s, moment_s, text_of
from crawler.engine.http.messages import FetchAnswer, FetchCall
from crawler.settings import wire

HEURISTIC_SHARE = 0.1
"""The share of its age for which a page is fresh if its headers say nothing about freshness."""
MOST_HEURISTIC_S = 86_400.0
_STORABLE = frozenset({200, 203, 204, 300, 301, 308, 404, 410})


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer."""

    stored_s: float
    """The wall time at which it was stored."""
    status: int
    header_lines: Sequence[bytes]
    vary: Mapping[str, str]
    """The request's values of the headers that Vary names."""
    body: bytes
    cookies: Sequence[str] = ()
    """The cookies that it has set, as lines of a jar."""

    @property
    def headers(self) -> Headers:
        """The headers of the answer."""
        return Headers.parse(self.header_lines)

    def answer(self) -> FetchAnswer:
        """The answer as if it had just arrived."""
        return FetchAnswer(self.status, self.header_lines, self.body, 0.0, cached=True)


def is_storable(answer: FetchAnswer) -> bool:
    """Whether RFC 9111 lets a private cache keep an answer."""
    headers = Headers.parse(answer.header_lines)
    said = directives(headers)
    if answer.status not in _STORABLE or "no-store" in said:
        return False
    return "*" not in headers.get("vary", "")


def is_fresh(entry: Entry, now_s: float) -> bool:
    """Whether a stored answer may be used as it is (RFC 9111, 4.2)."""
    headers = entry.headers
    if "no-cache" in directives(headers):
        return False
    age_s = now_s - entry.stored_s + (delta_s(headers.get("age", "")) or 0.0)
    return age_s < lifetime_s(headers, entry.stored_s)


def lifetime_s(headers: Headers, stored_s: float) -> float:
    """The seconds for which an answer is fresh, from its Date."""
    said = directives(headers)
    if "max-age" in said:
        return delta_s(said["max-age"]) or 0.0
    made_s = moment_s(headers.get("date", "")) or stored_s
    if "expires" in headers:
        expires_s = moment_s(headers["expires"])
        return 0.0 if expires_s is None else expires_s - made_s
    changed_s = moment_s(headers.get("last-modified", ""))
    if changed_s is None:
        return 0.0
    return min(max(0.0, made_s - changed_s) * HEURISTIC_SHARE, MOST_HEURISTIC_S)


def validators(entry: Entry) -> Sequence[str]:
    """The request headers that ask the site whether a stored answer is still valid.

    They give back the bytes that the site wrote, unless these could be no header.
    """
    headers = entry.headers
    asked = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    lines = ((name, headers[source]) for name, source in asked if headers.get(source))
    return [
        f"{name}: {text_of(value.encode('latin-1'))}"
        for name, value in lines
        if wire.is_line(value)
    ]


def validated(entry: Entry, fresh: FetchAnswer) -> FetchAnswer:
    """The stored answer, with the headers of a 304 in place of its own."""
    renewed = {line.partition(b":")[0].strip().lower() for line in fresh.header_lines}
    renewed -= {b"content-length", b"content-encoding", b"transfer-encoding"}
    kept = [
        line
        for line in entry.header_lines
        if line.partition(b":")[0].strip().lower() not in renewed and b":" in line
    ]
    added = [
        line
        for line in fresh.header_lines
        if line.partition(b":")[0].strip().lower() in renewed and b":" in line
    ]
    answer = replace(entry.answer(), header_lines=[*kept, *added])
    return replace(answer, seconds=fresh.seconds, waited_s=fresh.waited_s)


def directives(headers: Headers) -> Mapping[str, str]:
    """The directives of Cache-Control: name → value."""
    parts = ", ".join(headers.getall("cache-control")).lower().split(",")
    pairs = (part.strip().partition("=") for part in parts if part.strip())
    return {name: value.strip('"') for name, _, value in pairs}


def varies_by_cookie(answer: FetchAnswer) -> bool:
    """Whether an answer is meant for the cookies of its request alone."""
    return "cookie" in _varied(Headers.parse(answer.header_lines))


def varying(call: FetchCall, headers: Headers, cookies: Callable[[], str]) -> Mapping[str, str]:
    """The request's values of the headers by which an answer varies.

    `cookies` tells the header Cookie that is sent. Of a login, the user counts.
    """
    names = _varied(headers)
    user = call.credentials.user if call.credentials is not None else ""
    own = (
        f"Referer: {call.referer}",
        f"Cookie: {cookies() if 'cookie' in names else ''}",
        f"Authorization: {user}",
    )
    sent = (line.partition(":") for line in (*own, *call.headers))
    return {name.lower(): value.strip() for name, _, value in sent if name.lower() in names}


def _varied(headers: Headers) -> Collection[str]:
    return {name.strip().lower() for name in ", ".join(headers.getall("vary")).split(",")}

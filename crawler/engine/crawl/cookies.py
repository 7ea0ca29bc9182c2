"""The cookies that a request brings: checks them, and puts them into its jar or into its header.

They begin a session. What the server sets on the way takes their place (RFC 6265, 5.3), so they
join the jar only before the first attempt, and a redirect carries on no name that was set anew.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from crawler.engine.download.cookies import MOST_SENT
from crawler.engine.frontier.job import SetCookie
from crawler.engine.http import urls
from crawler.engine.http.headers import text_of
from crawler.engine.http.messages import CookieStore, FetchError
from crawler.engine.http.request import Cookies

_NO_COOKIE = re.compile(r"[\x00-\x1f\x7f;]")
_NO_NAME = re.compile(r"[=#]|^$")
_PATH_SAFE = "".join(map(chr, range(0x21, 0x7F)))


def taken(jar: CookieStore | None, cookies: Cookies, host: str, is_first: bool) -> Iterator[str]:
    """Put cookies into the jar, if this is the request's first attempt. Without a jar, and if a jar
    would not send so many, yield them for this request alone.

    `host` is the host of cookies that name none. Raises FetchError for what is no cookie.
    """
    checked = [_Cookie(each, host) for each in _each(cookies)]
    if jar is None or sum(each.size for each in checked) > MOST_SENT:
        yield from (f"{each.name}={each.value}" for each in checked)
    elif is_first:
        for each in checked:
            each.join(jar)


def still_sent(written: Iterable[str], received: Collection[SetCookie], url: str) -> Iterator[str]:
    """Of cookies in the form of the header, those that the server has not set anew on the way."""
    if not received:
        yield from written
        return
    host = urls.host(url)
    anew = {name for other, name, _ in received if other == host}
    for text in written:
        for pair in filter(None, (part.strip(" \t") for part in text.split(";"))):
            if pair.partition("=")[0].strip(" \t") not in anew:
                yield pair


class _Cookie:
    """A cookie of a request."""

    def __init__(self, given: Mapping[str, Any], host: str) -> None:
        self.name = _text(given.get("name"), "name")
        self.value = _text(given.get("value"), "value")
        if _NO_NAME.search(self.name):
            raise _bad(f"the name {self.name!r}", "a name without = and #")
        domain = urls.domain(_text(given.get("domain") or "", "domain").lstrip("."))
        self._below = bool(domain)
        self._domain = domain or host
        path = _text(given.get("path") or "/", "path")
        self._path = quote(path, safe=_PATH_SAFE, errors="surrogateescape")
        self._secure = bool(given.get("secure"))

    @property
    def size(self) -> int:
        """The bytes that it takes in a header."""
        return len(f"{self.name}={self.value}; ".encode("utf-8", "surrogateescape"))

    def join(self, jar: CookieStore) -> None:
        """Put it into a jar."""
        jar.add(
            self.name,
            self.value,
            domain=self._domain,
            below=self._below,
            path=self._path if self._path.startswith("/") else "/",
            secure=self._secure,
        )


def _each(cookies: Cookies) -> Iterable[Mapping[str, Any]]:
    if isinstance(cookies, Mapping):
        return [{"name": name, "value": value} for name, value in cookies.items()]
    try:
        listed = [] if isinstance(cookies, str | bytes) else list(cookies)
    except TypeError:
        listed = []
    if not listed or not all(isinstance(each, Mapping) for each in listed):
        raise _bad(repr(cookies), "a dict, or a list of dicts")
    return listed


def _text(part: Any, what: str) -> str:
    if not isinstance(part, str | bytes | int | float):
        raise _bad(f"the {what} {part!r}", "a text, bytes, a number")
    text = text_of(part) if isinstance(part, bytes) else str(part)
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _bad(f"the {what} {part!r}", "a text that UTF-8 can write") from None
    if _NO_COOKIE.search(text):
        raise _bad(f"the {what} {part!r}", "a text without ; and line breaks")
    return text


def _bad(what: str, allowed: str) -> FetchError:
    return FetchError("bad cookies", f"{what} is not allowed; allowed: {allowed}")

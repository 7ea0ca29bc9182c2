"""Cookies of a crawl. libcurl applies domains, paths, expiry, Secure and public suffixes.

libcurl has the list of public suffixes built in, so no page can set a cookie for `co.uk`. It also
finds the cookies of a request itself, so a crawl without cookies pays nothing.

Cookies are bytes, which any site may set to anything. As texts they have the form of
`headers.text_of`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pycurl

from crawler.engine.http import urls
from crawler.engine.http.headers import Headers, bytes_of, cookies_set, text_of
from crawler.engine.http.messages import FetchCall
from crawler.settings import wire

MAX_COOKIES = 10_000
"""The most cookies of a jar. With more, it forgets the older half."""
MOST_SENT = 8_000
"""The bytes of the cookies of a request that libcurl sends from a jar. It leaves out what exceeds
8,190, and with a single one the header is broken."""
LOOK_EACH = 1000
"""The number of answers after which a jar counts its cookies."""
_TRUSTED = frozenset({"localhost", "127.0.0.1", "::1"})
"""The hosts to which libcurl sends cookies with `Secure` over http too."""


class CookieJar:
    """The cookies of one session. `session` is its name; the usual one has none."""

    def __init__(self, session: str = "") -> None:
        self.session = session
        self._share = pycurl.CurlShare()
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_COOKIE)
        self._answers = 0

    def attach(self, handle: Any) -> None:
        """Make a handle send these cookies, and store here the cookies that it receives."""
        handle.setopt(pycurl.SHARE, self._share)
        handle.setopt(pycurl.COOKIEFILE, "")

    def add(
        self, name: str, value: str, *, domain: str, below: bool, path: str, secure: bool
    ) -> None:
        """Keep a cookie for a host, and with `below` for hosts below it, until the crawl ends."""
        fields = (domain, _truth(below), path, _truth(secure), "0", name, value)
        self._write(["\t".join(fields)])

    def lines(self) -> list[str]:
        """All cookies, in Netscape's format."""
        handle = pycurl.Curl()
        self.attach(handle)
        try:
            return [text_of(line) for line in handle.getinfo_raw(pycurl.INFO_COOKIELIST)]
        finally:
            handle.close()

    def sent_to(self, url: str, host: str) -> Sequence[str]:
        """The cookies that libcurl sends with a request, as `name=value` (RFC 6265, 5.4)."""
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or host in _TRUSTED
        kept = (each for _, each in self._near(host))
        return [each.pair for each in kept if each.goes_to(host, parts.path or "/", is_safe)]

    def lines_of(self, names: Collection[str], host: str) -> Sequence[str]:
        """The lines of the cookies of a host with these names, for `restore`."""
        near = self._near(host)
        return [line for line, each in near if each.name in names and each.is_of(host)]

    def restore(self, lines: Iterable[str]) -> None:
        """Keep those cookies of `lines_of` in whose place there is none. One whose time is over is
        dropped."""
        given = by_place(lines)
        domains = {domain for domain, _, _ in given}
        present = by_place(line for line in self.lines() if _domain(line) in domains)
        self._write(line for place, line in given.items() if place not in present)

    def answered(self) -> None:
        """Count an answer. A jar with too many cookies forgets the older half."""
        self._answers += 1
        if self._answers % LOOK_EACH == 0:
            lines = self.lines()
            if len(lines) > MAX_COOKIES:
                self._write(["ALL", *lines[len(lines) // 2 :]])

    def _near(self, host: str) -> Iterator[tuple[str, _Kept]]:
        """The lines whose domain is a host or one above it. There may be thousands of others, and
        those are not parsed."""
        parts = host.split(".")
        domains = {".".join(parts[number:]) for number in range(len(parts))}
        for line in self.lines():
            if _domain(line) in domains:
                yield line, _Kept.of(line)

    def _write(self, lines: Iterable[str]) -> None:
        handle = pycurl.Curl()
        self.attach(handle)
        try:
            for line in lines:
                handle.setopt(pycurl.COOKIELIST, bytes_of(line))
        finally:
            handle.close()


def host_of(call: FetchCall) -> str:
    """The host to which libcurl sends cookies: that of a header Host, or else that of the URL."""
    own = (line.partition(":")[2].strip() for line in call.headers if wire.name_of(line) == "host")
    header = next(own, "")
    return (header and urls.host(f"http://{header}/")) or urls.host(call.url)


def sent(call: FetchCall) -> str:
    """The header Cookie of a request, its own cookies and those of its jar, in a fixed order."""
    own = filter(None, (pair.strip(" \t") for pair in call.cookies.split(";")))
    jar = call.jar.sent_to(call.url, host_of(call)) if call.jar is not None else ()
    return "; ".join(sorted([*own, *jar]))


def received(call: FetchCall, header_lines: Iterable[bytes]) -> Sequence[str]:
    """What an answer has set in the jar of its request, as lines of the jar."""
    headers = Headers.parse(header_lines)
    if call.jar is None or "set-cookie" not in headers:
        return ()
    names = {name for name, _ in cookies_set(headers)}
    return call.jar.lines_of(names, host_of(call))


def by_place(lines: Iterable[str]) -> Mapping[tuple[str, str, str], str]:
    """Lines of a jar by domain, path and name. A later one takes the place of an earlier one (RFC
    6265, 5.3)."""
    return {_Kept.of(line).place: line for line in lines}


class _Kept(NamedTuple):
    """A cookie of a jar."""

    domain: str
    below: str
    path: str
    secure: str
    expires: str
    name: str
    value: str

    @classmethod
    def of(cls, line: str) -> _Kept:
        """Read a line of Netscape's format, as libcurl writes it."""
        return cls(*line.removeprefix("#HttpOnly_").split("\t"))

    @property
    def pair(self) -> str:
        """The cookie as it is sent."""
        return f"{self.name}={self.value}"

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from other cookies."""
        return self.domain.lstrip(".").lower(), self.path, self.name

    def is_of(self, host: str) -> bool:
        """Whether it belongs to a host, or to one above it."""
        domain = self.domain.lstrip(".").lower()
        return (
            urls.is_within(host, frozenset({domain}))
            if self.below == _truth(True)
            else host == domain
        )

    def goes_to(self, host: str, path: str, is_safe: bool) -> bool:
        """Whether it is sent to a path of a host (RFC 6265, 5.1.4)."""
        if not self.is_of(host) or (self.secure == _truth(True) and not is_safe):
            return False
        return f"{path}/".startswith(f"{self.path.rstrip('/')}/")


def _domain(line: str) -> str:
    """The domain of a line, without the cost of reading all of it."""
    return line.removeprefix("#HttpOnly_").partition("\t")[0].lstrip(".").lower()


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"

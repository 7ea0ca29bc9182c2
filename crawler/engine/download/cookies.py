"""Cookies of a crawl. libcurl applies domains, paths, expiry, Secure and public suffixes.

libcurl has the list of public suffixes built in, so no page can set a cookie for `co.uk`. It also
finds the cookies of a request itself, so a crawl without cookies pays nothing.

Cookies are bytes, which any site may set to anything. As texts they have the form of
`headers.text_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pycurl

from crawler.engine.http.headers import bytes_of, text_of

MAX_COOKIES = 10_000
"""The most cookies of a jar. With more, it forgets the older half."""
MOST_SENT = 8_000
"""The bytes of the cookies of a request that libcurl sends from a jar. It leaves out what exceeds
8,190, and with a single one the header is broken."""
LOOK_EACH = 1000
"""The number of answers after which a jar counts its cookies."""


class CookieJar:
    """The cookies of one session."""

    def __init__(self) -> None:
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

    def lines(self) -> Sequence[str]:
        """All cookies, in Netscape's format."""
        handle = pycurl.Curl()
        self.attach(handle)
        try:
            return [text_of(line) for line in handle.getinfo_raw(pycurl.INFO_COOKIELIST)]
        finally:
            handle.close()

    def answered(self) -> None:
        """Count an answer. A jar with too many cookies forgets the older half."""
        self._answers += 1
        if self._answers % LOOK_EACH == 0:
            lines = self.lines()
            if len(lines) > MAX_COOKIES:
                self._write(["ALL", *lines[len(lines) // 2 :]])

    def _write(self, lines: Iterable[str]) -> None:
        handle = pycurl.Curl()
        self.attach(handle)
        try:
            for line in lines:
                handle.setopt(pycurl.COOKIELIST, bytes_of(line))
        finally:
            handle.close()


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"

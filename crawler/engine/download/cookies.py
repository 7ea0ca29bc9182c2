"""Cookies of a crawl, kept by libcurl: domains, paths, expiry, Secure and public suffixes are its.

libcurl has the list of public suffixes built in, so that no page sets a cookie for `co.uk`, and
looks for cookies itself: a crawl without any pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pycurl

MAX_COOKIES = 10_000
"""A jar with more of them forgets the older half."""
LOOK_EACH = 1000
"""It is counted after so many answers."""


class CookieJar:
    """The cookies of one session."""

    def __init__(self) -> None:
        self._share = pycurl.CurlShare()
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_COOKIE)
        self._answers = 0

    def attach(self, handle: Any) -> None:
        """Have a handle send these cookies, and put here what it gets."""
        handle.setopt(pycurl.SHARE, self._share)
        handle.setopt(pycurl.COOKIEFILE, "")

    def add(
        self, name: str, value: str, *, domain: str, below: bool, path: str, secure: bool
    ) -> None:
        """Keep a cookie for a host, and for those `below` it, until the crawl ends."""
        fields = (domain, _truth(below), path, _truth(secure), "0", name, value)
        self._write(["\t".join(fields)])

    def lines(self) -> Sequence[str]:
        """All cookies, in Netscape's format."""
        handle = pycurl.Curl()
        self.attach(handle)
        try:
            return list(handle.getinfo(pycurl.INFO_COOKIELIST))
        finally:
            handle.close()

    def answered(self) -> None:
        """An answer came: the cookies of a site that sets new ones without end are not all kept."""
        self._answers += 1
        if self._answers % LOOK_EACH == 0:
            lines = self.lines()
            if len(lines) > MAX_COOKIES:
                self._write(["ALL", *lines[len(lines) // 2 :]])

    def _write(self, lines: Iterable[str]) -> None:
        handle = pycurl.Curl()
        self.attach(handle)
        for line in lines:
            handle.setopt(pycurl.COOKIELIST, line)
        handle.close()


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"

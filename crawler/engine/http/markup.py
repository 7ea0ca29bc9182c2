"""Reads what a page's markup tells crawlers: another address, or links they must not follow."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lxml import etree  # type: ignore[import-untyped]
from w3lib.html import get_meta_refresh

from crawler.engine.http import urls
from crawler.engine.http.response import Response

HEAD_BYTES = 4096
"""The bytes of a page that are searched for a refresh, which belongs into the head."""

MOST_REFRESH_S = 100.0
"""Above so many seconds, a refresh does not count: readers should read the page first."""

# Each page is searched for this. The search is quick because it begins with a fixed character.
_REFRESH = re.compile(rb"<meta\b[^>]*refresh", re.IGNORECASE)
_FORBIDS = re.compile(r"\b(?:nofollow|none)\b", re.IGNORECASE)
_ROBOTS = etree.XPath(
    "//meta[translate(@name, 'ROBTS', 'robts') = 'robots']/@content", smart_strings=False
)
_CANONICAL = etree.XPath(
    "//link[translate(@rel, 'CANOIL', 'canoil') = 'canonical']/@href", smart_strings=False
)
_LINKS = etree.XPath("//a[@href]")


def refresh(response: Response) -> str | None:
    """The target of <meta http-equiv="refresh">; None if the page has none.

    A page that reloads itself, or refreshes after `MOST_REFRESH_S`, has none.
    """
    if not _REFRESH.search(response.body, 0, HEAD_BYTES) or not _is_html(response):
        return None
    text = response.text[:HEAD_BYTES]
    try:
        delay_s, target = get_meta_refresh(text, response.url, response.encoding)
    except ValueError:  # the target is no URL
        return None
    if delay_s is None or delay_s > MOST_REFRESH_S or target is None:
        return None
    url = _web(response, target)
    return None if url == response.url else url


def canonical(response: Response) -> str | None:
    """The canonical URL that the page names, if it is another URL."""
    if not _is_html(response):
        return None
    found = _CANONICAL(response.selector.root)
    url = _web(response, found[0]) if found else None
    return None if url == response.url else url


def restrained(response: Response) -> Callable[[str], bool]:
    """Returns a function that says whether a URL must not be followed: `nofollow` of page or link.

    A URL that the page also links to without `nofollow` may be followed.
    """
    if not _is_html(response):
        return lambda url: False
    said = [*response.headers.getall("x-robots-tag"), *_ROBOTS(response.selector.root)]
    if any(_FORBIDS.search(each) for each in said):
        return lambda url: True
    links = _LINKS(response.selector.root)
    barred = {_url(response, each) for each in links if _is_nofollow(each)}
    free = {_url(response, each) for each in links if not _is_nofollow(each)} if barred else set()
    return (barred - free).__contains__


def _is_html(response: Response) -> bool:
    kind = response.headers.get("content-type", "").lower()
    return not kind or "html" in kind


def _is_nofollow(link: Any) -> bool:
    return "nofollow" in link.get("rel", "").lower().split()


def _url(response: Response, link: Any) -> str | None:
    return _web(response, link.get("href"))


def _web(response: Response, href: str) -> str | None:
    """The URL of a link as it is sent; None if it is no web page."""
    try:
        url = urls.safe(response.urljoin(href))
    except ValueError:
        return None
    return url if urls.is_web(url) else None

"""What a page says to crawlers in its markup: it lies elsewhere, or its links are not for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lxml import etree  # type: ignore[import-untyped]
from w3lib.html import get_meta_refresh

from crawler.engine.http import urls
from crawler.engine.http.response import Response

HEAD_BYTES = 4096
"""How far into a page a refresh is looked for: it belongs into the head."""

MOST_REFRESH_S = 100.0
"""A page that refreshes later than this is meant to be read first."""

# Each page is searched for this: it begins with a character that makes it quick.
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
    """Where the page sends its readers to by <meta http-equiv="refresh">; None when it does not.

    A page that only reloads itself, or does so after `MOST_REFRESH_S`, is a page.
    """
    if not _REFRESH.search(response.body, 0, HEAD_BYTES) or not _is_html(response):
        return None
    text = response.text[:HEAD_BYTES]
    try:
        delay_s, target = get_meta_refresh(text, response.url, response.encoding)
    except ValueError:  # it leads to what is no URL
        return None
    if delay_s is None or delay_s > MOST_REFRESH_S or target is None:
        return None
    url = _web(response, target)
    return None if url == response.url else url


def canonical(response: Response) -> str | None:
    """The URL under which the page says it is to be known, if that is another one."""
    if not _is_html(response):
        return None
    found = _CANONICAL(response.selector.root)
    url = _web(response, found[0]) if found else None
    return None if url == response.url else url


def restrained(response: Response) -> Callable[[str], bool]:
    """Tells whether a link of the page is not to be followed: `nofollow` of the page or the link.

    A URL that is linked to without it as well may be followed.
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
    """The link as it is sent, if it leads to a web page."""
    try:
        url = urls.safe(response.urljoin(href))
    except ValueError:
        return None
    return url if urls.is_web(url) else None

"""Reads what a page's markup tells crawlers: another address, or links they must not follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from crawler.engine.http import urls
from crawler.engine.http.link import is_nofollow, words
from crawler.engine.http.page_kind import Kind
from crawler.engine.http.referrer import policy_of
from crawler.engine.http.response import Response

MOST_REFRESH_S = 100.0
"""Above so many seconds, a refresh does not count: readers should read the page first."""

_REFRESH = re.compile(
    r"\s*+(?P<seconds>\d++|(?=\.))[\d.]*+(?:(?P<itself>\s*+[;,]?\s*+\Z)|(?:[;,]|\s)\s*+[;,]?\s*+"
    r"(?:url\s*=\s*)?(?:\"(?P<double>[^\"]*)|'(?P<single>[^']*)|(?P<bare>.*)))",
    re.IGNORECASE | re.DOTALL,
)
"""The content of a refresh (HTML standard, 4.2.5.3): seconds, then perhaps a URL. Without one the
page reloads itself, whatever its base is."""
_FORBIDS = re.compile(r"\b(?:nofollow|none)\b", re.IGNORECASE)
_VALUED = re.compile(r"unavailable_after|max-(?:snippet|image-preview|video-preview)", re.I)
"""What may stand before a colon in X-Robots-Tag, and is no name of a robot."""
_LINK_HEADER = re.compile(r"<([^<>]*+)>[^,<]*?;\s*rel\s*=\s*\"?([^\";,]*)", re.IGNORECASE)
"""A link of the header Link, and its relation (RFC 8288, 3)."""
_LINKS = etree.XPath("//a[@href] | //area[@href]")
_RELATED = etree.XPath("//link[@rel and @href]")


def refresh(response: Response, reloads: Callable[[], bool] = lambda: False) -> str | None:
    """The target of the header Refresh, or else of <meta http-equiv="refresh">; None if the page
    has none (HTML standard, 7.5.1 and 4.2.5.3).

    A page that refreshes after `MOST_REFRESH_S` has none. Nor has one that reloads itself, unless
    `reloads` says that it may be another page then.
    """
    if not _is_html(response):
        return None
    metas = _metas(response, "http-equiv", "refresh") if response.head_tags else ()
    for content in (*_refresh_headers(response), *metas):
        found = _REFRESH.match(content)
        if found is None:
            continue
        seconds = (found["seconds"] or "").lstrip("0")
        if len(seconds) > 9 or int(seconds or 0) > MOST_REFRESH_S:
            return None
        said = found["double"] or found["single"] or found["bare"] or ""
        url = _web(response, said) if found["itself"] is None else response.url
        return None if url == response.url and not reloads() else url
    return None


def _refresh_headers(response: Response) -> Iterator[str]:
    if "refresh" in response.headers:
        yield urls.from_header(response.headers["refresh"])


def referrer_policy(response: Response) -> str:
    """The referrer policy for which the page asks in its head or its headers; empty if in none."""
    has_any = response.head_tags and _is_html(response)
    metas = _metas(response, "name", "referrer") if has_any else ()
    return policy_of(response.headers.getall("referrer-policy"), metas)


def _metas(response: Response, attribute: str, value: str) -> Iterator[str]:
    """The content of the <meta>s in whose attribute stands a value, in lower case."""
    for tag in response.head_tags:
        if tag.name == "meta" and tag.mentions(value):
            content = tag.get("content")
            if content is not None and (tag.get(attribute) or "").lower() == value:
                yield content


def canonical(response: Response) -> str | None:
    """The canonical URL that the page or its header names (RFC 6596), if it is another URL."""
    if not _is_html(response):
        return None
    href = next(_canonical_links(response), None)
    url = _web(response, href) if href is not None else None
    return None if url == response.url else url


def _canonical_links(response: Response) -> Iterator[str]:
    for href, rel in _LINK_HEADER.findall(", ".join(response.headers.getall("link"))):
        if "canonical" in words(rel):
            with suppress(ValueError):
                yield urls.join(
                    response.url, urls.from_header(href)
                )  # a base counts in the page only
    for link in _RELATED(response.selector.root):
        if "canonical" in words(link.get("rel")):
            yield link.get("href")


def restrained(response: Response, token: str = "") -> Callable[[str], bool]:
    """Returns a function that says whether a URL must not be followed: `nofollow` of page or link.

    A URL that the page also links to without `nofollow` may be followed. `token` is the name by
    which a page may speak to this crawler alone; what it says to others does not count.
    """
    if not _is_html(response):
        return lambda url: False
    said = [*_told(response, token), *_robots(response, token)]
    if any(_FORBIDS.search(each) for each in said):
        return lambda url: True
    links = _LINKS(response.selector.root)
    barred = {_url(response, each) for each in links if is_nofollow(each.get("rel"))}
    free = (
        {_url(response, each) for each in links if not is_nofollow(each.get("rel"))}
        if barred
        else set()
    )
    return (barred - free).__contains__


def _told(response: Response, token: str) -> Iterator[str]:
    """What the header X-Robots-Tag says to all robots, or to the one of that name."""
    for value in response.headers.getall("x-robots-tag"):
        name, colon, rest = value.partition(":")
        if not colon or _VALUED.search(name) or "," in name:
            yield value
        elif name.strip().lower() == token.lower():
            yield rest


def _robots(response: Response, token: str) -> Iterator[str]:
    """What the <meta name=robots> of a page say, wherever they stand, and those with our name."""
    names = {"robots", token.lower() or "robots"}
    for meta in response.selector.root.iter("meta"):
        if meta.get("name", "").strip().lower() in names:
            yield meta.get("content", "")


def _is_html(response: Response) -> bool:
    return response.kind in (Kind.HTML, Kind.XHTML)


def _url(response: Response, link: Any) -> str | None:
    return _web(response, link.get("href"))


def _web(response: Response, href: str) -> str | None:
    """The URL of a link as it is sent; None if it is no web page."""
    try:
        url = urls.safe(response.absolute(href))
    except ValueError:
        return None
    return url if urls.is_web(url) else None

"""What a callback gets: the response to its request, with text and selectors on demand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from parsel import Selector, SelectorList
from w3lib.html import get_base_url

from crawler.engine import charset, extract, urls
from crawler.engine.headers import Headers
from crawler.engine.request import Request

__all__ = ["Headers", "Response"]

_BASE = re.compile(rb"<base", re.IGNORECASE)
HEAD_BYTES = 4096
"""Where <base> is looked for: it belongs into the head of a page."""


class Response:
    """A page as fetched. `url` is where it came from in the end, after redirects."""

    def __init__(
        self,
        url: str,
        status: int = 200,
        headers: Headers | None = None,
        body: bytes = b"",
        request: Request | None = None,
    ) -> None:
        self.url = url
        self.status = status
        self.headers = headers if headers is not None else Headers()
        self.body = body
        self.request = request if request is not None else Request(url)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.url}>"

    @property
    def meta(self) -> dict[str, Any]:
        """The `meta` of the request."""
        return self.request.meta

    @property
    def encoding(self) -> str:
        """The name of the encoding in which the text was read."""
        return self._decoded[0]

    @property
    def text(self) -> str:
        """The body as text (crawler.engine.charset says how)."""
        return self._decoded[1]

    @property
    def is_text(self) -> bool:
        """Whether the Content-Type, as far as there is one, is that of a text."""
        kind = self._content_type.partition(";")[0].strip().lower()
        return not kind or kind.startswith("text/") or kind.endswith(("xml", "json", "javascript"))

    @cached_property
    def selector(self) -> Selector:
        """The parsed page."""
        return Selector(text=self.text, type="xml" if self._is_xml else "html")

    def css(self, query: str) -> SelectorList[Selector]:
        """What a CSS selector finds, as parsel's selectors: `.get()`, `.getall()`, …"""
        return self.selector.css(query)

    def xpath(self, query: str, **variables: Any) -> SelectorList[Selector]:
        """What an XPath expression finds, as parsel's selectors."""
        return self.selector.xpath(query, **variables)

    def json(self) -> Any:
        """The body read as JSON; raises ValueError when it is none."""
        return json.loads(self.text)

    def urljoin(self, href: str) -> str:
        """The absolute URL of a link of this page; an HTML page's <base href> counts."""
        if href.isascii():
            return urls.join(self._base, href)
        return urls.join(self._base, href, self.encoding)

    def follow(
        self, url: str | Selector, callback: Callable[..., Any] | str | None = None, **rest: Any
    ) -> Request:
        """A request for a link of this page: a URL, or the selector of a link or an attribute.

        `rest` are further arguments of `Request`. Raises ValueError when it is no link.
        """
        href = url if isinstance(url, str) else _href(url)
        return Request(self.urljoin(href), callback, **rest)

    def follow_all(
        self,
        urls: Iterable[str | Selector] | None = None,
        callback: Callable[..., Any] | str | None = None,
        *,
        css: str | None = None,
        xpath: str | None = None,
        **rest: Any,
    ) -> Iterator[Request]:
        """Requests for many links: given as `urls`, or found by a CSS or XPath selector.

        Links that are broken, or lead to something else than a web page (`mailto:`), are left out.
        """
        if (urls is not None) + (css is not None) + (xpath is not None) != 1:
            raise ValueError("follow_all takes one of urls, css and xpath")
        hrefs = self._hrefs(css, xpath) if urls is None else map(_href, urls)
        return (Request(url, callback, **rest) for url in self.links(hrefs))

    def links(self, hrefs: Iterable[str]) -> Iterator[str]:
        """The absolute URLs of those links that lead to web pages."""
        for href in hrefs:
            try:
                url = self.urljoin(href)
            except ValueError:
                continue
            if url.startswith(("http://", "https://")):
                yield url

    def _hrefs(self, css: str | None, xpath: str | None) -> list[str]:
        selection = extract.css(css) if css is not None else extract.xpath(xpath or "")
        return selection.hrefs(self.selector.root)

    @cached_property
    def _decoded(self) -> tuple[str, str]:
        return charset.decode(self.body, self._content_type)

    @property
    def _content_type(self) -> str:
        return self.headers.get("content-type", "")

    @cached_property
    def _is_xml(self) -> bool:
        media_type = self._content_type.partition(";")[0].strip().lower()
        return media_type.endswith(("/xml", "+xml")) and media_type != "application/xhtml+xml"

    @cached_property
    def _base(self) -> str:
        if self._is_xml or not _BASE.search(self.body, 0, HEAD_BYTES):
            return self.url
        base = get_base_url(self.text[:HEAD_BYTES], self.url, self.encoding)
        return base if urls.is_web(base) else self.url


def _href(link: str | Selector) -> str:
    if isinstance(link, str):
        return link
    root = link.root
    href = root if isinstance(root, str) else root.get("href")
    if href is None:
        raise ValueError(f"no link: <{root.tag}> has no href")
    return str(href)

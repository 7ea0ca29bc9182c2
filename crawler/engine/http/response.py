"""What a callback gets: the response to its request, with text and selectors on demand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import parsel
from parsel import SelectorList

from crawler.engine.http import (
    encoding,
    given_links,
    head,
    page_kind,
    page_selector,
    selectors,
    urls,
    xml_base,
)
from crawler.engine.http.headers import Headers
from crawler.engine.http.lazy import lazy
from crawler.engine.http.link import Link
from crawler.engine.http.page_kind import Kind
from crawler.engine.http.page_selector import Selector
from crawler.engine.http.request import Request
from crawler.engine.http.selectors import AskedLink, Selection

__all__ = ["Headers", "Response", "Selector"]

_PAGES = (Kind.HTML, Kind.XHTML)
_TELLING = ("<base", "refresh", *(f"{before}referrer" for before in "\"'= \t\r\n\f"))
"""What stands in a head with a tag that counts. `noreferrer` and `document.referrer` tell nothing,
and many pages have them."""
_PLAIN_PATH = re.compile(r"(?:/[\w.~%-]+)+/?(?:\?[\w.~%=&+-]+)?", re.ASCII)


class Response:
    """A fetched page. `url` is its address after redirects.

    `encoding` overrides the encoding that header and page name. `flags` are words about how the
    page was fetched (`cached`). `ip_address` and `protocol` (such as `HTTP/2`) are those of the
    connection, if they are known.
    """

    attributes = (
        "url",
        "status",
        "headers",
        "body",
        "request",
        "flags",
        "ip_address",
        "protocol",
        "encoding",
    )
    """The names of the arguments from which an equal response can be made."""

    def __init__(
        self,
        url: str,
        status: int = 200,
        headers: Headers | Mapping[str, str] | None = None,
        body: bytes | str = b"",
        request: Request | None = None,
        flags: Iterable[str] = (),
        ip_address: str | None = None,
        protocol: str | None = None,
        encoding: str | None = None,
    ) -> None:
        self.url = url
        self.status = status
        self.headers = headers if isinstance(headers, Headers) else Headers(headers or ())
        self.body = body.encode(encoding or "utf-8") if isinstance(body, str) else body
        self.request = request if request is not None else Request(url)
        self.flags = list(flags)
        self.ip_address = ip_address
        self.protocol = protocol
        if encoding is not None or isinstance(body, str):
            given = encoding or "utf-8"
            self._decoded = given, self.body.decode(given, "replace")

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.url}>"

    @property
    def meta(self) -> dict[str, Any]:
        """The `meta` of the request."""
        return self.request.meta

    @property
    def cb_kwargs(self) -> dict[str, Any]:
        """The `cb_kwargs` of the request."""
        return self.request.cb_kwargs

    def copy(self) -> Response:
        """A response with the same attributes."""
        return self.replace()

    def replace(self, *, cls: type[Response] | None = None, **changes: Any) -> Response:
        """A copy with some attributes changed, of class `cls`; by default of the same class.

        As in Scrapy, the text keeps its encoding, whatever the new body says.
        """
        kept = {
            key: getattr(self, key)
            for key in self.attributes
            if key not in changes and (key != "encoding" or self._keeps_encoding)
        }
        return (cls or type(self))(**kept, **changes)

    @property
    def _keeps_encoding(self) -> bool:
        """Whether a copy has the same encoding. Bodies that are no texts are not decoded."""
        return "_decoded" in vars(self) or self.is_text

    @property
    def encoding(self) -> str:
        """The name of the encoding of the text."""
        return self._decoded[0]

    @property
    def text(self) -> str:
        """The decoded body (crawler.engine.http.encoding says how)."""
        return self._decoded[1]

    @lazy
    def kind(self) -> Kind:
        """What the body is: HTML, XML, … (crawler.engine.http.page_kind says how)."""
        return page_kind.kind(self._content_type, self.body)

    @property
    def is_text(self) -> bool:
        """Whether the body is a text by its Content-Type, or has none, or is XML of some type."""
        return self.kind is not Kind.OTHER

    @lazy
    def head_tags(self) -> list[head.Tag]:
        """The <meta> and <base> tags of a page that has any which count; of others none."""
        is_page = self.kind in _PAGES or (self.kind is Kind.OTHER and self._begins_as_markup)
        if not is_page:
            return []
        return list(head.tags(self.text, *_TELLING, is_xml=self.kind is Kind.XHTML))

    @lazy
    def selector(self) -> Selector:
        """The parsed page."""
        if self.kind is Kind.XML:
            return self._xml[0]
        if self.kind is Kind.XHTML:
            return page_selector.xhtml(self.text, is_html="html" in self._content_type.lower())
        if self.json_selector is not None:
            return page_selector.JsonPage.over(self.text, self.json_selector)
        return page_selector.PageSelector.of(self.text)

    def css(self, query: str) -> SelectorList[Selector]:
        """What a CSS selector finds, as parsel's selectors: `.get()`, `.getall()`, …"""
        return self.selector.css(query)

    def xpath(self, query: str, **variables: Any) -> SelectorList[Selector]:
        """What an XPath expression finds, as parsel's selectors."""
        return self.selector.xpath(query, **variables)

    def json(self) -> Any:
        """The body parsed as JSON, read as UTF-8 if it can be. Raises ValueError if it is none."""
        return json.loads(self._json_text)

    def jmespath(self, query: str, **options: Any) -> SelectorList[Selector]:
        """What a JMESPath expression finds in a JSON body."""
        return self._json_selector.jmespath(query, **options)

    def urljoin(self, url: str | None) -> str:
        """The absolute URL of a link of this page. The <base href> of an HTML page counts, and in
        other XML the xml:base of the root.

        As in Scrapy, characters stay as they are, and None is the page itself. `follow` makes a
        URL as it is sent.
        """
        if url and _PLAIN_PATH.fullmatch(url) and "/." not in url:
            return self._site + url  # most links come this way: `urljoin` takes ten times as long
        return urljoin(self._base, url or "")

    def absolute(self, href: str, place: Any = None) -> str:
        """The absolute URL of a link, as browsers send it. Raises ValueError if it is no URL.

        `place` is the element, the attribute or the text that holds the link: in XML the xml:base
        around it counts.
        """
        base = self._base
        if place is not None and self._bases is not None:
            base = self._bases.of(place)
        if href.isascii():
            return urls.join(base, href)
        return urls.join(base, href, self.encoding)

    def follow(
        self,
        url: str | parsel.Selector | Link,
        callback: Callable[..., Any] | str | None = None,
        **rest: Any,
    ) -> Request:
        """A request for a link of this page: a URL, a Link, or a selector of a link or its
        attribute.

        `rest` are more arguments of `Request`. Raises ValueError if it is no link.
        """
        href = given_links.href(url)
        request = Request(self.absolute(href, given_links.place(url)), callback, **rest)
        if not isinstance(url, str):
            request.link_policy = given_links.policy(url)
        return request

    def follow_all(
        self,
        urls: Iterable[str | parsel.Selector | Link] | None = None,
        callback: Callable[..., Any] | str | None = None,
        *,
        css: str | None = None,
        xpath: str | None = None,
        **rest: Any,
    ) -> Iterator[Request]:
        """Requests for many links, given as `urls` or found by a CSS or XPath selector.

        Skips broken links, and links that lead to no web page (`mailto:`).
        """
        if (urls is not None) + (css is not None) + (xpath is not None) != 1:
            raise ValueError("follow_all takes one of urls, css and xpath")
        links = self._asked(css, xpath) if urls is None else self._given(urls)
        return self._requests(links, callback, rest)

    def _given(self, links: Iterable[str | parsel.Selector | Link]) -> Iterable[AskedLink]:
        return given_links.present(links, None if self._bases is None else self._placed)

    def _asked(self, css: str | None, xpath: str | None) -> list[AskedLink]:
        return self.found(selectors.css(css) if css is not None else selectors.xpath(xpath or ""))

    def found(self, selection: Selection) -> list[AskedLink]:
        """The links of the page that a selector finds, for `links`."""
        selection, root = selection.on(self.kind), self.selector.root
        if self._bases is None:
            return selection.links(root)
        return [
            (self._placed(href, place), policy) for href, policy, place in selection.places(root)
        ]

    def _placed(self, href: str, place: Any) -> str:
        """A link with its own base. What cannot be joined stays as it is written."""
        try:
            return self.absolute(href, place)
        except ValueError:
            return href

    def _requests(
        self, links: Iterable[AskedLink], callback: Any, rest: Mapping[str, Any]
    ) -> Iterator[Request]:
        for url, policy in self.links(links):
            request = Request(url, callback, **rest)
            if policy:
                request.link_policy = policy
            yield request

    def links(self, links: Iterable[AskedLink]) -> Iterator[AskedLink]:
        """The links that lead to web pages, with their absolute URLs."""
        root, rooted, most = urls.root(self._base), urls.rooted, urls.LONGEST_ROOTED
        for href, policy in links:
            try:
                if root and href[:1] == "/" and len(href) <= most and href.isascii():
                    url = rooted(root, href)  # as most links
                else:
                    url = self.absolute(href)
            except ValueError:
                continue
            if url.startswith(("http://", "https://")):
                yield url, policy

    @property
    def _begins_as_markup(self) -> bool:
        """Whether a body of some other type, such as an image, may be a page after all."""
        return self.body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")

    @lazy
    def _decoded(self) -> tuple[str, str]:
        return encoding.decode(self.body, self._content_type, self.kind)

    @property
    def json_selector(self) -> Selector | None:
        """What reads a body whose type is that of JSON; None for any other."""
        return self._json_selector if self.kind is Kind.JSON else None

    @lazy
    def _json_selector(self) -> Selector:
        return Selector(text=self._json_text, type="json")

    @lazy
    def _json_text(self) -> str:
        """The body as JSON is encoded (RFC 8259, 8.1), whatever its header says."""
        return encoding.decode_json(self.body) or self.text

    @lazy
    def _content_type(self) -> str:
        return str(self.headers.get("content-type", ""))  # a plain one: it is looked up often

    @lazy
    def _site(self) -> str:
        return urljoin(self._base, "/").removesuffix("/")

    @lazy
    def _base(self) -> str:
        """The URL that links are joined with (HTML standard, 2.4.3)."""
        for tag in self.head_tags:
            href = tag.get("href") if tag.name == "base" else None
            if href is not None:
                return self._based(href)
        return self.url if self._bases is None else self._bases.of_root

    @lazy
    def _bases(self) -> xml_base.Bases | None:
        """The bases of XML that has any."""
        return self._xml[1] if self.kind is Kind.XML and xml_base.NAME in self.text else None

    @lazy
    def _xml(self) -> tuple[Selector, xml_base.Bases | None]:
        """Parsed XML, and its bases, as they are before a callback removes namespaces."""
        selector = page_selector.xml(self.text)
        has_bases = xml_base.NAME in self.text
        return selector, xml_base.Bases(selector.root, self.url) if has_bases else None

    def _based(self, href: str) -> str:
        try:
            base = urls.join(self.url, href, self.encoding)
        except ValueError:
            return self.url
        return base if urls.is_web(base) else self.url

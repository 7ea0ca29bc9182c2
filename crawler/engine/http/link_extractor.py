"""Finds links on pages. Names, defaults and results are Scrapy's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lxml import etree  # type: ignore[import-untyped]
from parsel.csstranslator import HTMLTranslator
from w3lib.url import canonicalize_url

from crawler.engine.http import urls
from crawler.engine.http.ignored_extensions import IGNORED_EXTENSIONS
from crawler.engine.http.link import Link, is_nofollow
from crawler.engine.http.page_kind import Kind
from crawler.engine.http.referrer import policy_of_link
from crawler.engine.http.response import Response

_SCHEMES = ("http://", "https://", "file://", "ftp://")
_SPACE = " \t\n\f\r"
_IMAGE = re.compile(rf"[{_SPACE},]*+([^{_SPACE}]++)(?:(?<=,)|[^,(]*+(?:\([^)]*+\)?+[^,(]*+)*+)")
"""An image in a `srcset`: a URL, and its width, unless a comma ends the URL (HTML, 4.8.4.2.2)."""
_XHTML = "http://www.w3.org/1999/xhtml"
_ALL_TEXT = etree.XPath("string()", smart_strings=False)

Regexes = str | re.Pattern[str] | Iterable[str | re.Pattern[str]] | None
Texts = str | Iterable[str] | None


class LinkExtractor:
    """Finds the links of a page. Each argument takes several values, or a single one.

    `allow`, `deny`: regular expressions that are searched in the absolute URL; `deny` wins.
    `allow_domains`, `deny_domains`: hosts, and the hosts below them. `deny_extensions`: extensions
    of the path, by default `IGNORED_EXTENSIONS`. `restrict_xpaths`, `restrict_css`: only links in
    these regions count. `restrict_text`: regular expressions that are searched in the link's text.
    `tags`, `attrs`: the elements and attributes that hold links; `*` means all except `deny_tags`
    and `deny_attrs`. `canonicalize`: return URLs in canonical form. `unique`: return each URL once.
    `process_value`: a function that gets each absolute URL and returns another, or None. `strip`
    exists because Scrapy has it: white space around a URL never counts. Raises re.error and
    ValueError for bad expressions.
    """

    def __init__(
        self,
        allow: Regexes = (),
        deny: Regexes = (),
        allow_domains: Texts = (),
        deny_domains: Texts = (),
        restrict_xpaths: Texts = (),
        tags: Texts = ("a", "area"),
        attrs: Texts = ("href",),
        canonicalize: bool = False,
        unique: bool = True,
        process_value: Callable[[str], str | None] | None = None,
        deny_extensions: Texts = None,
        restrict_css: Texts = (),
        strip: bool = True,
        restrict_text: Regexes = None,
        deny_tags: Texts = (),
        deny_attrs: Texts = (),
    ) -> None:
        self._allow = _patterns(allow)
        self._deny = _patterns(deny)
        self._text = _patterns(restrict_text)
        self._allow_domains = frozenset(map(str.lower, _many(allow_domains)))
        self._deny_domains = frozenset(map(str.lower, _many(deny_domains)))
        extensions = IGNORED_EXTENSIONS if deny_extensions is None else _many(deny_extensions)
        self._extensions = tuple(f".{extension}" for extension in extensions)
        self._regions = [_xpath(path) for path in _many(restrict_xpaths)]
        self._regions += [_xpath(_css_to_xpath(query)) for query in _many(restrict_css)]
        self._elements = _xpath(_with_tags(_many(tags), _many(deny_tags)))
        self._elements_of_xml = _xpath(_with_tags(_many(tags), _many(deny_tags), "x:"))
        self._attrs = frozenset(_many(attrs))
        self._deny_attrs = frozenset(_many(deny_attrs))
        self._canonicalize = canonicalize
        self._unique = unique
        self._process_value = process_value

    def extract_links(self, response: Response) -> list[Link]:
        """The allowed links of a page, in the order of the page."""
        if not self._unique:
            return list(self._links(response))
        links: dict[str, Link] = {}
        for link in self._links(response):
            links.setdefault(link.url, link)
        return list(links.values())

    def matches(self, url: str) -> bool:
        """Whether `allow`, `deny` and the domains allow a URL."""
        return self._fits_domains(urlsplit(url)) and self._fits(url)

    def _links(self, response: Response) -> Iterator[Link]:
        for element, url in self._found(response):
            if not self._allows(url):
                continue
            text = str(_ALL_TEXT(element))
            if self._text and not any(pattern.search(text) for pattern in self._text):
                continue
            if self._canonicalize:
                url = canonicalize_url(url)
            rel = element.get("rel")
            policy = policy_of_link(rel, element.get("referrerpolicy"))
            yield Link(url, text, nofollow=is_nofollow(rel), referrer_policy=policy)

    def _found(self, response: Response) -> Iterator[tuple[Any, str]]:
        is_xml = response.kind is Kind.XML
        find = self._elements_of_xml if is_xml else self._elements
        for region in self._roots(response.selector.root):
            seen: set[str] = set()
            for element in find(region):
                for value in self._values(element.attrib):
                    url = self._absolute(response, value, element)
                    if url is None or (self._unique and url in seen):
                        continue
                    seen.add(url)
                    yield element, url

    def _roots(self, root: Any) -> Iterator[Any]:
        if not isinstance(root, etree._Element):
            return
        if not self._regions:
            yield root
        for find in self._regions:
            found = find(root)
            yield from (node for node in found if isinstance(node, etree._Element))

    def _values(self, attributes: Any) -> list[str]:
        if len(self._attrs) == 1 and "*" not in self._attrs and not self._deny_attrs:
            (name,) = self._attrs
            return _urls(name, attributes[name]) if name in attributes else []
        found = (_urls(name, value) for name, value in attributes.items() if self._takes(name))
        return [url for several in found for url in several]

    def _takes(self, name: str) -> bool:
        return name not in self._deny_attrs and ("*" in self._attrs or name in self._attrs)

    def _absolute(self, response: Response, value: str, element: Any) -> str | None:
        """The URL in an attribute's value; None if it is no URL."""
        try:
            url = response.absolute(value, element)
            if self._process_value is None:
                return url
            processed = self._process_value(url)
            return None if processed is None else response.absolute(processed, element)
        except ValueError:
            return None

    def _allows(self, url: str) -> bool:
        if not url.startswith(_SCHEMES) or not self._fits(url):
            return False
        parts = urlsplit(url)
        if not self._fits_domains(parts):
            return False
        file = parts.path.rpartition("/")[2].partition(";")[0]
        return not file.lower().endswith(self._extensions)

    def _fits(self, url: str) -> bool:
        if self._allow and not any(pattern.search(url) for pattern in self._allow):
            return False
        return not any(pattern.search(url) for pattern in self._deny)

    def _fits_domains(self, parts: SplitResult) -> bool:
        if not self._allow_domains and not self._deny_domains:
            return True
        if self._allow_domains and not _is_of(parts, self._allow_domains):
            return False
        return not _is_of(parts, self._deny_domains)


def _urls(attribute: str, value: str) -> list[str]:
    """The URLs in an attribute; only a list of images (`srcset`) has several."""
    if attribute not in ("srcset", "imagesrcset"):
        return [value]
    return [url.rstrip(",") for url in _IMAGE.findall(value.strip(f"{_SPACE},"))]


def _many(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, (str, re.Pattern)) else tuple(value)


def _patterns(value: Regexes) -> list[re.Pattern[str]]:
    return [re.compile(each) for each in _many(value)]


def _css_to_xpath(query: str) -> str:
    return str(HTMLTranslator().css_to_xpath(query))


def _xpath(path: str) -> Any:
    try:
        spaces = {"re": "http://exslt.org/regular-expressions", "x": _XHTML}
        return etree.XPath(path, namespaces=spaces)
    except etree.XPathError as error:
        raise ValueError(f"{path!r} is no XPath expression ({error})") from error


def _with_tags(tags: tuple[str, ...], denied: tuple[str, ...], other: str = "") -> str:
    """The XPath of all elements with one of the tags, or with one of another prefix."""
    prefixes = ("", other) if other else ("",)
    named = [f"self::{prefix}{tag}" for tag in tags for prefix in prefixes]
    wanted = "true()" if "*" in tags else " or ".join(named) or "false()"
    refused = "".join(f"[not(self::{prefix}{tag})]" for tag in denied for prefix in prefixes)
    return f"descendant-or-self::*[{wanted}]{refused}"


def _is_of(parts: SplitResult, domains: frozenset[str]) -> bool:
    """Whether a URL belongs to one of the domains, which may have a port."""
    return urls.is_within(parts.hostname or "", domains) or parts.netloc.lower() in domains

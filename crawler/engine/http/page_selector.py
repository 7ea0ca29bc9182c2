"""parsel's selectors for pages, with one parser for all pages and CSS compiled once.

They find what parsel finds; the tests compare both.
"""

from __future__ import annotations

from typing import Any, Self

from lxml import etree, html  # type: ignore[import-untyped]
from parsel import Selector, SelectorList

from crawler.engine.http import broken_xml, deep_tree, selectors

_PARSER = html.HTMLParser(recover=True, encoding="utf8", huge_tree=True)
"""One parser for all pages. Making one for each takes a fourth of the time of parsing the page."""
_XHTML = "{http://www.w3.org/1999/xhtml}"


class PageSelector(Selector):
    """A part of an HTML page."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> PageSelector:
        """Parse a whole page."""
        raw = _raw(text) or b"<html/>"
        root = etree.fromstring(raw, parser=_PARSER)
        if deep_tree.is_cut_off(_PARSER):
            root = deep_tree.html(raw)
        if root is None:
            root = etree.fromstring(b"<html/>", parser=_PARSER)
        return cls(root=root, type="html")

    def css(self, query: str) -> SelectorList[Self]:
        """What a CSS selector finds. Raises ValueError for a bad selector."""
        if not isinstance(self.root, etree._Element):
            return super().css(query)
        try:
            found = selectors.css(query).nodes(self.root)
        except selectors.BadSelector:
            return super().css(query)  # parsel raises an error that says what is wrong
        return SelectorList([self._part(node, query) for node in found])

    def _part(self, node: Any, query: str) -> Self:
        return type(self)(root=node, _expr=query, namespaces=self.namespaces, type="html")


def xml(text: str) -> Selector:
    """Parse XML. What is broken in it costs as little as possible."""
    parser = _xml_parser(recover=True)
    raw = _raw(text) or b"<html/>"
    root = etree.fromstring(raw, parser=parser)
    if parser.error_log:
        raw = _raw(broken_xml.mended(text))
        root = etree.fromstring(raw, parser=parser) if raw else None
    if deep_tree.is_cut_off(parser):
        root = deep_tree.xml(raw)
    if root is None:
        root = etree.fromstring(b"<html/>", parser=parser)
    return Selector(root=root, type="xml")


def xhtml(text: str) -> Selector:
    """Parse XHTML. Its elements have no namespace, so that selectors of HTML find them.

    Browsers show nothing of XHTML that is not well-formed. Here it is read as HTML.
    """
    try:
        root = etree.fromstring(_raw(broken_xml.mended(text)), parser=_xml_parser(recover=False))
    except etree.XMLSyntaxError:
        return PageSelector.of(text)
    for element in root.iter(f"{_XHTML}*"):
        element.tag = element.tag.removeprefix(_XHTML)
    etree.cleanup_namespaces(root)
    return Selector(root=root, type="xml")


def _raw(text: str) -> bytes:
    return text.strip().replace("\x00", "").encode("utf8", "replace")


def _xml_parser(*, recover: bool) -> Any:
    return etree.XMLParser(
        recover=recover,
        encoding="utf8",
        huge_tree=True,
        resolve_entities=False,
        no_network=True,
    )

"""parsel's selectors, as pages get them: one parser for all, and CSS compiled once.

What they find is what parsel finds; the tests compare.
"""

from __future__ import annotations

from typing import Any, Self

from lxml import etree, html  # type: ignore[import-untyped]
from parsel import Selector, SelectorList

from crawler.engine.http import selectors

_PARSER = html.HTMLParser(recover=True, encoding="utf8", huge_tree=True)
"""To make one for each page takes a fourth of the time of parsing it."""


class PageSelector(Selector):
    """A part of an HTML page."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> PageSelector:
        """The whole page."""
        raw = text.strip().replace("\x00", "").encode("utf8", "replace") or b"<html/>"
        root = etree.fromstring(raw, parser=_PARSER)
        if root is None:
            root = etree.fromstring(b"<html/>", parser=_PARSER)
        return cls(root=root, type="html")

    def css(self, query: str) -> SelectorList[Self]:
        """What a CSS selector finds; raises ValueError for one that is none."""
        if not isinstance(self.root, etree._Element):
            return super().css(query)
        try:
            found = selectors.css(query).nodes(self.root)
        except selectors.BadSelector:
            return super().css(query)  # which says what is wrong with it
        return SelectorList([self._part(node, query) for node in found])

    def _part(self, node: Any, query: str) -> Self:
        return type(self)(root=node, _expr=query, namespaces=self.namespaces, type="html")

"""Selectors compiled once and run on a parsed page: CSS and XPath to strings, elements, links.

CSS knows parsel's `::text` and `::attr(name)`; both languages are XPath underneath.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cssselect import SelectorError
from lxml import etree  # type: ignore[import-untyped]
from parsel.csstranslator import HTMLTranslator
from parsel.xpathfuncs import setup as register_xpath_functions

NAMESPACES = {"re": "http://exslt.org/regular-expressions", "set": "http://exslt.org/sets"}
_HREFS_INSIDE = etree.XPath(".//a/@href", smart_strings=False)
_ALL_TEXT = etree.XPath("string()")

register_xpath_functions()


class BadSelector(ValueError):
    """A selector that its language does not allow; the message says why."""


class Selection:
    """A compiled selector; equal sources share one (`css`, `xpath`)."""

    def __init__(self, xpath: str) -> None:
        try:
            self._find = _evaluator(xpath)
        except etree.XPathError as error:
            raise BadSelector(f"not valid XPath ({error})") from error

    def nodes(self, root: Any) -> list[Any]:
        """What the selector finds below an element: elements or strings."""
        try:
            found = self._find(root)
        except etree.XPathError as error:
            raise BadSelector(f"XPath fails on this page ({error})") from error
        return found if isinstance(found, list) else [found]

    def strings(self, root: Any) -> list[str]:
        """What it finds, as text: of an element all the text inside; white space around is cut."""
        return [_text(node) for node in self.nodes(root)]

    def hrefs(self, root: Any) -> list[str]:
        """The links it finds: strings as they are, of an element its href, else those inside."""
        found: list[str] = []
        for node in self.nodes(root):
            if isinstance(node, str):
                found.append(node)
            elif (href := node.get("href")) is not None:
                found.append(href)
            else:
                found += _HREFS_INSIDE(node)
        return found


def _evaluator(xpath: str) -> Callable[[Any], Any]:
    """With the prefixes that it uses, no others: libxml2 keeps a note of each use of an evaluator
    that knows `set`, for as long as that lives."""
    used = {prefix: uri for prefix, uri in NAMESPACES.items() if f"{prefix}:" in xpath}
    compiled = etree.XPath(xpath, namespaces=used, smart_strings=False)
    if "set" not in used:
        return compiled  # type: ignore[no-any-return]
    return lambda root: etree.XPath(xpath, namespaces=used, smart_strings=False)(root)


@lru_cache(maxsize=1024)
def css(query: str) -> Selection:
    """Compile a CSS selector; raises BadSelector."""
    try:
        return Selection(HTMLTranslator().css_to_xpath(query))
    except SelectorError as error:
        raise BadSelector(f"not a valid CSS selector ({error})") from error


@lru_cache(maxsize=1024)
def xpath(query: str) -> Selection:
    """Compile an XPath expression; raises BadSelector."""
    return Selection(query)


def _text(node: Any) -> str:
    if isinstance(node, str):
        return node.strip()
    if isinstance(node, etree._Element):
        return str(_ALL_TEXT(node)).strip()
    return str(node)

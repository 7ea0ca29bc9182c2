"""What links in XML are joined with: `xml:base` counts for its element and all in it.

W3C XML Base, 4; RFC 3986, 5.1.1. HTML has no such attribute, also as XHTML (HTML standard, 2.4.3).
"""

from __future__ import annotations

from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from crawler.engine.http import urls

NAME = "xml:base"
"""How the attribute is written: the prefix `xml` is never another one."""
LONGEST = 4096
"""A base with more characters does not count. Thousands of nested ones would fill the memory."""
_ATTRIBUTE = "{http://www.w3.org/XML/1998/namespace}base"
_BASED = etree.XPath("//*[@xml:base]")


class Bases:
    """The bases of a document, as it is now. `url` is that of the document."""

    def __init__(self, root: Any, url: str) -> None:
        self._url = url
        self._known: dict[Any, str] = {}
        self._outer_first: list[Any] = []
        """The elements of `_known`. A list frees its last element first. lxml looks for what still
        holds the tree above each element that is freed, which is a long way if those are gone."""
        for element in _BASED(root):
            around = self._of_element(element.getparent())
            self._know(element, _joined(around, element.get(_ATTRIBUTE)))
        self.of_root = self._of_element(root)

    def of(self, place: Any) -> str:
        """The base of an element, or of an attribute or a text that knows its element. For any
        other text it is that of the root."""
        element = place if isinstance(place, etree._Element) else _element_of(place)
        return self.of_root if element is None else self._of_element(element)

    def _of_element(self, element: Any) -> str:
        way: list[Any] = []
        while element is not None and element not in self._known:
            way.append(element)
            element = element.getparent()
        base = self._url if element is None else self._known[element]
        for each in reversed(way):
            self._know(each, base)
        return base

    def _know(self, element: Any, base: str) -> None:
        self._known[element] = base
        self._outer_first.append(element)


def _element_of(text: Any) -> Any:
    """The element in which an attribute or a text stands; None if it does not know."""
    if not hasattr(text, "getparent"):
        return None
    element = text.getparent()
    return element.getparent() if element is not None and text.is_tail else element


def _joined(base: str, written: str) -> str:
    """The base inside an element with this `xml:base`. One that is no web address, or is too long,
    does not count."""
    try:
        joined = urls.join(base, written.strip())
    except ValueError:
        return base
    return joined if urls.is_web(joined) and len(joined) <= LONGEST else base

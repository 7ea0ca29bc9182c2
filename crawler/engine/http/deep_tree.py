"""Parses pages that are nested deeper than libxml2 allows, which is 2,048 levels.

libxml2 stops at that depth and drops the rest of the page. Other parsers find the tags here, and
lxml builds the tree from them. That takes five times as long.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from xml.parsers import expat

from lxml import etree  # type: ignore[import-untyped]
from lxml import html as lxml_html


def is_cut_off(parser: Any) -> bool:
    """Whether the last page of a parser was too deep for it."""
    last = parser.error_log.last_error
    return last is not None and last.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT


def html(raw: bytes) -> Any:
    """The root of an HTML page in UTF-8; None if it has none."""
    parser = lxml_html.HTMLParser(encoding="utf8", huge_tree=True, target=etree.TreeBuilder())
    return etree.fromstring(raw, parser=parser)


def xml(raw: bytes) -> Any:
    """The root of an XML document in UTF-8, up to its first error; None if it has none."""
    tree = _Tree()
    parser = expat.ParserCreate("utf-8", "}")
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    with suppress(expat.ExpatError):
        parser.Parse(raw, True)
    return tree.root()


class _Tree:
    """Builds a tree of lxml from what expat finds."""

    def __init__(self) -> None:
        self._builder = etree.TreeBuilder()
        self._open: list[str] = []
        self._is_empty = True

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._is_empty = False
        self._open.append(_tag(name))
        self._builder.start(self._open[-1], {_tag(key): value for key, value in attributes.items()})

    def end(self, _name: str) -> None:
        self._builder.end(self._open.pop())

    def text(self, text: str) -> None:
        self._builder.data(text)

    def root(self) -> Any:
        """The root; what the document left open is closed."""
        while self._open:
            self.end("")
        return None if self._is_empty else self._builder.close()


def _tag(name: str) -> str:
    """The name of an element for lxml: expat gives `namespace}name`."""
    return f"{{{name}" if "}" in name else name

"""CSS and XPath selectors, compiled once, that find strings, elements and links of a page.

CSS includes parsel's `::text` and `::attr(name)`. CSS is translated to XPath.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from cssselect import SelectorError
from lxml import etree  # type: ignore[import-untyped]
from parsel.csstranslator import GenericTranslator, HTMLTranslator
from parsel.xpathfuncs import setup as register_xpath_functions

from crawler.engine.http.page_kind import Kind
from crawler.engine.http.referrer import policy_of_link

NAMESPACES = {"re": "http://exslt.org/regular-expressions", "set": "http://exslt.org/sets"}
AskedLink = tuple[str, str]
"""A link as it is written, and the referrer policy for which it asks; empty if for none."""
_LINKS_INSIDE = etree.XPath(".//a[@href]")
_ALL_TEXT = etree.XPath("string()")
_FIRST_STEP = re.compile(
    r"(descendant-or-self::[*\w]+)\[(@id = '[\w-]+'|@class and contains\(@class, '([\w-]+)'\)"
    r" and contains\(concat\(' ', normalize-space\(@class\), ' '\), ' \3 '\))\](?!\[)"
)
"""The first step of a translated `#name`, `.name` or `div.name > a`."""

register_xpath_functions()


class BadSelector(ValueError):
    """A selector is not valid; the message says why."""


class Selection:
    """A compiled selector. `css` and `xpath` return the same one for equal sources."""

    def __init__(self, xpath: str, in_xml: str | None = None) -> None:
        self._xpath = xpath
        self._in_xml = in_xml
        """What is asked in XML, if it is something else: names have capitals there."""
        try:
            self._find = _evaluator(xpath)
        except etree.XPathError as error:
            raise BadSelector(f"not valid XPath ({error})") from error

    def on(self, kind: Kind) -> Selection:
        """The same for pages of a kind."""
        if self._in_xml is None or kind is not Kind.XML:
            return self
        return xpath(self._in_xml)

    def nodes(self, root: Any, find: Callable[[Any], Any] | None = None) -> list[Any]:
        """What the selector, or `find`, finds below an element: elements or strings."""
        try:
            found = (find or self._find)(root)
        except etree.XPathError as error:
            raise BadSelector(f"XPath fails on this page ({error})") from error
        return found if isinstance(found, list) else [found]

    def strings(self, root: Any) -> list[str]:
        """What the selector finds, as trimmed texts; for an element all text inside."""
        return [_text(node) for node in self.nodes(root)]

    def links(self, root: Any) -> list[AskedLink]:
        """The links that the selector finds: strings, an element's href, or the links inside it."""
        found: list[AskedLink] = []
        for node in self.nodes(root):
            if not isinstance(node, etree._Element):
                found.append((_as_link(node), ""))
                continue
            href, names = node.get("href"), node.keys()
            if href is None:
                found += [(link.get("href"), referrer_policy(link)) for link in _LINKS_INSIDE(node)]
            elif "rel" in names or "referrerpolicy" in names:  # few links ask for a policy
                found.append((href, referrer_policy(node)))
            else:
                found.append((href, ""))
        return found

    def places(self, root: Any) -> Iterator[tuple[str, str, Any]]:
        """What `links` finds, each with the element, the attribute or the text that holds it."""
        find = etree.XPath(self._xpath, namespaces=NAMESPACES)  # with texts that know their element
        for node in self.nodes(root, find):
            if not isinstance(node, etree._Element):
                yield _as_link(node), "", node
                continue
            for link in [node] if node.get("href") is not None else _LINKS_INSIDE(node):
                yield link.get("href"), referrer_policy(link), link


def _as_link(node: Any) -> str:
    if not isinstance(node, str):
        raise BadSelector(f"finds {node!r}, no link; allowed: elements and texts")
    return node


def referrer_policy(root: Any) -> str:
    """The referrer policy for which an element asks, if it is one; empty if it asks for none."""
    if not isinstance(root, etree._Element):  # a text, or a part of some JSON
        return ""
    return policy_of_link(root.get("rel"), root.get("referrerpolicy"))


def _evaluator(xpath: str) -> Callable[[Any], Any]:
    """Compile an XPath with only the prefixes that it uses.

    libxml2 keeps a record of each use of an evaluator that knows `set`, as long as the evaluator
    lives.
    """
    used = {prefix: uri for prefix, uri in NAMESPACES.items() if f"{prefix}:" in xpath}
    compiled = etree.XPath(xpath, namespaces=used, smart_strings=False)
    if "set" not in used:
        return compiled  # type: ignore[no-any-return]
    return lambda root: etree.XPath(xpath, namespaces=used, smart_strings=False)(root)


@lru_cache(maxsize=1024)
def css(query: str) -> Selection:
    """Compile a CSS selector; raises BadSelector."""
    try:
        path, in_xml = (each().css_to_xpath(query) for each in (HTMLTranslator, GenericTranslator))
        return Selection(by_attribute(path), in_xml if in_xml != path else None)
    except SelectorError as error:
        raise BadSelector(f"not a valid CSS selector ({error})") from error


def by_attribute(xpath: str) -> str:
    """A translated CSS selector that finds the same elements by a step to their `id` or `class`.

    libxml2 takes three times as long to ask each element whether it has the attribute.
    """
    found = _FIRST_STEP.match(xpath)
    if found is None:
        return xpath
    step, condition = found.group(1, 2)
    name = "id" if condition.startswith("@id") else "class"
    return f"{step}/@{name}[{condition.replace(f'@{name}', '.')}]/..{xpath[found.end() :]}"


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

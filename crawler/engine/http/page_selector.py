"""parsel's selectors for pages, with one parser for all pages and CSS compiled once.

They find what parsel finds; the tests compare both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import parsel
from lxml import etree, html  # type: ignore[import-untyped]
from lxml.html import defs  # type: ignore[import-untyped]
from parsel import SelectorList

from crawler.engine.http import broken_xml, deep_tree, selectors, xml_base


def _element_classes() -> Any:
    """The classes that lxml.html has for elements, in a table. lxml.html itself calls a method for
    each element that a selector finds, which takes as long as all else."""
    asked = html.HtmlElementClassLookup()
    others = etree.ElementDefaultClassLookup(
        element=html.HtmlElement,
        comment=html.HtmlComment,
        pi=html.HtmlProcessingInstruction,
        entity=html.HtmlEntity,
    )
    table = etree.ElementNamespaceClassLookup(others)
    table.get_namespace(None).update(
        {name: asked.lookup("element", None, None, name) for name in defs.tags}
    )
    return table


_PARSER = html.HTMLParser(recover=True, encoding="utf8", huge_tree=True)
"""One parser for all pages. Making one for each takes a fourth of the time of parsing the page."""
_PARSER.set_element_class_lookup(_element_classes())
_XHTML = "{http://www.w3.org/1999/xhtml}"


class Selector(parsel.Selector):
    """A part of a page, as parsel's and Scrapy's: `Selector(response)` or `Selector(text=…)`."""

    __slots__ = ("_response",)

    def __init__(self, response: Any = None, text: str | None = None, **options: Any) -> None:
        """A selector of a response, or of a text. A text may stand first.

        Raises ValueError for both at once.
        """
        if response is not None and text is not None:
            raise ValueError("Selector: give a response or a text, not both")
        if isinstance(response, str):
            text = response
        elif response is not None:
            self._response = response
            whole = response.json_selector or response.selector
            options = {"root": whole.root, "type": whole.type, **options}
        super().__init__(text, **options)

    @property
    def response(self) -> Any:
        """The response that the selector was made of; None for any other selector."""
        return getattr(self, "_response", None)


class PlacedSelector(Selector):
    """A part of XML. Its attributes and texts know their element, and so what `xml:base` means."""

    __slots__ = ()
    _lxml_smart_strings = True


class PageSelector(Selector):
    """A part of an HTML page."""

    __slots__ = ()

    if not TYPE_CHECKING:  # one is made for each thing found, and a call costs time
        __init__ = parsel.Selector.__init__

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse a whole page."""
        raw = _raw(text) or b"<html/>"
        root = etree.fromstring(raw, parser=_PARSER)
        if deep_tree.is_cut_off(_PARSER):
            root = deep_tree.html(raw)
        if root is None:
            root = etree.fromstring(b"<html/>", parser=_PARSER)
        elif root.getnext() is not None:
            _take_in(root)
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

    def get(self) -> Any:
        """What was found as a text; an element with its tags."""
        root = self.root
        return root if type(root) is str else super().get()  # parsel tries to serialize a text

    extract = get

    def _part(self, node: Any, query: str) -> Self:
        """A selector of what was found. Parsel's `__init__` checks what is known here."""
        part = self.__new__(type(self))
        part.root, part.type, part.namespaces = node, self.type, self.namespaces.copy()
        part._expr, part._huge_tree, part._text = query, True, None
        return part


class JsonPage(PageSelector):
    """A body of JSON: `jmespath` reads it, and CSS and XPath find next to nothing in it."""

    __slots__ = ("_json",)
    _json: Selector

    @classmethod
    def over(cls, text: str, json: Selector) -> JsonPage:
        """The selector of a text that `json` reads."""
        page = cls.of(text)
        page._json = json
        return page

    def jmespath(self, query: str, **options: Any) -> Any:
        """What a JMESPath expression finds, as parsel's selectors."""
        json = getattr(self, "_json", None)
        return (
            super().jmespath(query, **options) if json is None else json.jmespath(query, **options)
        )


def _take_in(root: Any) -> None:
    """Move what stands behind </html> into the page, as browsers do (HTML, 13.2.6.4.22).

    libxml2 puts it beside the root, where no selector that begins at the root finds it.
    """
    found = root.find("body")
    body = etree.SubElement(root, "body") if found is None else found
    for element in list(root.itersiblings(etree.Element)):
        body.append(element)
    etree.strip_tags(body, "html", "head", "body")  # a second page goes on in the first


def xml(text: str) -> Selector:
    """Parse XML. What is broken in it costs as little as possible."""
    parser = _xml_parser(recover=True)
    if "<!DOCTYPE" in text:  # then entities that nobody declares are no error, but lost
        text = broken_xml.mended(text)
    raw = _raw(text) or b"<html/>"
    root = etree.fromstring(raw, parser=parser)
    if parser.error_log:
        raw = _raw(broken_xml.mended(text))
        root = etree.fromstring(raw, parser=parser) if raw else None
    if deep_tree.is_cut_off(parser):
        root = deep_tree.xml(raw)
    if root is None:
        root = etree.fromstring(b"<html/>", parser=parser)
    kind = PlacedSelector if xml_base.NAME in text else Selector
    return kind(root=root, type="xml")


def xhtml(text: str, *, is_html: bool = False) -> Selector:
    """Parse XHTML. Its elements have no namespace, so that selectors of HTML find them.

    With `is_html` the selector is one of HTML, as Scrapy's is under XHTML's own type. Browsers show
    nothing of XHTML that is not well-formed. Here it is read as HTML.
    """
    try:
        root = etree.fromstring(_raw(broken_xml.mended(text)), parser=_xml_parser(recover=False))
    except etree.XMLSyntaxError:
        return PageSelector.of(text)
    for element in root.iter(f"{_XHTML}*"):
        element.tag = element.tag.removeprefix(_XHTML)
    etree.cleanup_namespaces(root)
    if is_html:
        return PageSelector(root=root, type="html")
    return Selector(root=root, type="xml")


def _raw(text: str) -> bytes:
    text = text.strip()
    if "\0" in text:  # `replace` would look for it twenty times as long
        text = text.replace("\0", "")
    return text.encode("utf8", "replace")


def _xml_parser(*, recover: bool) -> Any:
    return etree.XMLParser(
        recover=recover,
        encoding="utf8",
        huge_tree=True,
        resolve_entities=False,
        no_network=True,
    )

"""Says what a body is: HTML, XML, JSON or something else. The selectors and the encoding follow.

The Content-Type decides, where there is one that means something. A general type, or none, says
nothing: then the first bytes decide, by the MIME Sniffing Standard (sections 7.1 and 7.3). RSS and
Atom are XML under every type, because many servers send them as text/html.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

SNIFFED_BYTES = 2048
"""The bytes of a body in which its kind is looked for; the standard asks for 1445."""


class Kind(Enum):
    """What a body is."""

    HTML = "html"
    XHTML = "xhtml"
    """A page in XML: by its own type, or without a type that says something."""
    XML = "xml"
    JSON = "json"
    TEXT = "text"
    """A text without markup, such as text/plain."""
    OTHER = "other"


_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_FEED = re.compile(
    rb"\s*+(?:(?:<!--.*?-->|<\?.*?\?>|<![^>]*>)\s*+)*+"
    rb"<(?:rss[\s>]|feed[\s>]|rdf:RDF[\s>](?=.*http://purl\.org/rss/1\.0/))",
    re.DOTALL,
)
_PAGE = (b"<!doctype html", b"<html")
_XHTML = re.compile(rb"\s*+(?:(?:<!--.*?-->|<\?.*?\?>|<![^>]*>)\s*+)*+<html[\s>]", re.DOTALL)
_CODE = ("javascript", "ecmascript")
_UNKNOWN = ("", "unknown/unknown", "application/unknown", "*/*")


def kind(content_type: str, body: bytes) -> Kind:
    """What a body is, by its Content-Type (may be empty) and its first bytes."""
    said = _said(content_type)
    if said is Kind.XML or said is Kind.JSON:
        return said
    if said is Kind.HTML and body[:14].lower().startswith(_PAGE):  # as most pages do
        return said
    start = _start(body)
    if _FEED.match(start):
        return Kind.XML
    if said is Kind.XHTML or not _is_xml(start) or "html" in content_type.lower():
        return said
    return Kind.XHTML if _XHTML.match(start) else Kind.XML


def _is_xml(start: bytes) -> bool:
    return start.lstrip().startswith(b"<?xml")


def media_type(content_type: str) -> str:
    """The media type in a Content-Type, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def _said(content_type: str) -> Kind:
    """What a Content-Type says. Without one, a body is taken for a page."""
    media = media_type(content_type)
    if media == "application/xhtml+xml":
        return Kind.XHTML
    if media in _UNKNOWN or "html" in media:
        return Kind.HTML
    if media.endswith(("/xml", "+xml")):
        return Kind.XML
    if media.endswith(("/json", "+json")):
        return Kind.JSON
    if media.startswith("text/") or any(part in media for part in _CODE):
        return Kind.TEXT
    return Kind.OTHER


def _start(body: bytes) -> bytes:
    """The first bytes of a body, without byte order mark, and without the NULs of UTF-16."""
    start = body[:SNIFFED_BYTES]
    for mark in _MARKS:
        start = start.removeprefix(mark)
    return start.replace(b"\0", b"") if b"\0" in start else start

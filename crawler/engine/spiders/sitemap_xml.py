"""Reads sitemaps (sitemaps.org) piece by piece. It unpacks and parses only as far as they are used.

https://www.sitemaps.org/protocol.html
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

PIECE_BYTES = 65_536
_GZIP = b"\x1f\x8b\x08"


class Sitemap:
    """The entries of a sitemap or an index file as mappings. Iterate over it once.

    A gzip body is unpacked, up to `max_bytes`. Broken entries are left out.
    """

    def __init__(self, body: bytes, max_bytes: int) -> None:
        self.trouble = ""
        """Why reading stopped before the end. Empty if it did not."""
        self._max_bytes = max_bytes
        self._parser = etree.XMLPullParser(
            events=("start", "end"),
            recover=True,
            resolve_entities=False,
            no_network=True,
            remove_comments=True,
            remove_pis=True,
        )
        self._events = self._read(body)
        first = next(self._events, None)
        self.kind: str = "" if first is None else _name(first[1])
        """`urlset` or `sitemapindex`. Empty for anything else, which has no entries."""
        if self.kind not in ("urlset", "sitemapindex"):
            self.kind = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for event, element in self._events:
            if self.kind and event == "end" and _name(element) in ("url", "sitemap"):
                entry = _entry(element)
                _forget(element)
                if "loc" in entry:
                    yield entry

    def _read(self, body: bytes) -> Iterator[tuple[str, Any]]:
        try:
            for piece in _pieces(body, self._max_bytes):
                self._parser.feed(piece)
                yield from self._parser.read_events()  # `close` would add a partial entry
        except (etree.LxmlError, zlib.error, _TooLargeError) as error:
            self.trouble = str(error) or type(error).__name__


class _TooLargeError(Exception):
    """A body is larger than allowed when unpacked."""


def named_in_robots(body: bytes) -> Iterator[str]:
    """The sitemaps that a robots.txt names, as absolute or relative URLs."""
    for line in body.decode("utf-8", "replace").splitlines():
        key, colon, value = line.strip().lstrip("\ufeff").partition(":")
        if colon and key.strip().lower() == "sitemap" and value.strip():
            yield value.strip()


def _pieces(body: bytes, max_bytes: int) -> Iterator[bytes]:
    if not body.startswith(_GZIP):
        for start in range(0, len(body), PIECE_BYTES):
            yield body[start : start + PIECE_BYTES]
        return
    expander = zlib.decompressobj(wbits=31)
    waiting, size = body, 0
    while waiting and not expander.eof:
        piece = expander.decompress(waiting, PIECE_BYTES)
        waiting = expander.unconsumed_tail
        size += len(piece)
        if size > max_bytes:
            raise _TooLargeError(f"more than {max_bytes} bytes unpacked")
        yield piece


def _entry(element: Any) -> dict[str, Any]:
    """The texts of an entry, by the names of its elements."""
    entry: dict[str, Any] = {}
    alternate: list[str] = []
    for child in element:
        name = _name(child)
        if name == "link":
            alternate += [child.get("href")] if child.get("href") else []
        elif name:
            entry[name] = (child.text or "").strip()
    if alternate:
        entry["alternate"] = alternate
    return entry


def _forget(element: Any) -> None:
    """Free an entry that was read, and those before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _name(element: Any) -> str:
    """The local name of an element; empty for a comment or the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""

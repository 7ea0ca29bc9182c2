"""Sitemaps (sitemaps.org), read piece by piece: expanded and parsed only as far as they are used.

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
    """A sitemap or an index of sitemaps, as the mappings of its entries; iterate over it once.

    A body that is gzip is expanded, up to `max_bytes`. What is broken is left out.
    """

    def __init__(self, body: bytes, max_bytes: int) -> None:
        self.trouble = ""
        """Why it was not read to its end; empty when it was."""
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
        """`urlset`, `sitemapindex`; anything else is no sitemap, and has no entries."""
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
                yield from self._parser.read_events()  # `close` would add what was torn off
        except (etree.LxmlError, zlib.error, _TooLargeError) as error:
            self.trouble = str(error) or type(error).__name__


class _TooLargeError(Exception):
    """A body expands to more than is allowed."""


def named_in_robots(body: bytes) -> Iterator[str]:
    """The sitemaps that a robots.txt names, absolute or not."""
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
            raise _TooLargeError(f"it expands to more than {max_bytes} bytes")
        yield piece


def _entry(element: Any) -> dict[str, Any]:
    """What an entry says, by the names of its elements."""
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
    """Let go of an entry that was read, and of those before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _name(element: Any) -> str:
    """The local name; empty for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""

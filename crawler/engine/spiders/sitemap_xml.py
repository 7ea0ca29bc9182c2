"""Reads sitemaps (sitemaps.org) piece by piece. It unpacks and reads only as far as they are used.

A sitemap is XML, or a text with a URL on each line, or a feed (RSS or Atom). What is broken in it
costs one entry. https://www.sitemaps.org/protocol.html
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

from crawler.engine.http import encoding, urls
from crawler.engine.http.gzip_members import MAGIC, Gzip
from crawler.engine.spiders.loose_xml import Found, LooseXml, What
from crawler.engine.spiders.open_elements import OpenElements, resolved
from crawler.engine.spiders.sitemap_entry import Entry

PIECE_BYTES = 65_536
LONGEST_LINE = 65_536
MOST_BEFORE = 100
"""So many tags may stand before a sitemap, such as those of an error message of its server."""
_NO_URL = "?"
"""What stands for the beginning of a line that is too long."""
_KINDS = {
    "urlset": "urlset",
    "sitemapindex": "sitemapindex",
    "rss": "feed",
    "rdf": "feed",
    "feed": "feed",
}
_ENTRIES = {"urlset": ("url", "sitemap"), "sitemapindex": ("sitemap", "url")}
_FEED_ENTRIES = ("item", "entry")
_LISTED_URL = re.compile(r"^[ \t]*+https?://", re.IGNORECASE | re.MULTILINE)
_LISTED = re.compile(r"https?://|/", re.IGNORECASE)
"""What begins a line that is a URL."""
_LINE = re.compile(r"\r\n?|\n")


class Sitemap:
    """The entries of a sitemap or an index file as mappings. Iterate over it once.

    A gzip body is unpacked, up to `max_bytes`. URLs are joined with the `url` of the sitemap.
    """

    def __init__(self, body: bytes, max_bytes: int, url: str = "") -> None:
        self.trouble = ""
        """Why reading stopped before the end, and behind which entry. Empty if it did not."""
        self.entries = 0
        """How many entries were read that have a URL."""
        self.ignored: list[int] = []
        """The numbers of the entries that have none, or one that is no web page."""
        self._url = url
        self._around = OpenElements(url)
        """The open elements that are no entries."""
        self._open = ""
        """The root element that is not closed yet."""
        self._texts = self._read(body, max_bytes)
        self._first = next(filter(str.strip, self._texts), "")
        self._events: Iterator[Found] = iter(())
        self.kind = self._kind()
        """`urlset`, `sitemapindex`, `feed` or `text`. Empty for anything else, which has no
        entries."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        found = {"": lambda: iter(()), "text": self._lines}.get(self.kind, self._elements)()
        for number, entry in enumerate(found, 1):
            if self._completed(entry):
                self.entries += 1
                yield entry
            else:
                self.ignored.append(number)

    def _kind(self) -> str:
        begin = self._first.lstrip()
        if not begin.startswith("<") and _LISTED_URL.search(begin):
            return "text"
        self._events = self._found()
        tags = (found for found in self._events if found.what is What.START)
        for found in islice(tags, MOST_BEFORE):
            name = found.value
            if name in _KINDS:
                self._open = name
                self._around.begin(found)
                return _KINDS[name]
            if name == "html":
                break
        return ""

    def _found(self) -> Iterator[Found]:
        reader, text = LooseXml(), self._first
        yield from reader.feed(text)
        for text in self._texts:
            yield from reader.feed(text)

    def _elements(self) -> Iterator[dict[str, Any]]:
        """The entries of XML."""
        names, root = _ENTRIES.get(self.kind, _FEED_ENTRIES), self._open
        entry: Entry | None = None
        for found in self._events:
            if found.what is What.START and found.value == root:
                self._open = root
            if found.value in names and found.what is not What.TEXT:
                if entry is not None:
                    yield entry.whole(self.kind)
                is_start = found.what is What.START
                entry = Entry(self._around.base_of(found)) if is_start else None
            elif found.value == root and found.what is What.END:
                if entry is not None:
                    yield entry.whole(self.kind)
                entry, self._open = None, ""
                self._around.take(found)
            elif entry is not None:
                entry.take(found)
            else:
                self._around.take(found)
        if self._open and not self.trouble:
            self._stop(f"the file ends before </{self._open}>")
        last = entry.so_far(self.kind) if entry is not None else {}
        if last.get("loc"):
            yield last

    def _lines(self) -> Iterator[dict[str, Any]]:
        """The entries of a plain text: a URL on each line."""
        rest = self._first
        for text in chain(self._texts, ["\n"]):
            *lines, rest = _LINE.split(rest + text)
            rest = rest if len(rest) <= LONGEST_LINE else _NO_URL
            for line in filter(None, map(str.strip, lines)):
                yield {"loc": line} if _LISTED.match(line) else {}

    def _completed(self, entry: dict[str, Any]) -> bool:
        """Join the URLs of an entry with that of the sitemap. Returns whether it has one."""
        entry["loc"] = self._joined(entry.get("loc", ""))
        others = [self._joined(url) for url in entry.get("alternate", ())]
        if others:
            entry["alternate"] = [url for url in others if url]
        return bool(entry["loc"])

    def _joined(self, url: str) -> str:
        """The absolute URL of a web page; empty if it is none."""
        whole = resolved(self._url, url)
        return whole if urls.is_web(whole) else ""

    def _read(self, body: bytes, max_bytes: int) -> Iterator[str]:
        """The text of the sitemap, in pieces."""
        decode: Callable[[bytes], str] | None = None
        try:
            for piece in _pieces(body, max_bytes):
                decode = decode or _decoder(piece)
                yield decode(piece)
        except (zlib.error, ValueError) as error:
            self._stop(str(error))

    def _stop(self, why: str) -> None:
        self.trouble = f"{why}, behind entry {self.entries + len(self.ignored)}"


class _CutOffError(ValueError):
    """A packed body cannot be read to its end."""


def named_in_robots(body: bytes) -> Iterator[str]:
    """The sitemaps that a robots.txt names, as absolute or relative URLs."""
    for line in _LINE.split(body.decode("utf-8-sig", "replace")):
        key, colon, value = line.partition("#")[0].partition(":")
        if colon and key.strip().lower() == "sitemap" and value.strip():
            yield value.strip()


def _decoder(start: bytes) -> Callable[[bytes], str]:
    """A function that decodes a sitemap, given in pieces that begin with this one."""
    marked = encoding.marked(start)
    name = marked or encoding.declared_in_xml(start) or "utf-8"
    decoder = codecs.getincrementaldecoder(name)("replace")
    return lambda piece: decoder.decode(piece).replace("\ufeff", "")


def _pieces(body: bytes, max_bytes: int) -> Iterator[bytes]:
    if not body.startswith(MAGIC):
        for start in range(0, len(body), PIECE_BYTES):
            yield body[start : start + PIECE_BYTES]
        return
    file, size = Gzip(body, PIECE_BYTES), 0
    for piece in file:
        size += len(piece)
        if size > max_bytes:
            raise _CutOffError(f"more than {max_bytes} bytes unpacked")
        yield piece
    if file.trouble:
        raise _CutOffError(file.trouble)

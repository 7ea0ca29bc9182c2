"""One entry of a sitemap, an index file or a feed, as it is read tag by tag."""

from __future__ import annotations

from typing import Any

from crawler.engine.http.link import words
from crawler.engine.spiders.loose_xml import Found, What, meant

_LEAVES = frozenset({"loc", "lastmod", "changefreq", "priority", "link", "guid"})
"""Elements without elements in them. The next tag ends one that is not closed."""
MOST_OPEN = 100
"""Elements nested deeper than this are passed over: a field of the entry stands at its top."""
_DATES = ("updated", "pubdate", "published", "date")


class Entry:
    """An entry that is being read."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._links: list[tuple[list[str], str]] = []
        """The `rel` and the URL of each element that links to something."""
        self._is_page = True
        """Whether the `guid` of a feed's entry is the URL of a page."""
        self._open: list[str] = []
        self._text: list[str] = []

    def take(self, found: Found) -> None:
        """Take the next tag or text of the entry."""
        if found.what is What.TEXT:
            self._text.append(found.value)
        elif found.what is What.END:
            if found.value in self._open:
                while self._close() != found.value:
                    pass
        else:
            self._start(found)

    def whole(self, kind: str) -> dict[str, Any]:
        """The texts of the entry by the names of its elements; `alternate` is a list of URLs.

        An entry of a feed has `loc` and `lastmod` too.
        """
        while self._open:
            self._close()
        if kind == "feed":
            self._name_as_in_sitemaps()
        elif self._links:
            self._fields["alternate"] = [url for _, url in self._links]
        return self._fields

    def _start(self, found: Found) -> None:
        if self._open and self._open[-1] in _LEAVES:
            self._close()
        self._text.clear()
        attributes = found.attributes if found.value in ("link", "guid") else {}
        if attributes.get("href"):
            self._links.append((words(attributes.get("rel")), attributes["href"].strip()))
        if found.value == "guid":
            self._is_page = attributes.get("ispermalink", "").lower() != "false"
        if not found.is_empty and len(self._open) < MOST_OPEN:
            self._open.append(found.value)

    def _close(self) -> str:
        """End the innermost element. Its text counts if it stands in nothing but the entry."""
        name = self._open.pop()
        text = meant("".join(self._text)).strip()
        self._text.clear()
        if not self._open and (name != "link" or text):
            self._fields.setdefault(name, text)
        return name

    def _name_as_in_sitemaps(self) -> None:
        fields = self._fields
        pages = [url for rel, url in self._links if not rel or "alternate" in rel]
        guid = fields.get("guid", "") if self._is_page else ""
        fields["loc"] = fields.get("link") or next(iter(pages), "") or guid
        date = next((fields[name] for name in _DATES if fields.get(name)), "")
        if date:
            fields.setdefault("lastmod", date)

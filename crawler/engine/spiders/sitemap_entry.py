"""One entry of a sitemap, an index file or a feed, as it is read tag by tag."""

from __future__ import annotations

from typing import Any

from crawler.engine.http.link import words
from crawler.engine.spiders.loose_xml import Found, What, meant
from crawler.engine.spiders.open_elements import OpenElements, resolved

_LEAVES = frozenset({"loc", "lastmod", "changefreq", "priority", "link", "guid"})
"""Elements without elements in them. The next tag ends one that is not closed."""
_DATES = ("updated", "pubdate", "published", "date")


class Entry:
    """An entry that is being read. `base` is what its URLs are joined with."""

    def __init__(self, base: str = "") -> None:
        self._fields: dict[str, Any] = {}
        self._bases: dict[str, str] = {}
        """What a URL in a field is joined with."""
        self._links: list[tuple[list[str], str]] = []
        """The `rel` and the URL of each element that links to something."""
        self._is_page = True
        """Whether the `guid` of a feed's entry is the URL of a page."""
        self._open = OpenElements(base)
        self._text: list[str] = []

    def take(self, found: Found) -> None:
        """Take the next tag or text of the entry."""
        if found.what is What.TEXT:
            self._text.append(found.value)
        elif found.what is What.END:
            if found.value in self._open.names:
                while self._close() != found.value:
                    pass
        else:
            self._start(found)

    def whole(self, kind: str) -> dict[str, Any]:
        """The texts of the entry by the names of its elements; `alternate` is a list of URLs.

        An entry of a feed has `loc` and `lastmod` too.
        """
        while self._open.names:
            self._close()
        if kind == "feed":
            self._name_as_in_sitemaps()
            return self._fields
        self._fields["loc"] = self._url("loc")
        if self._links:
            self._fields["alternate"] = [url for _, url in self._links]
        return self._fields

    def so_far(self, kind: str) -> dict[str, Any]:
        """The same of an entry in which the file ends: elements that are cut off do not count."""
        self._open, self._text = OpenElements(""), []
        return self.whole(kind)

    def _url(self, name: str) -> str:
        """The URL in a field; empty without one."""
        return resolved(self._bases.get(name, ""), self._fields.get(name, ""))

    def _start(self, found: Found) -> None:
        if self._open.names and self._open.names[-1] in _LEAVES:
            self._close()
        self._text.clear()
        attributes = found.attributes if found.value in ("link", "guid") else {}
        if attributes.get("href"):
            url = resolved(self._open.base_of(found), attributes["href"].strip())
            self._links.append((words(attributes.get("rel")), url))
        if found.value == "guid":
            self._is_page = attributes.get("ispermalink", "").lower() != "false"
        self._open.begin(found)

    def _close(self) -> str:
        """End the innermost element. Its text counts if it stands in nothing but the entry."""
        base, name = self._open.base, self._open.end()
        text = meant("".join(self._text)).strip()
        self._text.clear()
        if not self._open.names and (name != "link" or text):
            self._fields.setdefault(name, text)
            self._bases.setdefault(name, base)
        return name

    def _name_as_in_sitemaps(self) -> None:
        fields = self._fields
        pages = [url for rel, url in self._links if not rel or "alternate" in rel]
        guid = self._url("guid") if self._is_page else ""
        fields["loc"] = self._url("link") or next(iter(pages), "") or guid
        date = next((fields[name] for name in _DATES if fields.get(name)), "")
        if date:
            fields.setdefault("lastmod", date)

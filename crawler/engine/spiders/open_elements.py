"""The elements of loose XML that are open, and the base URL of each (W3C XML Base, 4).

Feeds use `xml:base` (RFC 4287, 2): the URLs in an element are joined with it, and it may itself be
relative to that of the element around it.
"""

from __future__ import annotations

import re

from crawler.engine.http import urls
from crawler.engine.spiders.loose_xml import Found, What

MOST_OPEN = 100
"""Elements nested deeper than this are passed over."""
_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)


class OpenElements:
    """The open elements, the innermost last. `url` is that of what they stand in."""

    def __init__(self, url: str) -> None:
        self.names: list[str] = []
        self._bases = [url]

    @property
    def base(self) -> str:
        """The base of what stands in the innermost element."""
        return self._bases[-1]

    def base_of(self, tag: Found) -> str:
        """The base of an element that begins in the innermost one."""
        return resolved(self.base, tag.base) if "xml:base" in tag.rest else self.base

    def begin(self, tag: Found) -> None:
        """Open an element, unless it is empty, or too many are open."""
        if not tag.is_empty and len(self.names) < MOST_OPEN:
            self._bases.append(self.base_of(tag))
            self.names.append(tag.value)

    def end(self) -> str:
        """Close the innermost element. Returns its name."""
        self._bases.pop()
        return self.names.pop()

    def take(self, found: Found) -> None:
        """Open an element, or close the innermost one of its name, and all in it."""
        if found.what is What.START:
            self.begin(found)
        elif found.what is What.END and found.value in self.names:
            while self.end() != found.value:
                pass


def resolved(base: str, url: str) -> str:
    """A URL joined with its base. One that is absolute, or cannot be joined, stays as it is."""
    if not url or _ABSOLUTE.match(url):
        return url
    try:
        return urls.join(base, url)
    except ValueError:
        return url

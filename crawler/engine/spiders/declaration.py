"""The rules of a declared spider, as compiled: what declarative.py runs on each page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.engine.http.response import Response
from crawler.engine.http.selectors import Selection

SOURCES: Mapping[str, Callable[[Response], Any]] = {
    "url": lambda response: response.url,
    "status": lambda response: response.status,
}
"""What a field can be `from`, other than the page itself."""
TYPES: Mapping[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one field of an item is had: from a selector, or from the response."""

    selection: Selection | None = None
    source: str = ""
    regex: re.Pattern[str] | None = None
    """Applied to each text found; its first group counts, else all of it."""
    type: str = "str"
    many: bool = False
    """A list of all that is found, instead of the first."""
    required: bool = False
    """An item without it is dropped."""

    def value(self, part: Any, response: Response) -> Any:
        """The field for a part of a page; None, or an empty list, when there is nothing."""
        if self.selection is None:
            return SOURCES[self.source](response)
        found = [self._convert(text) for text in self.selection.strings(part)]
        present = [value for value in found if value is not None]
        if self.many:
            return present
        return present[0] if present else None

    def _convert(self, text: str) -> Any:
        """The value of a text; None when it does not match, or is no number."""
        if self.regex is not None:
            match = self.regex.search(text)
            if match is None:
                return None
            text = match[1] if self.regex.groups else match[0]
        try:
            return TYPES[self.type](text) if text else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class ItemRule:
    """The items of one kind of page."""

    fields: Mapping[str, FieldRule]
    match: re.Pattern[str] | None = None
    each: Selection | None = None

    @property
    def selected(self) -> list[str]:
        """The fields that tell whether there is an item at all: all, if none has a selector."""
        by_selector = [name for name, rule in self.fields.items() if rule.selection is not None]
        return by_selector or list(self.fields)


@dataclass(frozen=True, slots=True)
class UrlRule:
    """Which URLs are fetched."""

    allow: Sequence[re.Pattern[str]] = ()
    deny: Sequence[re.Pattern[str]] = ()

    def allows(self, url: str) -> bool:
        """Whether a URL found is fetched: `deny` wins, an empty `allow` allows everything."""
        if any(pattern.search(url) for pattern in self.deny):
            return False
        return not self.allow or any(pattern.search(url) for pattern in self.allow)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowRule(UrlRule):
    """Which links are followed."""

    links: Selection
    match: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SitemapRule(UrlRule):
    """The sitemaps, or robots.txt files that name some, whose pages are fetched."""

    urls: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Declaration:
    """A whole declared spider."""

    name: str
    start_urls: Sequence[str] = ()
    allowed_domains: Sequence[str] | None = None
    """None: the hosts of the start URLs; empty: everywhere."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    follow: Sequence[FollowRule] = ()
    items: Sequence[ItemRule] = ()
    sitemaps: SitemapRule = SitemapRule()

    @property
    def required(self) -> frozenset[str]:
        """The fields that an item must have if it is of a kind that has them."""
        rules = (each for item in self.items for each in item.fields.items())
        return frozenset(name for name, rule in rules if rule.required)

"""The compiled rules of a declared spider, which declarative.py applies to each page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.engine.http.response import Response
from crawler.engine.http.selectors import Selection
from crawler.settings.patterns import Pattern

SOURCES: Mapping[str, Callable[[Response], Any]] = {
    "url": lambda response: response.url,
    "status": lambda response: response.status,
}
"""The sources that `from` of a field may name."""
TYPES: Mapping[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How to get one field of an item: from a selector, or from the response."""

    selection: Selection | None = None
    source: str = ""
    regex: Pattern | None = None
    """Searched in each text found. Its first group counts, or else the whole match."""
    type: str = "str"
    many: bool = False
    """Whether the field is a list of everything found, instead of the first."""
    required: bool = False
    """Whether an item without this field is dropped."""

    def value(self, part: Any, response: Response) -> Any:
        """The value of the field in a part of a page. None, or an empty list, if there is none."""
        if self.selection is None:
            return SOURCES[self.source](response)
        found = [self._convert(text) for text in self.selection.on(response.kind).strings(part)]
        present = [value for value in found if value is not None]
        if self.many:
            return present
        return present[0] if present else None

    def _convert(self, text: str) -> Any:
        """The value of a text; None if it does not match, or is no number."""
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
    match: Pattern | None = None
    each: Selection | None = None

    @property
    def selected(self) -> list[str]:
        """The fields that decide whether there is an item: those with a selector, or else all."""
        by_selector = [name for name, rule in self.fields.items() if rule.selection is not None]
        return by_selector or list(self.fields)


@dataclass(frozen=True, slots=True)
class UrlRule:
    """Which URLs the crawl fetches."""

    allow: Sequence[Pattern] = ()
    deny: Sequence[Pattern] = ()

    def allows(self, url: str) -> bool:
        """Whether a URL is fetched. `deny` wins; an empty `allow` allows everything."""
        if any(pattern.search(url) for pattern in self.deny):
            return False
        return not self.allow or any(pattern.search(url) for pattern in self.allow)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowRule(UrlRule):
    """Which links the crawl follows."""

    links: Selection
    match: Pattern | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SitemapRule(UrlRule):
    """The sitemaps, or robots.txt files that name sitemaps, whose pages are fetched."""

    urls: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Declaration:
    """A whole declaration."""

    name: str
    start_urls: Sequence[str] = ()
    allowed_domains: Sequence[str] | None = None
    """None: the hosts of the start URLs. Empty: all hosts."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    follow: Sequence[FollowRule] = ()
    items: Sequence[ItemRule] = ()
    sitemaps: SitemapRule = SitemapRule()

    @property
    def required(self) -> frozenset[str]:
        """The fields that are required in items that have them."""
        rules = (each for item in self.items for each in item.fields.items())
        return frozenset(name for name, rule in rules if rule.required)

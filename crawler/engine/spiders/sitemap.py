"""Spiders that begin at the sitemaps of a site, which robots.txt or the spider names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crawler.engine.http.request import Callback, Request
from crawler.engine.spiders import sitemap_xml
from crawler.engine.spiders.spider import Spider

if TYPE_CHECKING:
    from crawler.engine.http.response import Response

Regex = str | re.Pattern[str]
MAX_NESTING = 5
"""How many levels of index files are followed; the standard allows one."""


class SitemapSpider(Spider):
    """Fetches the pages that sitemaps name.

    Each URL goes to the callback of the first of the `sitemap_rules` whose regular expression is
    found in it. A URL that matches no rule is not fetched.
    """

    sitemap_urls: Sequence[str] = ()
    """URLs of sitemaps, index files, or robots.txt files that name sitemaps."""
    sitemap_rules: Sequence[tuple[Regex, str | Callback]] = (("", "parse"),)
    sitemap_follow: Sequence[Regex] = ("",)
    """Regular expressions. A sitemap of an index file is read if one is found in its URL."""
    sitemap_alternate_links: bool = False
    """Whether the other languages of a page (`xhtml:link`) are fetched too."""

    def __init__(self, *args: Any, **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        self._rules = [(re.compile(pattern), each) for pattern, each in self.sitemap_rules]
        self._follow = [re.compile(pattern) for pattern in self.sitemap_follow]

    def start_requests(self) -> Iterator[Request]:
        """Yield a request for each of `sitemap_urls`."""
        for url in self.sitemap_urls:
            yield Request(url, self._parse_sitemap)

    def sitemap_filter(self, entries: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        """Which entries count. A subclass may choose by `loc`, `lastmod`, …; by default all count.

        An entry maps the name of each of its elements to its text; `alternate` is a list of URLs.
        """
        return entries

    def _parse_sitemap(self, response: Response) -> Iterator[Request]:
        if response.url.endswith("/robots.txt"):
            for url in sitemap_xml.named_in_robots(response.body):
                yield response.follow(url, self._parse_sitemap)
            return
        file = sitemap_xml.Sitemap(response.body, self.settings.max_body_bytes)
        if file.kind == "sitemapindex":
            yield from self._indexed(file, int(response.meta.get("sitemap_level", 0)) + 1)
        elif file.kind == "urlset":
            yield from self._named(file)
        if not file.kind or file.trouble:
            trouble = file.trouble or "no sitemap"
            self.logger.warning("a part of a sitemap is ignored", url=response.url, reason=trouble)

    def _indexed(self, file: sitemap_xml.Sitemap, level: int) -> Iterator[Request]:
        if level > MAX_NESTING:
            return
        for url in self._locations(file):
            if any(pattern.search(url) for pattern in self._follow):
                yield Request(url, self._parse_sitemap, meta={"sitemap_level": level})

    def _named(self, file: sitemap_xml.Sitemap) -> Iterator[Request]:
        for url in self._locations(file):
            callback = next((each for pattern, each in self._rules if pattern.search(url)), None)
            if callback is not None:
                yield Request(url, callback)

    def _locations(self, entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        for entry in self.sitemap_filter(dict(entry) for entry in entries):
            if entry["loc"]:
                yield entry["loc"]
            if self.sitemap_alternate_links:
                yield from entry.get("alternate", ())

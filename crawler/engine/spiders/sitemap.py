"""Spiders that begin at the sitemaps of a site, which robots.txt or the spider names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from crawler.engine.http import urls
from crawler.engine.http.request import Callback, Request
from crawler.engine.spiders import sitemap_xml
from crawler.engine.spiders.spider import Spider
from crawler.settings.patterns import linear

if TYPE_CHECKING:
    from crawler.engine.http.response import Response

Regex = str | re.Pattern[str]
T = TypeVar("T")
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
        self.sitemap_urls = _listed(self.sitemap_urls)
        self.sitemap_follow = _listed(self.sitemap_follow)
        compiled = _compiler("sitemap_rules" in parameters)
        self._rules = [(compiled(pattern), each) for pattern, each in self.sitemap_rules]
        compiled = _compiler("sitemap_follow" in parameters)
        self._follow = [compiled(pattern) for pattern in self.sitemap_follow]

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
        if any(urlsplit(url).path.endswith("/robots.txt") for url in _urls(response)):
            yield from self._in_robots(response)
            return
        file = sitemap_xml.Sitemap(response.body, self.settings.max_body_bytes, response.url)
        if file.kind == "sitemapindex":
            yield from self._indexed(file, int(response.meta.get("sitemap_level", 0)) + 1)
        elif file.kind:
            yield from self._named(file)
        self._tell(file, response.url)

    def _in_robots(self, response: Response) -> Iterator[Request]:
        named = list(sitemap_xml.named_in_robots(response.body))
        if not named:
            self.logger.warning(
                "robots.txt names no sitemap; give the address of one in sitemap_urls",
                url=response.url,
            )
        for url in named:
            yield from self._sitemap_at(url, response)

    def _sitemap_at(self, url: str, robots: Response) -> Iterator[Request]:
        try:
            yield Request(urls.join(robots.url, url), self._parse_sitemap)
        except ValueError:
            self.logger.warning("a sitemap has no valid URL", url=robots.url, sitemap=url)

    def _tell(self, file: sitemap_xml.Sitemap, url: str) -> None:
        """Say what was not read."""
        if not file.kind:
            self.logger.warning(
                "a sitemap is ignored", url=url, reason=file.trouble or "it is no sitemap"
            )
        elif file.trouble:
            self.logger.warning(
                "a sitemap is not read to its end",
                url=url,
                reason=file.trouble,
                entries=file.entries,
            )
        if file.ignored:
            self.logger.warning(
                "entries of a sitemap have no URL of a web page, and are ignored",
                url=url,
                ignored=len(file.ignored),
                first=file.ignored[0],
                entries=file.entries,
            )

    def _indexed(self, file: sitemap_xml.Sitemap, level: int) -> Iterator[Request]:
        if level > MAX_NESTING:
            file.trouble = f"it is an index file more than {MAX_NESTING} levels deep"
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


def _listed(given: Sequence[T] | T) -> Sequence[T]:
    """A list. A text alone stands for a list of it, as in `start_urls`."""
    return [cast(T, given)] if isinstance(given, str) else cast(Sequence[T], given)


def _urls(response: Response) -> tuple[str, str]:
    """The URL of a page, and the one that was asked for."""
    return response.url, response.request.url


def _compiler(is_parameter: bool) -> Callable[[Any], Any]:
    """Return what compiles patterns: RE2 for those of a task, which anybody may have written."""
    return (lambda pattern: linear(str(pattern))) if is_parameter else re.compile

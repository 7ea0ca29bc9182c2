"""Compiles spiders that are written as data: which links to follow, which fields to extract.

    name: books
    start_urls: [http://books.example/]
    follow:
      - css: "nav a, .next a"           # or xpath; without either: every link
        allow: [/book/, /page/]         # regular expressions, searched in the URL of a link
    items:
      - match: /book/                   # searched in the URL of the page; without it: every page
        each: .product                  # one item for each; without it: one for the page
        fields:
          title: h1::text
          price: {css: .price::text, regex: "[0-9.]+", type: float}
          tags: {xpath: "//a[@rel='tag']", many: true}
          url: {from: url}

A declaration is compiled into a Spider class, so the engine sees no difference. The compiler finds
all faults of a declaration and reports them together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from crawler.engine.http import urls
from crawler.engine.http.response import Response
from crawler.engine.items.pipelines import Invalid
from crawler.engine.spiders.declaration import Declaration, ItemRule
from crawler.engine.spiders.declaration_schema import faults_of, load
from crawler.engine.spiders.sitemap import SitemapSpider
from crawler.engine.spiders.sitemap_xml import Sitemap
from crawler.engine.spiders.spider import Request
from crawler.errors import ConfigError


class DeclaredSpider(SitemapSpider):
    """The base of compiled declarations. By default it stays on the hosts of its start URLs."""

    declaration: ClassVar[Declaration]

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        if self.declaration.allowed_domains is None and "allowed_domains" not in parameters:
            begins = [*self.start_urls, *self.sitemap_urls]
            self.allowed_domains = [urls.host(url) for url in begins]

    @classmethod
    def begins_itself(cls) -> bool:
        """Whether the spider begins at sitemaps."""
        return bool(cls.declaration.sitemaps.urls)

    def start_requests(self) -> Iterator[Request]:
        """Yield a request for each start URL, then for each sitemap."""
        for url in self._listed_start_urls():
            yield Request(url, meta={"allow_offsite": True})
        yield from super().start_requests()

    def _named(self, file: Sitemap) -> Iterator[Request]:
        """Yield the pages of a sitemap that its rule allows."""
        return (Request(url) for url in self._locations(file) if self._is_wanted(url))

    def _is_wanted(self, url: str) -> bool:
        return self.declaration.sitemaps.allows(url)

    def parse(self, response: Response) -> Iterator[Any]:
        """Yield the items of the page, then a request for each link to follow."""
        if not response.is_text:
            return
        for rule in self.declaration.items:
            if rule.match is None or rule.match.search(response.url):
                yield from _items(rule, response)
        yield from self._requests(response)

    def _requests(self, response: Response) -> Iterator[Request]:
        for rule in self.declaration.follow:
            if rule.match is None or rule.match.search(response.url):
                for url, policy in response.links(response.found(rule.links)):
                    if rule.allows(url):
                        request = Request(url)
                        request.link_policy = policy
                        yield request


def compile_declaration(data: Any, where: str = "spider") -> type[DeclaredSpider]:
    """Compile a declaration into a Spider class. Raises ConfigError with all its faults.

    `where` stands before each path: `spiders[2].items[0].fields.price.type`.
    """
    found = faults_of(data, where)
    if found:
        raise ConfigError("\n".join(found))
    declaration = load(data)
    required = declaration.required
    members: Mapping[str, Any] = {
        **({"item_schema": staticmethod(partial(_check, required))} if required else {}),
        "__doc__": f"The spider {declaration.name!r}, compiled from its declaration.",
        "name": declaration.name,
        "start_urls": declaration.start_urls,
        "allowed_domains": declaration.allowed_domains or (),
        "custom_settings": declaration.settings,
        "sitemap_urls": declaration.sitemaps.urls,
        "declaration": declaration,
    }
    return type("DeclaredSpider", (DeclaredSpider,), dict(members))


def _check(required: frozenset[str], item: Mapping[str, Any]) -> None:
    """Raise Invalid for an item that lacks a required field."""
    missing = sorted(name for name in required & item.keys() if item[name] in (None, []))
    if missing:
        raise Invalid(", ".join(missing), "required, and nothing was found")


def _items(rule: ItemRule, response: Response) -> Iterator[dict[str, Any]]:
    """Yield the items of a page in which at least one selector found something."""
    root = response.selector.root
    parts = [root] if rule.each is None else rule.each.on(response.kind).nodes(root)
    for part in parts:
        item = {name: field.value(part, response) for name, field in rule.fields.items()}
        if any(item[name] not in (None, []) for name in rule.selected):
            yield item

"""Two versions of a small project, which `crawler up --demo` deploys one after the other."""

from __future__ import annotations

from collections.abc import Mapping

PROJECT = "bookshop"

_FIRST = '''"""Collects who wrote the books of a department."""

from crawler import Spider


class AuthorSpider(Spider):
    name = "authors"

    def parse(self, response):
        yield from response.follow_all(css="ul.categories a, nav.pages a")
        yield from response.follow_all(css="ul.books a", callback=self.parse_book)

    def parse_book(self, response):
        yield {"title": response.css("h1::text").get(), "url": response.url}
'''

_SECOND = '''"""Collects who wrote the books of a department, and what they cost."""

from crawler import Request, Spider
from prices import price_of


class AuthorSpider(Spider):
    name = "authors"

    def start(self):
        while True:  # look at them again and again
            for url in self.start_urls:
                yield Request(url, dont_filter=True)

    def parse(self, response):
        for link in response.follow_all(css="ul.categories a"):
            yield link.replace(dont_filter=True, priority=1)
        for link in response.follow_all(css="ul.books a", callback=self.parse_book):
            yield link.replace(dont_filter=True, priority=2)

    def parse_book(self, response):
        yield {
            "title": response.css("h1::text").get(),
            "price": price_of(response),
            "url": response.url,
        }
'''

_PRICES = '''"""Reads prices."""


def price_of(response):
    """The price of a book in pounds."""
    return float(response.css(".price::text").re_first(r"[\\d.]+") or "nan")
'''

VERSIONS: tuple[Mapping[str, str], ...] = (
    {"authors.py": _FIRST, "README.md": "The authors of the bookshop.\n"},
    {"authors.py": _SECOND, "prices.py": _PRICES},
)
"""Name of the file → its text, for each version; the latest is the last."""

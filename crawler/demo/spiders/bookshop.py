"""Collects the books of one department of the demo bookshop.

A task says which department by its start URL. The spider never asks in which department it is: it
follows only the links of the department's own shelves, not those of the navigation above them.
"""

from collections.abc import Iterator
from typing import Any

from crawler import Request, Response, Spider


class BookSpider(Spider):
    """From the department over its categories and their pages to the books."""

    name = "books"

    def parse(self, response: Response) -> Iterator[Request]:
        """A department, or a page of one of its categories."""
        yield from response.follow_all(css="ul.categories a, nav.pages a", callback=self.parse)
        yield from response.follow_all(css="ul.books a", callback=self.parse_book)

    def parse_book(self, response: Response) -> Iterator[dict[str, Any]]:
        """The page of a book."""
        yield {
            "title": response.css("h1::text").get(),
            "price": float(response.css(".price::text").re_first(r"[\d.]+") or "nan"),
            "isbn": response.css("dd.isbn::text").get(),
            "department": response.css("dd.department::text").get(),
            "url": response.url,
        }

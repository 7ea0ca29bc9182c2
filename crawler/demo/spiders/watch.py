"""Looks at the books of a department again and again, and never ends."""

import itertools
from collections.abc import Iterator
from typing import Any

from crawler import Request, Response, Spider


class WatchSpider(Spider):
    """Tells the price of each book in each round."""

    name = "watch"

    def start(self) -> Iterator[Request]:
        """One round after the other. What is further from here goes first, so that a round ends
        before the next one begins."""
        for round in itertools.count(1):
            for url in self.start_urls:
                yield Request(url, dont_filter=True, cb_kwargs={"round": round})

    def parse(self, response: Response, round: int = 0) -> Iterator[Request]:
        """A department, or a page of one of its categories."""
        more: dict[str, Any] = {"dont_filter": True, "cb_kwargs": {"round": round}}
        yield from response.follow_all(
            css="ul.categories a", callback=self.parse, priority=1, **more
        )
        yield from response.follow_all(
            css="ul.books a", callback=self.parse_book, priority=2, **more
        )

    def parse_book(self, response: Response, round: int) -> Iterator[dict[str, Any]]:
        """The page of a book."""
        yield {
            "round": round,
            "title": response.css("h1::text").get(),
            "price": float(response.css(".price::text").re_first(r"[\d.]+") or "nan"),
        }

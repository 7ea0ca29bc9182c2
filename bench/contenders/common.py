"""What every contender does: pin itself to the core of the crawler, measure, tell."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable

from bench.pages import CRAWLER_CORE

FIELDS = ("url", "title", "price")

SPIDER = """
from {package} import Spider


class Following(Spider):
    name = "following"

    def parse(self, response):
        yield {{
            "url": response.url,
            "title": response.css("title::text").get(),
            "price": response.css(".price::text").get(),
        }}
        yield from response.follow_all(css="a")
"""
"""The spider, as it is written for Scrapy and for us: the import is all that differs."""


def pin() -> None:
    """Run on the crawler's core alone."""
    os.sched_setaffinity(0, {CRAWLER_CORE})


def tell(pages: int, seconds: float) -> None:
    """The result, for the process that compares."""
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"pages": pages, "seconds": seconds, "peak_mb": peak_mb}))


def timed(work: Callable[[], int]) -> None:
    """Do it, and tell how many pages it was and how long it took."""
    started_s = time.perf_counter()
    pages = work()
    tell(pages, time.perf_counter() - started_s)

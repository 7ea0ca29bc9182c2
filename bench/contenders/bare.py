"""libcurl's multi loop by itself: no frontier, no items, every URL known beforehand.

    python -m bench.contenders.bare URL [parsel]

With `parsel` the three fields and the links of each page are extracted, and dropped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pycurl
from parsel import Selector

from bench.contenders.common import pin, timed
from bench.pages import PAGES

CONNECTIONS = 64


def extract(url: str, body: bytes) -> None:
    """What the spider of the comparison takes from a page."""
    page = Selector(text=body.decode("utf-8"))
    page.css("title::text").get()
    page.css(".price::text").get()
    page.css("a::attr(href)").getall()


def nothing(url: str, body: bytes) -> None:
    """The page is not looked at."""


def crawl(base: str, look: Callable[[str, bytes], None]) -> int:
    """Fetch every page of the site; how many there were."""
    multi, left = pycurl.CurlMulti(), [f"{base}/p/{n}.html" for n in range(PAGES)]
    idle: list[Any] = [pycurl.Curl() for _ in range(CONNECTIONS)]
    done = 0
    while done < PAGES:
        while idle and left:
            handle = idle.pop()
            handle.url, handle.chunks = left.pop(), []
            handle.setopt(pycurl.URL, handle.url)
            handle.setopt(pycurl.WRITEFUNCTION, handle.chunks.append)
            multi.add_handle(handle)
        multi.perform()
        multi.select(0.1)
        _, ended, failed = multi.info_read()
        assert not failed, failed
        for handle in ended:
            multi.remove_handle(handle)
            look(handle.url, b"".join(handle.chunks))
            idle.append(handle)
            done += 1
    return done


if __name__ == "__main__":
    pin()
    timed(lambda: crawl(sys.argv[1], extract if "parsel" in sys.argv else nothing))

"""A site of 10,000 pages, served from memory by a process of its own.

    python -m bench.pages       prints its port, serves until it is ended

A page has some 6.8 KB and 13 links, ten of them to the pages that follow its number times ten, so
that all are found from the first.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

PAGES = 10_000
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CRAWLER_CORE = CORES[-1], CORES[0]
"""Who fetches has a core of its own."""
ADDRESSES = [f"127.0.0.{number}" for number in range(1, 9)]
"""The site is at each of these: they are so many hosts."""


def pages() -> list[bytes]:
    """The answers of the site, headers included."""
    chosen = random.Random(1)
    filler = f"<p>{'lorem ipsum dolor sit amet ' * 8}</p>" * 28
    return [_page(number, chosen, filler) for number in range(PAGES)]


def _page(number: int, chosen: random.Random, filler: str) -> bytes:
    targets = [(number * 10 + k) % PAGES for k in range(1, 11)]
    targets += [chosen.randrange(PAGES) for _ in range(3)]
    # None to the first: Scrapy fetches start URLs once more when it finds a link to them.
    links = "".join(f'<a href="/p/{to or 1}.html">link {to or 1}</a>' for to in targets)
    body = (
        f"<html><head><title>Page {number}</title></head><body><h1>Head {number}</h1>"
        f'<div class="price">{number}.50</div>{links}{filler}</body></html>'
    ).encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Site(asyncio.Protocol):
    """Answers from memory; anything that is no page is a 404, but for `/asked`."""

    answers: list[bytes]
    asked = [0] * PAGES
    """How often each page was asked for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection begins."""
        self.transport = transport
        self.pending = b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self.pending += data
        while b"\r\n\r\n" in self.pending:
            head, _, self.pending = self.pending.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            self.transport.write(self._answer(path))  # type: ignore[attr-defined]

    def _answer(self, path: bytes) -> bytes:
        if path.startswith(b"/p/"):
            number = int(path[3:-5])
            self.asked[number] += 1
            return self.answers[number]
        if path != b"/asked":
            return _NOT_FOUND
        told = json.dumps(self.asked).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told)


_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def asked(base: str) -> list[int]:
    """How often each page of the site at that address was asked for."""
    with urllib.request.urlopen(f"{base}/asked") as answer:
        counts: list[int] = json.load(answer)
    return counts


@contextmanager
def served() -> Iterator[str]:
    """The address of the site, while it is served."""
    site = subprocess.Popen(
        [sys.executable, "-m", "bench.pages"], stdout=subprocess.PIPE, text=True
    )
    assert site.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(site.stdout.readline())}"
    finally:
        site.terminate()
        site.wait()


async def _serve() -> None:
    os.sched_setaffinity(0, {SERVER_CORE})
    Site.answers = pages()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Site, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    more = [await loop.create_server(Site, address, port) for address in ADDRESSES[1:]]
    print(port, flush=True)
    await asyncio.gather(*(each.serve_forever() for each in (server, *more)))


if __name__ == "__main__":
    asyncio.run(_serve())

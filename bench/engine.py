"""Pages a second of the engine on one core, against a bare libcurl loop in the same run.

    python -m bench.engine [ROUNDS]

A site of 10,000 pages (about 6.8 KB, 13 links each) is served from memory by another process. The
rows take turns, each in a process of its own, so that a drift of the machine hits them alike.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGES = 10_000
ROWS = ("bare", "fetch", "class", "declared")


def pages() -> list[bytes]:
    """The answers of the site, headers included."""
    chosen = random.Random(1)
    filler = f"<p>{'lorem ipsum dolor sit amet ' * 8}</p>" * 28
    return [_page(number, chosen, filler) for number in range(PAGES)]


def _page(number: int, chosen: random.Random, filler: str) -> bytes:
    targets = [(number * 10 + k) % PAGES for k in range(1, 11)]
    targets += [chosen.randrange(PAGES) for _ in range(3)]
    links = "".join(f'<a href="/p/{target}.html">link {target}</a>' for target in targets)
    body = (
        f"<html><head><title>Page {number}</title></head><body><h1>Head {number}</h1>"
        f'<div class="price">{number}.50</div>{links}{filler}</body></html>'
    ).encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Site(asyncio.Protocol):
    """Answers from memory; anything that is no page is a 404."""

    answers: list[bytes]

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
            is_page = path.startswith(b"/p/")
            answer = self.answers[int(path[3:-5])] if is_page else _NOT_FOUND
            self.transport.write(answer)  # type: ignore[attr-defined]


_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


async def serve() -> None:
    """Serve the site on a free port, and print it."""
    Site.answers = pages()
    server = await asyncio.get_running_loop().create_server(Site, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def measure_bare(base: str) -> float:
    """libcurl's multi loop alone: fetch every page, look at none."""
    import pycurl

    multi, left = pycurl.CurlMulti(), [f"{base}/p/{n}.html" for n in range(PAGES)]
    done, idle = 0, [pycurl.Curl() for _ in range(64)]
    started_s = time.perf_counter()
    while done < PAGES:
        while idle and left:
            handle = idle.pop()
            handle.setopt(pycurl.URL, left.pop())
            handle.setopt(pycurl.WRITEFUNCTION, len)
            multi.add_handle(handle)
        multi.perform()
        multi.select(0.1)
        _, ended, failed = multi.info_read()
        for handle in [*ended, *(entry[0] for entry in failed)]:
            multi.remove_handle(handle)
            idle.append(handle)
            done += 1
    return PAGES / (time.perf_counter() - started_s)


def measure_engine(row: str, base: str) -> float:
    """The engine, with an empty callback, a spider class, or a declaration."""
    from crawler.runtime import prepare

    prepare()
    from crawler import Request, Response, Spider
    from crawler.crawl_settings import CrawlSettings
    from crawler.engine.declarative import compile_declaration
    from crawler.engine.engine import Engine
    from crawler.engine.sink import JsonLinesSink
    from crawler.records import Spec

    class Fetching(Spider):
        name = "fetch"

        def parse(self, response: Response) -> Iterator[Any]:
            yield from (Request(f"{base}/p/{n}.html", self.nothing) for n in range(1, PAGES))

        def nothing(self, response: Response) -> None:
            """What the page says does not matter here."""

    class Following(Spider):
        name = "class"

        def parse(self, response: Response) -> Iterator[Any]:
            price = response.css(".price::text").get()
            yield {"url": response.url, "title": response.css("title::text").get(), "price": price}
            yield from response.follow_all(css="a")

    fields = {"title": "title", "url": {"from": "url"}, "price": ".price::text"}
    declared = compile_declaration(
        {"name": "declared", "follow": [{"css": "a"}], "items": [{"fields": fields}]}
    )
    spiders = {"fetch": Fetching, "class": Following, "declared": declared}
    engine = Engine(CrawlSettings(delay_s=0, host_concurrency=64, concurrency=64), spiders)
    engine.start()
    with tempfile.TemporaryDirectory() as folder:
        spec = Spec(row, parameters={"start_urls": [f"{base}/p/0.html"]})
        crawl = engine.crawl(spec, JsonLinesSink(Path(folder, "items.jsonl")))
        crawl.run()
    engine.stop()
    counts = crawl.counts
    if counts.pages != PAGES or counts.failures:
        raise SystemExit(f"{row}: {counts} instead of {PAGES} pages without a failure")
    return counts.pages / counts.seconds


def main(rounds: int) -> None:
    """Print the median of each row, and its share of the bare loop."""
    command = [sys.executable, "-m", "bench.engine"]
    site = subprocess.Popen([*command, "serve"], stdout=subprocess.PIPE, text=True)
    assert site.stdout is not None
    try:
        base = f"http://127.0.0.1:{int(site.stdout.readline())}"
        speeds: dict[str, list[float]] = {row: [] for row in ROWS}
        for _ in range(rounds):
            for row in ROWS:
                run = [*command, row, base]
                speeds[row].append(float(subprocess.check_output(run, text=True).split()[-1]))
    finally:
        site.terminate()
        site.wait()
    median = {row: sorted(values)[len(values) // 2] for row, values in speeds.items()}
    for row in ROWS:
        low, high = min(speeds[row]), max(speeds[row])
        share = median[row] / median["bare"]
        print(
            f"{row:<9} {median[row]:8.0f} pages/s ({low:.0f} to {high:.0f})  {share:5.1%} of bare"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
    elif len(sys.argv) == 3:
        speed = measure_bare(sys.argv[2]) if sys.argv[1] == "bare" else None
        print(speed or measure_engine(sys.argv[1], sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 3)

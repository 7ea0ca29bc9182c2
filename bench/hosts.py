"""Politeness at scale: how near to the ideal rate many hosts with a delay each are fetched.

    python -m bench.hosts [SECONDS] [HOSTS]

Each host is an address of 127.0.0.0/8 at one server, a process of its own, whose kernel notes when
each request arrived: that clock alone says whether a host was asked too early. The crawl has one
core. The second row has 5 % dead hosts (half refuse, half never answer a connection) and 5 % slow
ones besides the same number of good ones, whose rate alone is compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.table import Row, print_rows

DELAY_S = 1.0
LEAST_SHARE = 0.97
SLOW_S = 5.0
"""A slow host answers after that time."""
BODY = b"<html><title>x</title></html>"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)
SO_TIMESTAMPNS = 35
"""Linux: the kernel notes when what is read came in. Python has no name for it."""
TIMESPEC = struct.Struct("@qq")
NO_RULES = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def address(number: int, kind: int = 0) -> str:
    """An address of the loopback network; `kind` is 0 for good hosts, 1 slow, 2 and 3 dead."""
    return f"127.{1 + kind}.{1 + number // 200}.{1 + number % 200}"


class Server:
    """Answers every address, and notes when each was asked for a page.

    The kernel notes the moment, when a request comes in. This process may get to it much later, if
    the machine is busy: one that it reads a second late, and the next in time, would seem too near.
    """

    def __init__(self) -> None:
        self.arrivals: dict[str, list[float]] = {}
        self._loop = asyncio.get_running_loop()
        self._wall_s = time.time() - time.monotonic()
        self._listener = socket.create_server(("0.0.0.0", 0), backlog=4096)
        self._listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # connections inherit it
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                host = connection.getsockname()[0]
                self._loop.add_reader(connection, self._read, connection, host)

    def _read(self, connection: socket.socket, host: str) -> None:
        """Take a request; the client sends no second one before its answer."""
        try:
            data, notes, _, _ = connection.recvmsg(65_536, 64)
        except OSError:
            data, notes = b"", []
        if not data:
            self._loop.remove_reader(connection)
            connection.close()
            return
        path = data.split(b" ", 2)[1]
        if path == b"/report":
            body = json.dumps(self.arrivals).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._loop.create_task(self._loop.sock_sendall(connection, head + body))
        elif path == b"/robots.txt":
            self._write(connection, NO_RULES)
        else:
            self.arrivals.setdefault(host, []).append(self._moment_s(notes))
            wait_s = SLOW_S if host.startswith("127.2.") else 0.0
            self._loop.call_later(wait_s, self._write, connection, ANSWER)

    def _moment_s(self, notes: Sequence[tuple[int, int, bytes]]) -> float:
        """The monotonic time at which the kernel got the request."""
        [(_, _, moment)] = notes
        seconds, nanoseconds = TIMESPEC.unpack(moment)
        return float(seconds + nanoseconds / 1e9 - self._wall_s)

    def _write(self, connection: socket.socket, answer: bytes) -> None:
        with contextlib.suppress(OSError):  # it is closed
            connection.send(answer)


async def serve() -> None:
    """Serve on a free port of every address, and print it."""
    print(Server().port, flush=True)
    await asyncio.Event().wait()


def black_hole() -> Iterator[socket.socket]:
    """A listener whose queue is full: further connections are never answered."""
    listener = socket.socket()
    listener.bind(("0.0.0.0", 0))
    listener.listen(0)
    yield listener
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", listener.getsockname()[1]))
        yield filler


def crawl(ports: Mapping[str, int], hosts: int, bad: int, seconds: float) -> dict[str, Any]:
    """Crawl for that long; the moments between which it ran and its peak of memory."""
    from crawler.runtime import prepare

    prepare()
    import gevent

    from crawler import Request, Spider
    from crawler.engine.engine import Engine
    from crawler.engine.items.sinks.json_lines import JsonLinesSink
    from crawler.model.records import Spec
    from crawler.settings.crawl import CrawlSettings

    sites = [f"http://{address(n)}:{ports['good']}" for n in range(hosts)]
    dead = [f"http://{address(n, 2)}:{ports['refused']}" for n in range(bad // 2)]
    dead += [f"http://{address(n, 3)}:{ports['hole']}" for n in range(bad // 2)]
    slow = [f"http://{address(n, 1)}:{ports['good']}" for n in range(bad)]
    step = max(1, len(sites) // (len(dead) + len(slow) + 1))
    for number, site in enumerate(itertools.chain(*zip(dead, slow))):
        sites.insert(number * (step + 1), site)

    class Visits(Spider):
        name = "visits"

        def start(self) -> Iterator[Request]:
            for turn in range(int(seconds / DELAY_S) + 2):
                for site in sites:
                    yield Request(f"{site}/{turn}", priority=-turn)

        def parse(self, response: Any) -> None:
            """What the page says does not matter here."""

    settings = CrawlSettings(delay_s=DELAY_S)
    engine = Engine(settings, {"visits": Visits}, private_targets=["127.0.0.0/8"])
    engine.start()
    it = engine.crawl(Spec("visits"), JsonLinesSink(Path("/dev/null")))
    began_s = time.monotonic()
    running = gevent.spawn(it.run)
    gevent.sleep(seconds)
    ended_s = time.monotonic()
    it.stop()
    running.join(5)
    engine.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    cpu = time.process_time() / seconds
    return {"began": began_s, "ended": ended_s, "MB": peak, "cpu": cpu}


def measure(hosts: int, bad: int, seconds: float) -> dict[str, Any]:
    """One crawl against a server of its own, as that saw it."""
    command = [sys.executable, "-m", "bench.hosts"]
    server = subprocess.Popen([*command, "serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    kept = list(black_hole())
    refusing = socket.socket()
    refusing.bind(("0.0.0.0", 0))  # bound, but it does not listen
    try:
        port = int(server.stdout.readline())
        holes = kept[0].getsockname()[1]
        ports = {"good": port, "hole": holes, "refused": refusing.getsockname()[1]}
        given = json.dumps([ports, hosts, bad, seconds])
        ran = json.loads(subprocess.check_output([*command, "crawl", given]).splitlines()[-1])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/report") as answer:
            return _figures(json.load(answer), ran, hosts, seconds)
    finally:
        server.terminate()
        server.wait()


def early(seen: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """How many requests came before the delay was over, by the moments at which hosts were asked,
    and the shortest time between two of one host."""
    gaps = [b - a for times in seen.values() for a, b in itertools.pairwise(times)]
    return {
        "early": sum(gap < DELAY_S for gap in gaps),
        "shortest_gap_ms": min(gaps, default=0.0) * 1000,
    }


def _figures(
    seen: Mapping[str, Sequence[float]], ran: Mapping[str, float], hosts: int, seconds: float
) -> dict[str, Any]:
    good = {host: times for host, times in seen.items() if host.startswith("127.1.")}
    count = sum(ran["began"] <= at_s < ran["ended"] for times in good.values() for at_s in times)
    return {
        "pages_per_s": count / seconds,
        "share": count / (hosts * seconds / DELAY_S),
        **early(seen),
        "fewest_of_a_host": min((len(times) for times in good.values()), default=0),
        "cpu": ran["cpu"],
        "mb": ran["MB"],
    }


def rows(seconds: float = 60.0, hosts: int = 1000) -> list[Row]:
    """Good hosts alone, and beside as many bad ones."""
    bad = 2 * (hosts // 40)
    titles = {
        0: f"{hosts:,} hosts, {DELAY_S:g} s, {seconds:g} s",
        bad: f"and {bad} dead, {bad} slow",
    }
    return [_row(title, measure(hosts, number, seconds)) for number, title in titles.items()]


def _row(title: str, got: dict[str, Any]) -> Row:
    return Row(
        title,
        f"{got['share']:.1%} of the ideal rate, {got['early']} early"
        f" (shortest gap {got['shortest_gap_ms']:.1f} ms), {got['cpu']:.0%} of a core",
        bound=f"{LEAST_SHARE:.0%}, none early",
        holds=got["share"] >= LEAST_SHARE and not got["early"],
        figures=got,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["crawl"]:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        print(json.dumps(crawl(*json.loads(sys.argv[2]))))
    else:
        print_rows(rows(float((sys.argv[1:] or ["60"])[0]), int((sys.argv[2:] or ["1000"])[0])))

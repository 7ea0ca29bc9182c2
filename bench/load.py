"""Asks an HTTP server as fast as it answers, from many connections, at little cost of its own.

    python -m bench.load HOST PORT CONNECTIONS SECONDS PREFIX [TOKEN]

A process of its own, on plain sockets: it shares the machine with what it measures. Prints JSON.
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import cast

BODY = '{"name":"%s","spider":"books","parameters":{"start_urls":["http://127.0.0.1/%s"]}}'
HEAD = (
    "POST /crawler/resource HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    "Content-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
)
END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length:"
WARM_UP = 0.2
"""Share of the time of which nothing is counted."""


class Connection:
    """One connection, with one request under way."""

    def __init__(self, host: str, port: int, names: Iterator[str], token: str) -> None:
        self._names = names
        self._door = f"Authorization: Bearer {token}\r\n" if token else ""
        self._socket = socket.create_connection((host, port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._sent_s = 0.0

    def fileno(self) -> int:
        """For the selector."""
        return self._socket.fileno()

    def ask(self) -> None:
        """Send the next request."""
        name = next(self._names)
        body = BODY % (name, name)
        self._sent_s = time.perf_counter()
        self._socket.sendall((HEAD % (self._door, len(body)) + body).encode())

    def read(self) -> tuple[bytes, float] | None:
        """Status and seconds of the answer; None while it is not all there."""
        received = self._socket.recv(65_536)
        if not received:
            raise ConnectionError("the server closed a connection")
        self._buffer += received
        head, found, body = self._buffer.partition(END_OF_HEAD)
        if not found or len(body) < _length(head):
            return None
        self._buffer = b""
        return head[9:12], time.perf_counter() - self._sent_s


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(LENGTH) + len(LENGTH)
    return int(lower[start:].split(b"\r\n", 1)[0])


class Counters:
    """What was answered, and how soon."""

    def __init__(self, from_s: float, until_s: float) -> None:
        self.until_s = until_s
        self._from_s = from_s
        self._statuses: Counter[str] = Counter()
        self._waits_s: list[float] = []

    def add(self, status: bytes, took_s: float, now_s: float) -> None:
        """An answer came; its wait counts when it came in the time that counts."""
        self._statuses[status.decode()] += 1
        if self._from_s <= now_s < self.until_s:
            self._waits_s.append(took_s)

    def summary(self) -> dict[str, object]:
        """All of it, and what it cost here."""
        waits_ms = sorted(1000 * wait_s for wait_s in self._waits_s)
        return {
            "per_second": len(waits_ms) / (self.until_s - self._from_s),
            "statuses": self._statuses,
            "p50_ms": waits_ms[len(waits_ms) // 2],
            "p99_ms": waits_ms[len(waits_ms) * 99 // 100],
            "worst_ms": waits_ms[-1],
            "cpu_s": time.process_time(),
        }


def run(
    host: str, port: int, connections: int, seconds: float, prefix: str, token: str = ""
) -> dict[str, object]:
    """Ask for that long; what came of it."""
    names = (f"{prefix}-{number:07}" for number in itertools.count())
    began_s = time.perf_counter()
    counters = Counters(began_s + seconds * WARM_UP, began_s + seconds)
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connection = Connection(host, port, names, token)
        selector.register(connection, selectors.EVENT_READ)
        connection.ask()
    while selector.get_map():
        for key, _ in selector.select():
            if _go_on(cast(Connection, key.fileobj), counters):
                selector.unregister(key.fileobj)
    return counters.summary()


def _go_on(connection: Connection, counters: Counters) -> bool:
    """Take an answer if it is there, and ask again; True once it is the last."""
    answer = connection.read()
    if answer is None:
        return False
    now_s = time.perf_counter()
    counters.add(*answer, now_s)
    if now_s < counters.until_s:
        connection.ask()
    return now_s >= counters.until_s


if __name__ == "__main__":
    host, port, connections, seconds, prefix, *token = sys.argv[1:]
    print(json.dumps(run(host, int(port), int(connections), float(seconds), prefix, *token)))

"""A site of bytes: it keeps each request as it came, and answers with the bytes that it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gevent.server import StreamServer

LONG = 10**6


@dataclass(frozen=True)
class Came:
    """A request as it came."""

    first: bytes
    lines: list[bytes]
    body: bytes

    @property
    def method(self) -> str:
        return self.first.split(b" ")[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.first.split(b" ")[1].decode("latin-1")

    def header(self, name: str) -> bytes | None:
        """The value of a header; None if it did not come."""
        found = (line.partition(b":") for line in self.lines)
        values = [value.strip() for key, _, value in found if key.lower() == name.lower().encode()]
        return values[0] if values else None


Answers = Mapping[str, bytes | Callable[[Came], bytes]]


class Wire:
    """Serves on every loopback address. `answers` are by target, `*` is for all others."""

    def __init__(self, answers: Answers | None = None) -> None:
        self.came: list[Came] = []
        self.answers = dict(answers or {})
        self._server = StreamServer(("0.0.0.0", 0), self._serve)

    def __enter__(self) -> Wire:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None
    ) -> None:
        self._server.stop(timeout=1)

    def url(self, target: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self._server.server_port}{target}"

    @property
    def targets(self) -> list[str]:
        """What was asked for, in the order of arrival."""
        return [each.target for each in self.came]

    def _serve(self, client: Any, address: Any) -> None:
        data = client.makefile("rb")
        first = data.readline(LONG).rstrip(b"\r\n")
        lines = []
        while line := data.readline(LONG).rstrip(b"\r\n"):
            lines.append(line)
        came = Came(first, lines, b"")
        length = int(came.header("content-length") or 0)
        came = Came(first, lines, data.read(length))
        self.came.append(came)
        made = self.answers.get(came.target, self.answers.get("*", page()))
        client.sendall(made if isinstance(made, bytes) else made(came))
        data.close()
        client.close()


def page(body: str = "<title>page</title>", *lines: str | bytes, status: str = "200 OK") -> bytes:
    """An answer with further header lines."""
    raw = body.encode()
    head = [f"HTTP/1.1 {status}", "Content-Type: text/html", f"Content-Length: {len(raw)}"]
    sent = [line if isinstance(line, bytes) else line.encode() for line in [*head, *lines]]
    return b"\r\n".join([*sent, b"Connection: close"]) + b"\r\n\r\n" + raw


def to(location: str | bytes, *lines: str | bytes, status: str = "302 Found") -> bytes:
    """A redirect."""
    raw = location if isinstance(location, bytes) else location.encode()
    return page("", b"Location: " + raw, *lines, status=status)

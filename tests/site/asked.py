"""What a page of the test site is asked, and what it answers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

HTML = ("Content-Type", "text/html; charset=utf-8")


@dataclass(frozen=True)
class Asked:
    """A request as a page sees it."""

    path: str
    query: Mapping[str, str]
    method: str
    body: bytes
    socket: socket.socket
    count: int
    """How often this very URL was asked for, this time included."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """As WSGI names them: `HTTP_COOKIE`."""

    def number(self, name: str, default: float) -> float:
        return float(self.query.get(name, default))


@dataclass(frozen=True)
class Reply:
    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=lambda: [HTML])


Page = Callable[[Asked], Reply]


def html(title: str, *links: str, status: int = 200) -> Reply:
    anchors = "".join(f'<a href="{link}">{link}</a>\n' for link in links)
    text = f"<html><head><title>{title}</title></head><body>\n{anchors}</body></html>"
    return Reply(text.encode(), status)

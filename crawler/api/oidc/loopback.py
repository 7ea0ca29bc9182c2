"""Waits for the browser of a person at a port of this machine (RFC 8252, 7.3)."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any

PATH = "/callback"
DONE = "You are signed in. You may close this page, and go on at the command line."
OTHER = "This is no answer to the login that waits here."


class Loopback:
    """A server for one answer. A context: it listens from its beginning to its end."""

    def __init__(self) -> None:
        self._found: Mapping[str, str] | None = None
        self._is_ours: Callable[[Mapping[str, str]], bool] = lambda query: False
        self._server = HTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.timeout = 0.5
        self.url = f"http://127.0.0.1:{self._server.server_port}{PATH}"
        """Where the browser comes back."""

    def __enter__(self) -> Loopback:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.server_close()

    def wait(
        self, is_ours: Callable[[Mapping[str, str]], bool], within_s: float
    ) -> Mapping[str, str] | None:
        """Return what the browser brought; None if it did not come in time. What is not ours is
        refused, whoever sent it."""
        self._is_ours = is_ours
        until_s = time.monotonic() + within_s
        while self._found is None and time.monotonic() < until_s:
            self._server.handle_request()
        return self._found

    def take(self, path: str) -> bool:
        """Take what a request brought, if it is ours."""
        parts = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path != PATH or not self._is_ours(query):
            return False
        self._found = query
        return True


def _handler_of(loopback: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # a connection that says nothing must not hold up the others

        def do_GET(self) -> None:
            is_taken = loopback.take(self.path)
            body = (DONE if is_taken else OTHER).encode()
            self.send_response(200 if is_taken else 400)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: the path has a code."""

    return Handler

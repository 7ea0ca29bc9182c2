"""The server of the test site."""

from __future__ import annotations

import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

import gevent
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from tests.site.asked import Asked, Page, Reply
from tests.site.pages import PAGES, html


@dataclass(frozen=True)
class Hit:
    """A request as it arrived."""

    url: str
    """Path and query."""
    at_s: float
    """Monotonic moment."""
    host: str
    agent: str
    peer: str
    """The port it came from: the same for requests on one connection."""


class _Handler(WSGIHandler):
    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        environ["site.socket"] = self.socket
        # Header and body are two writes; without this the second waits 40 ms for an ACK.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return environ


class Site:
    """Serves on every loopback address (127.0.0.1, 127.0.0.2, …), which are so many hosts.

    `robots` is the text of robots.txt, or a page; None answers 404, a number that status. `pages`
    are added to those of pages.py, by the first part of the path; "" is the root.
    """

    def __init__(
        self,
        robots: str | int | Page | None = None,
        pages: Mapping[str, Page] | None = None,
        at_robots: Callable[[], None] = lambda: None,
        port: int = 0,
    ) -> None:
        self.hits: list[Hit] = []
        """All but robots.txt, in the order of arrival."""
        self.robots_hits: list[Hit] = []
        self.robots = robots
        self._at_robots = at_robots
        self._pages = {**PAGES, **(pages or {})}
        self._counts: Counter[str] = Counter()
        self._server = WSGIServer(
            ("0.0.0.0", port),
            self._answer,
            log=None,
            error_log=None,
            handler_class=_Handler,
            spawn=Pool(),  # so that its end breaks off slow answers
        )

    def __enter__(self) -> Site:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and close every connection; repeating it is harmless."""
        self._server.stop_accepting()
        gevent.sleep(0)  # what was accepted begins: only then does its end close the socket
        self._server.stop(timeout=0)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self._server.server_port}{path}"

    def paths(self) -> list[str]:
        """What was asked for, in the order of arrival."""
        return [hit.url for hit in self.hits]

    @property
    def connections(self) -> set[str]:
        """The connections on which it was asked."""
        return {hit.peer for hit in self.hits}

    def times(self, path: str = "") -> list[float]:
        """When the URLs that begin with `path` were asked for."""
        return [hit.at_s for hit in self.hits if hit.url.startswith(path)]

    def gaps(self, path: str = "") -> list[float]:
        """Seconds between one request and the next."""
        times = self.times(path)
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query = environ["QUERY_STRING"]
        url = environ["PATH_INFO"] + (f"?{query}" if query else "")
        hit = Hit(
            url=url,
            at_s=time.monotonic(),
            host=environ["HTTP_HOST"],
            agent=environ.get("HTTP_USER_AGENT", ""),
            peer=environ["REMOTE_PORT"],
        )
        if url == "/robots.txt":
            self.robots_hits.append(hit)
            self._at_robots()
            reply = self._robots_reply(environ)
        else:
            self.hits.append(hit)
            reply = self._reply(environ, url)
        start_response(f"{reply.status} {_phrase(reply.status)}", reply.headers)
        return [reply.body] if isinstance(reply.body, bytes) else reply.body

    def _robots_reply(self, environ: dict[str, Any]) -> Reply:
        if isinstance(self.robots, str):
            return Reply(self.robots.encode(), 200, [("Content-Type", "text/plain")])
        if callable(self.robots):
            return self.robots(self._asked(environ, len(self.robots_hits)))
        return Reply(b"", self.robots or 404)

    def _asked(self, environ: dict[str, Any], count: int) -> Asked:
        return Asked(
            path=environ["PATH_INFO"],
            query=dict(parse_qsl(environ["QUERY_STRING"])),
            method=environ["REQUEST_METHOD"],
            body=environ["wsgi.input"].read(),
            socket=environ["site.socket"],
            count=count,
            headers={k: v for k, v in environ.items() if k.startswith("HTTP_")},
        )

    def _reply(self, environ: dict[str, Any], url: str) -> Reply:
        self._counts[url] += 1
        path = environ["PATH_INFO"]
        page = self._pages.get(path.split("/")[1])
        if page is None:
            return html("no such page", status=404)
        return page(self._asked(environ, self._counts[url]))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

"""A small bookshop on the loopback interface, for crawls that disturb nobody.

It knows its pages, and which of them a polite crawler finds. It is the same at every start. It does
not test how a crawler treats a hostile server. It sends nobody to other hosts: no page has an HTTP
link to one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

from gevent import socket
from gevent.pywsgi import WSGIServer

from crawler.demo.catalogue import Book, all_books
from crawler.demo.pages import render
from crawler.demo.robots import allowed, robots_txt
from crawler.demo.site import Page, build, canonical
from crawler.demo.words import DEPARTMENTS
from crawler.logs import get_logger

log = get_logger(__name__)

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Answer = tuple[int, list[tuple[str, str]], bytes]


class Bookshop:
    """The shop as a WSGI application, and as a graph that answers questions."""

    def __init__(self) -> None:
        self.books: dict[int, Book] = {book.id: book for book in all_books()}
        self.pages: dict[str, Page] = build(list(self.books.values()))
        self.served: Counter[int] = Counter()
        """Status → how many answers had it."""

    def reachable_books(self, start_path: str = "/", user_agent: str = "*") -> set[int]:
        """The ids of the books that a polite crawler reaches.

        The crawler follows every link and redirect from the start, and obeys robots.txt.
        """
        seen, waiting, found = {start_path}, [start_path], set()
        while waiting:
            page = self._visit(waiting.pop(), user_agent)
            if page is None:
                continue
            if page.book is not None:
                found.add(page.book.id)
            new = set(_leads_to(page)) - seen
            seen |= new
            waiting.extend(new)
        return found

    def expected(self, user_agent: str = "*") -> dict[str, Any]:
        """What `/expected.json` says: the number of reachable books, also by department."""
        reachable = self.reachable_books(user_agent=user_agent)
        departments = [self.books[book_id].department for book_id in reachable]
        counts = {department.name: departments.count(department.name) for department in DEPARTMENTS}
        return {"books": len(reachable), "by_department": counts}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (WSGI)."""
        status, headers, body = self._answer(environ)
        self.served[status] += 1
        headers.append(("Content-Length", str(len(body))))
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _visit(self, address: str, user_agent: str) -> Page | None:
        return self.pages.get(address) if allowed(address, user_agent) else None

    def _answer(self, environ: dict[str, Any]) -> Answer:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return 405, [("Allow", "GET, HEAD")], b""
        query = environ.get("QUERY_STRING", "")
        address = canonical(f"{environ['PATH_INFO']}?{query}" if query else environ["PATH_INFO"])
        return self._fact(address) or _served(self.pages.get(address, _NOT_FOUND))

    def _fact(self, address: str) -> Answer | None:
        if address == "/robots.txt":
            return 200, _type("text/plain; charset=utf-8"), robots_txt().encode()
        if address == "/healthz":
            return 200, _type("text/plain; charset=utf-8"), b"ok\n"
        if address == "/expected.json":
            return 200, _type("application/json"), json.dumps(self.expected()).encode()
        return None


class BookshopServer:
    """Serves a bookshop on an address of this machine. Port 0 takes any free port."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.shop = Bookshop()
        self._listen = (host, port)
        self._server: WSGIServer | None = None

    @property
    def url(self) -> str:
        """The address at which a crawl starts, without a slash at its end."""
        if self._server is None:
            raise RuntimeError("the bookshop is not open")
        return f"http://{self._listen[0] or '127.0.0.1'}:{self._server.server_port}"

    def start(self) -> None:
        """Open the shop. Raises OSError if the port is taken."""
        server = WSGIServer(_listening(self._listen), self.shop, log=None)
        # Connections inherit this option. Without it the kernel holds back the second part of an
        # answer until the other side's delayed acknowledgement: 40 ms on each kept connection.
        server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.start()
        self._server = server
        log.info("bookshop opens", url=self.url, pages=len(self.shop.pages))

    def stop(self, deadline_s: float = 1.0) -> None:
        """Close the shop. Calling it again changes nothing."""
        if self._server is not None:
            self._server.stop(timeout=deadline_s)
            self._server = None


_NOT_FOUND = Page("", "Not found", status=404, text="We do not have that page.")


def _listening(address: tuple[str, int]) -> socket.socket:
    """A socket that listens at an address. gevent itself leaves it open if the port is taken."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except BaseException:
        listener.close()
        raise
    return listener


def _leads_to(page: Page) -> Iterable[str]:
    if page.location:
        return [canonical(urljoin(page.address, page.location))]
    return [link.target for link in page.links] if page.status == HTTPStatus.OK else []


def _served(page: Page) -> Answer:
    charset = page.charset.header
    headers = _type(f"text/html; charset={charset}" if charset else "text/html")
    if page.location:
        headers.append(("Location", page.location))
    return page.status, headers, render(page)


def _type(content_type: str) -> list[tuple[str, str]]:
    return [("Content-Type", content_type)]

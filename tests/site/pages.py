"""The pages of the test site: each function answers one path."""

from __future__ import annotations

import errno
import gzip
import socket
import struct
from collections.abc import Mapping

import gevent

from tests.site.asked import HTML, Asked, Page, Reply, html
from tests.site.odd import ODD
from tests.site.traps import TRAPS
from tests.site.trouble import TROUBLE


def page(asked: Asked) -> Reply:
    """/page/<anything>: a page without links."""
    return html(asked.path)


def links(asked: Asked) -> Reply:
    """/links?n=5: links to as many pages."""
    return html("links", *(f"/page/{i}" for i in range(int(asked.number("n", 5)))))


def chain(asked: Asked) -> Reply:
    """/chain/3: links to /chain/4, and so on without end."""
    number = int(asked.path.rsplit("/", 1)[1])
    return html(f"chain {number}", f"/chain/{number + 1}")


def status(asked: Asked) -> Reply:
    """/status/500"""
    return html("status", status=int(asked.path.rsplit("/", 1)[1]))


def flaky(asked: Asked) -> Reply:
    """/flaky?fails=2&status=503&after=0: fails so often, then works."""
    if asked.count > asked.number("fails", 1):
        return html("worked at last")
    headers = [HTML]
    if "after" in asked.query:
        headers.append(("Retry-After", asked.query["after"]))
    return Reply(b"not yet", int(asked.number("status", 503)), headers)


def slow(asked: Asked) -> Reply:
    """/slow?s=1: answers after so many seconds."""
    gevent.sleep(asked.number("s", 1))
    return html("slow")


def redirect(asked: Asked) -> Reply:
    """/redirect?n=3 redirects so often; /redirect?to=URL goes there; status=302."""
    left = int(asked.number("n", 1))
    target = asked.query.get("to") or (f"/redirect?n={left - 1}" if left > 1 else "/page/end")
    return Reply(b"", int(asked.number("status", 302)), [HTML, ("Location", target)])


def redirect_loop(asked: Asked) -> Reply:
    """/redirect-loop and /redirect-loop/2 lead to each other."""
    target = "/redirect-loop" if asked.path.endswith("/2") else "/redirect-loop/2"
    return Reply(b"", 302, [HTML, ("Location", target)])


def drop(asked: Asked) -> Reply:
    """/drop: the connection is reset instead of an answer."""
    asked.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    asked.socket.close()
    raise BrokenPipeError(errno.EPIPE, "dropped on purpose")


def truncated(asked: Asked) -> Reply:
    """/truncated: less body than Content-Length says."""
    asked.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<title>trunc")
    asked.socket.shutdown(socket.SHUT_RDWR)
    raise BrokenPipeError(errno.EPIPE, "truncated on purpose")


def charset(asked: Asked) -> Reply:
    """/charset/latin1, gbk, meta, bom, lying-header, none."""
    name = asked.path.rsplit("/", 1)[1]
    content_type, body = CHARSETS[name]
    return Reply(body, 200, [("Content-Type", content_type)])


def big(asked: Asked) -> Reply:
    """/big?bytes=1000000&chunked=1: so large a body, with its length said or not."""
    size = int(asked.number("bytes", 1_000_000))
    if "chunked" not in asked.query:
        return Reply(b"x" * size)
    return Reply(b"x" * 1000 for _ in range(size // 1000))


def gzip_bomb(asked: Asked) -> Reply:
    """/gzip-bomb?bytes=1000000: small on the way, so large when unpacked."""
    body = gzip.compress(b"x" * int(asked.number("bytes", 1_000_000)))
    return Reply(body, 200, [HTML, ("Content-Encoding", "gzip")])


def echo(asked: Asked) -> Reply:
    """/echo: method and body of the request as the title."""
    return html(f"{asked.method} {asked.body.decode()}")


CHARSETS = {
    "latin1": ("text/html; charset=latin1", "<title>café – naïve</title>".encode("cp1252")),
    "gbk": ("text/html; charset=gb2312", "<title>中文網頁</title>".encode("gbk")),
    "meta": ("text/html", '<meta charset="koi8-r"><title>Привет</title>'.encode("koi8-r")),
    "bom": ("text/html; charset=latin1", "\ufeff<title>żółw</title>".encode("utf-16-le")),
    "none": ("text/html", "<title>naïve ☃</title>".encode()),
    "unknown": ("text/html; charset=klingon", b"<title>plain</title>"),
    "broken": ("text/html; charset=utf-8", b"<title>\xff\xfe\x80</title>"),
    "two": ("text/html; charset=latin1; charset=utf-7", b"<title>plain</title>"),
}

PAGES: Mapping[str, Page] = {
    **TROUBLE,
    **TRAPS,
    **ODD,
    "page": page,
    "links": links,
    "chain": chain,
    "status": status,
    "flaky": flaky,
    "slow": slow,
    "redirect": redirect,
    "redirect-loop": redirect_loop,
    "drop": drop,
    "truncated": truncated,
    "charset": charset,
    "big": big,
    "gzip-bomb": gzip_bomb,
    "echo": echo,
}

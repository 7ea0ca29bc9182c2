"""Pages that break the rules of HTTP, or go to the limits of it."""

from __future__ import annotations

import errno
import gzip
import socket
import zlib
from collections.abc import Mapping
from typing import NoReturn

import brotli
import gevent
import zstandard

from tests.site.asked import HTML, Asked, Page, Reply

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


def _ends() -> NoReturn:
    raise BrokenPipeError(errno.EPIPE, "ended on purpose")


def slow_headers(asked: Asked) -> Reply:
    """/slow-headers: a status line, and then nothing for so many seconds."""
    asked.socket.sendall(b"HTTP/1.1 200 OK\r\nX-One: 1\r\n")
    gevent.sleep(asked.number("s", 30))
    _ends()


def slow_body(asked: Asked) -> Reply:
    """/slow-body?s=30: half of a body, and then nothing for so many seconds."""
    asked.socket.sendall(HEAD + b"Content-Length: 100\r\n\r\n<title>slow")
    gevent.sleep(asked.number("s", 30))
    _ends()


def drip(asked: Asked) -> Reply:
    """/drip?every=0.02: a byte now and then, without end."""
    asked.socket.sendall(HEAD + b"\r\n")
    while True:
        asked.socket.sendall(b"x")
        gevent.sleep(asked.number("every", 0.02))


def endless(asked: Asked) -> Reply:
    """/endless: a body without end, as fast as it goes."""
    asked.socket.sendall(HEAD + b"\r\n")
    while True:
        asked.socket.sendall(b"x" * 10_000)


def no_length(asked: Asked) -> Reply:
    """/no-length: a Content-Length that is no number."""
    asked.socket.sendall(HEAD + b"Content-Length: many\r\n\r\n<title>x</title>")
    asked.socket.shutdown(socket.SHUT_RDWR)
    _ends()


def no_http(asked: Asked) -> Reply:
    """/no-http: an answer of another protocol."""
    asked.socket.sendall(b"220 mail.example ready\r\n")
    asked.socket.shutdown(socket.SHUT_RDWR)
    _ends()


def packed(asked: Asked) -> Reply:
    """/packed?coding=gzip&bytes=100: a title in a body of that size, packed."""
    coding = asked.query.get("coding", "gzip")
    body = b"<title>packed</title>".ljust(int(asked.number("bytes", 100)), b"x")
    for layer in coding.split(", "):
        body = PACKERS[layer](body)
    return Reply(body, 200, [HTML, ("Content-Encoding", coding)])


def not_packed(asked: Asked) -> Reply:
    """/not-packed?coding=gzip: says that it is packed, and is not."""
    coding = asked.query.get("coding", "gzip")
    return Reply(b"<title>plain</title>" * 20, 200, [HTML, ("Content-Encoding", coding)])


def _bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "bare-deflate": _bare_deflate,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def typed(asked: Asked) -> Reply:
    """/typed?type=application/pdf&bytes=100: a body of a media type."""
    return Reply(
        b"x" * int(asked.number("bytes", 100)),
        int(asked.number("status", 200)),
        [("Content-Type", asked.query.get("type", "application/pdf"))],
    )


TROUBLE: Mapping[str, Page] = {
    "slow-headers": slow_headers,
    "slow-body": slow_body,
    "drip": drip,
    "endless": endless,
    "no-length": no_length,
    "no-http": no_http,
    "packed": packed,
    "not-packed": not_packed,
    "typed": typed,
}

"""Small proxies: HTTP with and without CONNECT, and SOCKS5; they note what they were asked."""

from __future__ import annotations

import base64
import socket
import ssl
import struct
from typing import Any

import gevent
from gevent.server import StreamServer


class Proxy:
    """Listens on a free port of loopback, over TLS if `tls` is given.

    `login` is `user:password`, if one is asked for. `everywhere` is a port of this machine at which
    all hosts are to be found.
    """

    scheme = "http"

    def __init__(
        self, login: str = "", tls: ssl.SSLContext | None = None, everywhere: int = 0
    ) -> None:
        self.asked: list[str] = []
        self._login = login
        self._everywhere = everywhere
        options = {"ssl_context": tls} if tls else {}
        self.scheme = "https" if tls else self.scheme
        self._server = StreamServer(("127.0.0.1", 0), self._serve, **options)

    def __enter__(self) -> Proxy:
        self._server.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.stop(timeout=0)

    def url(self, login: str = "") -> str:
        return f"{self.scheme}://{login}{'@' if login else ''}127.0.0.1:{self._server.server_port}"

    def _serve(self, client: socket.socket, _: Any) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(65536)
            if not part:
                return
            head += part
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self.asked.append(f"{method} {target}")
        wanted = base64.b64encode(self._login.encode())
        if self._login and b"Basic " + wanted not in head:
            client.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        host = target if method == "CONNECT" else target.split("/")[2]
        with self._connect(host) as upstream:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:  # a request on each connection, so that each is seen
                head = head.replace(f"http://{host}".encode(), b"", 1)
                upstream.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            pump(client, upstream)

    def _connect(self, address: str) -> socket.socket:
        host, _, port = address.rpartition(":")
        if self._everywhere:
            return socket.create_connection(("127.0.0.1", self._everywhere), 5)
        return socket.create_connection((host, int(port)), 5)


class Socks(Proxy):
    """SOCKS5 without a login."""

    scheme = "socks5h"

    def _serve(self, client: socket.socket, _: Any) -> None:
        client.recv(257)
        client.sendall(b"\x05\x00")
        _, _, _, kind = client.recv(4)
        size = client.recv(1)[0] if kind == 3 else 4
        raw = client.recv(size)
        host = raw.decode() if kind == 3 else socket.inet_ntoa(raw)
        [port] = struct.unpack("!H", client.recv(2))
        self.asked.append(f"{host}:{port}")
        try:
            upstream = self._connect(f"{host}:{port}")
        except OSError:
            client.sendall(b"\x05\x05\x00\x01" + b"\0" * 6)
            return
        with upstream:
            client.sendall(b"\x05\x00\x00\x01" + b"\0" * 6)
            pump(client, upstream)


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either end closes."""

    def carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while part := source.recv(65536):
                sink.sendall(part)
        except OSError:
            return
        finally:
            sink.close()

    back = gevent.spawn(carry, other, one)
    carry(one, other)
    back.kill()

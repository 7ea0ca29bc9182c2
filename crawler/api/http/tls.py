"""TLS of an HTTP server, gevent's own or gunicorn's: the certificate may change at any time."""

from __future__ import annotations

import socket
import ssl
from typing import Any, ClassVar

import gevent

from crawler.api.failures import Failure
from crawler.api.http.closing import closing
from crawler.api.tls import Certificates
from crawler.logs import get_logger

log = get_logger(__name__)

HANDSHAKE_S = 5.0
"""How many seconds a new connection has for its handshake."""

HANDSHAKE = b"\x16"
"""The first byte of TLS. No request over HTTP begins with it."""

NO_TLS = "this port speaks TLS: use https:// instead of http://"


class Context:
    """What servers use of an SSLContext. Each connection begins with the newest certificate."""

    of_process: ClassVar[Context | None] = None
    """That of the node of this process, for gunicorn."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        """Return the connection after its handshake. Ends the greenlet of a connection that has
        none: servers would print a traceback."""
        late = gevent.Timeout(HANDSHAKE_S, TimeoutError("no handshake in time"))
        try:
            with late:
                _refuse_plain(sock)
                return self._certificates.context.wrap_socket(sock, **options)
        except (OSError, ValueError) as error:
            log.debug("no TLS connection", error=str(error))
            sock.close()
            raise gevent.GreenletExit from error


def _refuse_plain(sock: socket.socket) -> None:
    """Tell a client that does not speak TLS so. Raises ConnectionError then."""
    first = sock.recv(1, socket.MSG_PEEK)
    if first == HANDSHAKE:
        return
    if first:
        sock.recv(65_536)  # the kernel would drop the answer if something were unread
        sock.sendall(closing("400 Bad Request", Failure("INVALID_ARGUMENT", NO_TLS)))
    raise ConnectionError("the client does not speak TLS")

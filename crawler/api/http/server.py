"""The HTTP server of a node that does not run under gunicorn: gevent's own, around the application.

It accepts a limited number of connections. It closes connections that are silent, or that send or
receive slowly.
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

import gevent
from flask import Flask
from gevent import monkey
from gevent.pool import Pool
from gevent.pywsgi import LoggingLogAdapter, WSGIHandler, WSGIServer

from crawler.api.failures import CODES, Failure, shorten
from crawler.api.http.chunked import ChunkedBody
from crawler.api.http.closing import closing
from crawler.api.http.request_head import Head, NotImplementedHere, check_first_line
from crawler.api.http.tls import Context
from crawler.api.tls import Certificates
from crawler.clock import SystemClock
from crawler.errors import ConfigError
from crawler.metrics import Metrics

MAX_CONNECTIONS = 512
"""How many connections may be open, each with at most one request in flight. Others wait in the
kernel."""

MOST_OF_CLIENT = 256
"""How many of them may come from one address. Further ones are told so, and closed."""

HEAD_S = 5.0
"""How many seconds a connection has to send the headers of its next request, and the rest of a body
that nobody reads. Silent, idle and slow clients then lose their places to others."""

_new_poll = monkey.get_original("select", "poll")
"""It only looks. gevent's would watch each socket, and ends the process at one that is closed."""

TURN_S = 0.01
"""For how many seconds at once a server that stops lets requests be read that have arrived."""

ANSWER_S = 30.0
"""How many seconds a client has to receive an answer, or to send another piece of its request."""


_Serve = Callable[[socket.socket, Any], None]

_OF_CLIENTS = (TimeoutError, ssl.SSLError)
"""Errors of a connection that are no fault of this server: somebody does not read, or ends TLS
where it must not end."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {"INVALID_ARGUMENT": "Bad Request", "UNIMPLEMENTED": "Not Implemented"}


class HttpServer:
    """Serves an application at host:port. Port 0 chooses a free one."""

    def __init__(
        self,
        host: str,
        port: int,
        app: Flask,
        metrics: Metrics | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        faults = LoggingLogAdapter(logging.getLogger("crawler.http"), level=logging.DEBUG)
        self._at = f"{host}:{port}"
        self._clock = SystemClock()
        self._connections = _Connections(MAX_CONNECTIONS)
        self._server = _Server(
            (host, port),
            app,
            log=None,
            error_log=faults,
            spawn=self._connections,
            handler_class=_Handler,
            **({"ssl_context": Context(certificates)} if certificates else {}),
        )
        if metrics is not None:
            metrics.queue("http connections", MAX_CONNECTIONS, lambda: len(self._connections))

    @property
    def port(self) -> int:
        """The port at which it listens, after `start`."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Listen. Raises ConfigError if the address cannot be used."""
        try:
            self._server.init_socket()
        except OSError as error:
            raise ConfigError(
                f"node.http: cannot listen at {self._at}: {error.strerror or error}; "
                "choose another with --http or node.http"
            ) from error
        # Connections inherit this option. Without it the kernel holds back the second part of an
        # answer until the other side's delayed acknowledgement: 40 ms a request on a kept
        # connection.
        self._server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.start()

    def stop(self, deadline_s: float) -> None:
        """Read the requests that have arrived, for at most `deadline_s` seconds. Accept no more,
        and give those in flight `deadline_s` seconds."""
        until_s = self._clock.monotonic() + deadline_s
        while self._has_unread() and self._clock.monotonic() < until_s:
            self._clock.sleep(TURN_S)
        self._server.close()
        self._connections.end_idle()
        self._server.stop(timeout=deadline_s)

    def _has_unread(self) -> bool:
        """Whether something waits in the kernel. To close its socket would reset it, and its client
        could not tell whether anything was done."""
        if self._server.closed:
            return False
        poll = _new_poll()
        for sock in (self._server.socket, *self._connections.idle.values()):
            if sock.fileno() >= 0:  # else its connection has just ended
                poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))


class _Server(WSGIServer):  # type: ignore[misc]
    """Serves so many connections of one address, and no more."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._of_client: Counter[str] = Counter()

    def handle(self, sock: socket.socket, address: Any) -> None:
        """Serve one connection. With TLS it has been counted before its handshake."""
        serve = super().handle
        if self.ssl_enabled:
            serve(sock, address)
        else:
            self._serve_bounded(serve, sock, address)

    def wrap_socket_and_handle(self, sock: socket.socket, address: Any) -> None:
        """Do the handshake of one connection, and serve it."""
        self._serve_bounded(super().wrap_socket_and_handle, sock, address)

    def _serve_bounded(self, serve: _Serve, sock: socket.socket, address: Any) -> None:
        client = str(address[0]) if address else ""
        if self._of_client[client] >= MOST_OF_CLIENT:
            if not self.ssl_enabled:  # else it would cost a handshake to tell
                _refuse(sock, client)
            return
        self._of_client[client] += 1
        try:
            serve(sock, address)
        finally:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]


def _refuse(sock: socket.socket, client: str) -> None:
    """Answer a connection too many, whatever it may ask."""
    told = (
        f"{MOST_OF_CLIENT} connections from {client} are open, the most that one address may have"
    )
    failure = Failure("RESOURCE_EXHAUSTED", f"{told}; close some, or try again in a second")
    with suppress(OSError):
        sock.setblocking(False)  # nobody waits for a client that does not read
        sock.send(closing("429 Too Many Requests", failure, "Retry-After: 1\r\n"))


class _Connections(Pool):  # type: ignore[misc]
    """The greenlets of the connections. It knows which of them wait for a request."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.idle: dict[gevent.Greenlet, socket.socket] = {}

    def end_idle(self) -> None:
        """Close the connections that wait for a request."""
        gevent.killall(list(self.idle))


class _Handler(WSGIHandler):  # type: ignore[misc]
    """Serves one connection, and closes it if the client is too slow."""

    _held: bytearray | None = None
    """The answer while it is put together, else None."""

    def handle(self) -> None:
        """Serve requests one after another until the connection ends."""
        self.socket.settimeout(ANSWER_S)
        self._limit = gevent.Timeout()
        try:
            super().handle()
        except gevent.Timeout as expired:
            if expired is not self._limit:
                raise
        finally:
            self._end_wait()

    def handle_one_request(self) -> Any:
        """Wait for a request and serve it."""
        self.server.pool.idle[gevent.getcurrent()] = self.socket
        self._await_client()
        return super().handle_one_request()

    def read_request(self, raw_requestline: str) -> Any:
        """Read the request line and the headers. Raises ValueError."""
        check_first_line(raw_requestline)
        done = super().read_request(raw_requestline)
        if self.headers.is_chunked and self.request_version == "HTTP/1.0":
            raise ValueError("Transfer-Encoding: HTTP/1.0 does not have it; use HTTP/1.1")
        return done

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        """Return the answer to a request that cannot be read: 400, or 501. The connection ends."""
        self.log_error("%s", f"Invalid request (from {self.client_address}): {ex}")
        code = "UNIMPLEMENTED" if isinstance(ex, NotImplementedHere) else "INVALID_ARGUMENT"
        status = f"{CODES[code][1]} {_REASONS[code]}"
        return status, closing(status, Failure(code, shorten(str(ex))))

    def MessageClass(self, stream: BinaryIO, _: int) -> Head:
        """Read the headers."""
        return Head(stream)

    def get_environ(self) -> Any:
        """End the limit for the headers: they have arrived, and from here on the application
        decides."""
        self._end_wait()
        environ = super().get_environ()
        if self._connection_upgrade_requested():  # gevent loses count of such a body
            self.close_connection = True
        if self.headers.is_chunked:
            self.wsgi_input = environ["wsgi.input"] = self._chunked_body(environ)
        return environ

    def _chunked_body(self, environ: Any) -> ChunkedBody:
        waits = environ.get("HTTP_EXPECT") == "100-continue"
        send = self.socket.sendall
        return ChunkedBody(self.rfile, lambda: send(_CONTINUE) if waits else None)

    def run_application(self) -> None:
        """Answer the request, then read and drop the rest of its body."""
        super().run_application()
        if not self._is_read():
            self._await_client()
        if isinstance(self.wsgi_input, ChunkedBody):
            self._end_body(self.wsgi_input)

    def _end_body(self, body: ChunkedBody) -> None:
        """Read the rest of a chunked body. If that fails, nobody knows where a next request
        begins, and the connection ends."""
        try:
            body._discard()
        except OSError:
            self.close_connection = True
            body.ended = True

    def log_request(self) -> None:
        """Log nothing: the application logs requests, and the error log malformed ones."""

    def _write_with_headers(self, data: bytes) -> None:
        """Send headers and body together: one system call and one packet."""
        self._held = bytearray()
        try:
            super()._write_with_headers(data)
        finally:
            held, self._held = self._held, None
        self._send(held)

    def _send(self, answer: bytearray) -> None:
        """Send an answer. Most fit into the buffer of the kernel: one system call does. gevent's
        `sendall` makes another one before, to see how large that buffer is. Over TLS gevent's
        `send` does not take the time that it is given."""
        if isinstance(self.socket, ssl.SSLSocket):
            super()._sendall(answer)
            return
        try:
            sent = self.socket.send(answer, timeout=0.0)
        except BlockingIOError:
            sent = 0
        self.response_length += sent  # gevent sends no error after a part of an answer
        if sent < len(answer):
            super()._sendall(answer[sent:])

    def _sendall(self, data: bytes) -> None:
        if self._held is None:
            super()._sendall(data)
        else:
            self._held += data

    def handle_error(self, kind: Any, error: Any, trace: Any) -> None:
        """Handle an error, except for one of the client, which is no error of this server."""
        self.close_connection = True
        if error is not self._limit and not isinstance(error, _OF_CLIENTS):
            super().handle_error(kind, error, trace)

    def _is_read(self) -> bool:
        """Whether the whole body was read, if its length was announced."""
        body = self.wsgi_input
        if isinstance(body, ChunkedBody):
            return body.ended
        return not body.chunked_input and body.position >= (body.content_length or 0)

    def _await_client(self) -> None:
        self._limit.close()
        self._limit = gevent.Timeout.start_new(HEAD_S)

    def _end_wait(self) -> None:
        self._limit.close()
        self.server.pool.idle.pop(gevent.getcurrent(), None)

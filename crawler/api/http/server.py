"""The HTTP server of a node that is not behind gunicorn: gevent's own, around the application.

It takes a bounded number of connections, and none keeps its place by saying nothing, or by saying
or taking things slowly.
"""

from __future__ import annotations

import logging
import socket
from typing import Any, BinaryIO

import gevent
from flask import Flask
from gevent.pool import Pool
from gevent.pywsgi import LoggingLogAdapter, WSGIHandler, WSGIServer

from crawler.api.http.request_head import Head
from crawler.errors import ConfigError
from crawler.metrics import Metrics

MAX_CONNECTIONS = 512
"""Connections at a time, each with one request under way at most; more wait in the kernel."""

HEAD_S = 5.0
"""How long a connection may take to send the headers of its next request, and what is left of a
body that nobody wanted: silent, idle and slow clients then leave their places to others."""

ANSWER_S = 30.0
"""How long a client may take to receive an answer, or to send another piece of its request."""


class HttpServer:
    """Serves an application at host:port; port 0 takes a free one."""

    def __init__(self, host: str, port: int, app: Flask, metrics: Metrics | None = None) -> None:
        faults = LoggingLogAdapter(logging.getLogger("crawler.http"), level=logging.DEBUG)
        self._at = f"{host}:{port}"
        self._connections = _Connections(MAX_CONNECTIONS)
        self._server = WSGIServer(
            (host, port),
            app,
            log=None,
            error_log=faults,
            spawn=self._connections,
            handler_class=_Handler,
        )
        if metrics is not None:
            metrics.queue("http connections", MAX_CONNECTIONS, lambda: len(self._connections))

    @property
    def port(self) -> int:
        """The port it listens at, once started."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Listen. Raises ConfigError when the address cannot be had."""
        try:
            self._server.init_socket()
        except OSError as error:
            raise ConfigError(
                f"node.http: cannot listen at {self._at}: {error.strerror or error}; "
                "choose another with --http or node.http"
            ) from error
        # Connections inherit it. Without it the kernel holds back the second part of an answer for
        # the other side's delayed acknowledgement: 40 ms a request on a kept connection.
        self._server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.start()

    def stop(self, deadline_s: float) -> None:
        """Take no more requests, give those under way that long."""
        self._server.close()
        self._connections.end_idle()
        self._server.stop(timeout=deadline_s)


class _Connections(Pool):  # type: ignore[misc]
    """The greenlets of the connections; knows which of them wait for a request."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.idle: set[gevent.Greenlet] = set()

    def end_idle(self) -> None:
        """Close the connections that wait for a request."""
        gevent.killall(list(self.idle))


class _Handler(WSGIHandler):  # type: ignore[misc]
    """Serves one connection; closes it when it takes its time."""

    _held: bytearray | None = None
    """An answer that is being put together."""

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
        """Serve a request; waits for it first."""
        self.server.pool.idle.add(gevent.getcurrent())
        self._await_client()
        return super().handle_one_request()

    def MessageClass(self, stream: BinaryIO, _: int) -> Head:
        """Read the headers."""
        return Head(stream)

    def get_environ(self) -> Any:
        """The headers are there: from here on the application says how long it takes."""
        self._end_wait()
        return super().get_environ()

    def run_application(self) -> None:
        """Have the request answered; then what is left of its body is read, and dropped."""
        super().run_application()
        if not self._is_read():
            self._await_client()

    def log_request(self) -> None:
        """No line for it: the application tells of requests, and the error log of what is none."""

    def _write_with_headers(self, data: bytes) -> None:
        """Send headers and body together: one call of the system and one packet."""
        self._held = bytearray()
        try:
            super()._write_with_headers(data)
        finally:
            held, self._held = self._held, None
        super()._sendall(held)

    def _sendall(self, data: bytes) -> None:
        if self._held is None:
            super()._sendall(data)
        else:
            self._held += data

    def handle_error(self, kind: Any, error: Any, trace: Any) -> None:
        """A client that takes too long is no error of ours."""
        self.close_connection = True
        if error is not self._limit:
            super().handle_error(kind, error, trace)

    def _is_read(self) -> bool:
        """Whether there is nothing left of a body that was announced with its length."""
        body = self.wsgi_input
        return not body.chunked_input and body.position >= (body.content_length or 0)

    def _await_client(self) -> None:
        self._limit.close()
        self._limit = gevent.Timeout.start_new(HEAD_S)

    def _end_wait(self) -> None:
        self._limit.close()
        self.server.pool.idle.discard(gevent.getcurrent())

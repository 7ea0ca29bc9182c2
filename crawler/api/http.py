"""The HTTP server of a node that is not behind gunicorn: gevent's own, around the application."""

from __future__ import annotations

import logging
import socket

from flask import Flask
from gevent.pywsgi import LoggingLogAdapter, WSGIServer

from crawler.errors import ConfigError


class HttpServer:
    """Serves an application at host:port; port 0 takes a free one."""

    def __init__(self, host: str, port: int, app: Flask) -> None:
        access = LoggingLogAdapter(logging.getLogger("crawler.http"), level=logging.DEBUG)
        self._at = f"{host}:{port}"
        self._server = WSGIServer((host, port), app, log=access, error_log=access)

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
        self._server.stop(timeout=deadline_s)

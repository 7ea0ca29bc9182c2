"""A small server that speaks HTTP/2 over TLS; it notes what was asked on which connection."""

from __future__ import annotations

import ssl
from collections import Counter
from typing import Any

import h2.config
import h2.connection
import h2.events
import trustme
from gevent.server import StreamServer


class Http2Site:
    """Every page links to `links` others. An answer waits until `together` were asked for on one
    connection, so that a client that asks one after the other never gets any; the root is given at
    once."""

    def __init__(self, links: int = 0, together: int = 1) -> None:
        self.asked: list[str] = []
        """Paths, in the order of arrival."""
        self.connections = 0
        self.most_at_once: Counter[int] = Counter()
        """Connection → how many requests were open on it at the same time."""
        self._anchors = "".join(f'<a href="/page/{number}">x</a>' for number in range(links))
        self._together = together
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        context.set_alpn_protocols(["h2"])
        self._server = StreamServer(("127.0.0.1", 0), self._serve, ssl_context=context)

    def __enter__(self) -> Http2Site:
        self._server.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.stop(timeout=0)

    def url(self, path: str = "/") -> str:
        return f"https://127.0.0.1:{self._server.server_port}{path}"

    def _serve(self, client: Any, _: Any) -> None:
        self.connections += 1
        number = self.connections
        speaker = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        speaker.initiate_connection()
        waiting: list[int] = []
        while True:
            client.sendall(speaker.data_to_send())
            received = client.recv(65536)
            if not received:
                return
            for event in speaker.receive_data(received):
                if isinstance(event, h2.events.RequestReceived):
                    self._note(dict(event.headers)[b":path"].decode(), event.stream_id, waiting)
            self.most_at_once[number] = max(self.most_at_once[number], len(waiting))
            if self.asked[-1:] == ["/"] or len(waiting) >= self._together:
                self._answer(speaker, waiting)

    def _note(self, path: str, stream: int, waiting: list[int]) -> None:
        self.asked.append(path)
        waiting.append(stream)

    def _answer(self, speaker: h2.connection.H2Connection, waiting: list[int]) -> None:
        body = f"<title>over HTTP/2</title>{self._anchors}".encode()
        for stream in waiting:
            speaker.send_headers(stream, [(":status", "200"), ("content-type", "text/html")])
            speaker.send_data(stream, body, end_stream=True)
        waiting.clear()

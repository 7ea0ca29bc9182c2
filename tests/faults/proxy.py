"""A link between a node and a server that can go bad: what a network does to a connection.

Every fault leaves this machine alone: only bytes that pass through the link are touched. A link is
in the tests' own process, on gevent.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
from collections.abc import Iterable

import gevent
from gevent.event import Event
from gevent.server import StreamServer

CHUNK = 65_536


class Way(enum.Enum):
    """The direction in which bytes go."""

    OUT = "from the node"
    BACK = "to the node"


BOTH = (Way.OUT, Way.BACK)


class Link:
    """Passes bytes to `target` and back; the node is told `endpoint` instead."""

    def __init__(self, target: str) -> None:
        self._target = _address(target)
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._pairs: set[_Pair] = set()
        self._lost: set[Way] = set()
        self._held: list[bytes] = []
        self._open = {way: Event() for way in Way}
        self._refuses = False
        self._latency_s = 0.0
        self._bytes_per_s = 0.0
        self.heal()

    @property
    def endpoint(self) -> str:
        """host:port to give to the node; the same for the link's life."""
        return f"127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self) -> None:
        """Close every connection, and listen no more."""
        self._server.stop(timeout=0.1)
        self._reset(self._pairs)

    # -- what goes wrong ------------------------------------------------------------------------

    def swallow(self, *ways: Way) -> None:
        """A black hole: connections stay and are accepted, bytes that way (or both) vanish."""
        self._lost.update(ways or BOTH)

    def hold(self, *ways: Way) -> None:
        """A long delay: bytes that way (or both) are kept, and delivered when it heals."""
        for way in ways or BOTH:
            self._open[way].clear()

    def holds(self, text: bytes) -> bool:
        """Whether bytes that are kept at present have that text in them."""
        return any(text in data for data in self._held)

    def slow(self, latency_s: float, bytes_per_s: float) -> None:
        """Each piece arrives later by that much, and no more bytes than that in a second."""
        self._latency_s, self._bytes_per_s = latency_s, bytes_per_s

    def forget(self) -> None:
        """Half-open: the server sees the present connections closed, the node does not.

        New connections work, as after a firewall between them was restarted.
        """
        for pair in list(self._pairs):
            pair.forgotten = True
            _reset(pair.server)

    def cut(self) -> None:
        """Connections are reset, the new ones at once."""
        self._refuses = True
        self._reset(self._pairs)

    def heal(self) -> None:
        """All is well from now on. A connection that lost bytes is reset, as TCP would give up."""
        self._lost.clear()
        self._refuses = False
        self._latency_s = self._bytes_per_s = 0.0
        self._reset(pair for pair in self._pairs if pair.damaged or pair.forgotten)
        for event in self._open.values():
            event.set()

    # -- passing bytes on -----------------------------------------------------------------------

    def _serve(self, node: socket.socket, _: object) -> None:
        if self._refuses:
            return _reset(node)
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            return _reset(node)
        server.settimeout(None)
        pair = _Pair(node, server)
        self._pairs.add(pair)
        for end in (node, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = gevent.spawn(self._copy, pair, Way.BACK)
        self._copy(pair, Way.OUT)
        back.join()
        self._pairs.discard(pair)
        for end in (node, server):
            end.close()

    def _copy(self, pair: _Pair, way: Way) -> None:
        source, sink = (pair.node, pair.server) if way is Way.OUT else (pair.server, pair.node)
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._pass(data, pair, way, sink)
        # While bytes vanish the end of a connection does too: the other side hears nothing.
        if pair.forgotten or way in self._lost:
            pair.damaged = True
            return
        self._open[way].wait()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _pass(self, data: bytes, pair: _Pair, way: Way, sink: socket.socket) -> None:
        if self._latency_s:
            gevent.sleep(self._latency_s + len(data) / self._bytes_per_s)
        if not self._open[way].is_set():
            self._held.append(data)
            self._open[way].wait()
            self._held.remove(data)
        if way in self._lost or pair.damaged or pair.forgotten:
            pair.damaged = True
        else:
            sink.sendall(data)

    def _reset(self, pairs: Iterable[_Pair]) -> None:
        for pair in list(pairs):
            _reset(pair.node)
            _reset(pair.server)


class _Pair:
    """The two ends of one connection through the link."""

    def __init__(self, node: socket.socket, server: socket.socket) -> None:
        self.node = node
        self.server = server
        self.damaged = False
        """Bytes of it were lost: what comes after them must not arrive either."""
        self.forgotten = False
        """The server has been told that it ended, the node has not."""


def _reset(end: socket.socket) -> None:
    """Close with RST, whatever is still unsent."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)  # wakes whoever reads from it
    end.close()


def _address(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host, int(port)

"""A link between a node and a server that can go bad: what a network does to a connection.

Every fault leaves this machine alone: only bytes that pass through the link are touched. A link is
in the tests' own process, on gevent.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import time
from collections.abc import Iterable

import gevent
from gevent.event import Event
from gevent.queue import Queue
from gevent.server import StreamServer

from tests.waiting import PATIENCE_S

CHUNK = 65_536
END = (0.0, b"")
"""Stands in a queue where a connection ended."""


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
        self.heal()  # what holds bytes back waits no more
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
        return any(text in pair.on_their_way() for pair in self._pairs)

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
            server = socket.create_connection(self._target, timeout=PATIENCE_S)
        except OSError:
            return _reset(node)
        server.settimeout(None)
        pair = _Pair(node, server)
        self._pairs.add(pair)
        for end in (node, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deliverers = [gevent.spawn(self._deliver, pair, way) for way in Way]
        back = gevent.spawn(self._take, pair, Way.BACK)
        self._take(pair, Way.OUT)
        gevent.joinall([back, *deliverers])
        self._pairs.discard(pair)
        for end in (node, server):
            end.close()

    def _take(self, pair: _Pair, way: Way) -> None:
        """Take in all that comes, at once: what waits waits here, and can be looked at."""
        with contextlib.suppress(OSError):
            while data := pair.ends(way)[0].recv(CHUNK):
                pair.waiting[way].put((time.monotonic(), data))
        pair.waiting[way].put(END)

    def _deliver(self, pair: _Pair, way: Way) -> None:
        sink = pair.ends(way)[1]
        with contextlib.suppress(OSError):
            while pair.waiting[way].peek() is not END:
                taken_s, data = pair.waiting[way].peek()
                self._delay(taken_s, len(data))
                self._open[way].wait()
                if pair.forgotten or pair.damaged or way in self._lost:
                    pair.damaged = True
                else:
                    sink.sendall(data)
                pair.waiting[way].get()
        self._open[way].wait()
        # While bytes vanish the end of a connection does too: the other side hears nothing.
        if pair.forgotten or way in self._lost:
            pair.damaged = True
            return
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _delay(self, taken_s: float, size: int) -> None:
        if self._bytes_per_s:
            gevent.sleep(size / self._bytes_per_s)
        gevent.sleep(max(0.0, taken_s + self._latency_s - time.monotonic()))

    def _reset(self, pairs: Iterable[_Pair]) -> None:
        for pair in list(pairs):
            _reset(pair.node)
            _reset(pair.server)


class _Pair:
    """The two ends of one connection through the link."""

    def __init__(self, node: socket.socket, server: socket.socket) -> None:
        self.node = node
        self.server = server
        self.waiting: dict[Way, Queue] = {way: Queue() for way in Way}
        """Pieces that were taken in and not delivered yet: when, and what."""
        self.damaged = False
        """Bytes of it were lost: what comes after them must not arrive either."""
        self.forgotten = False
        """The server has been told that it ended, the node has not."""

    def ends(self, way: Way) -> tuple[socket.socket, socket.socket]:
        """Where bytes that way come from, and where they go."""
        return (self.node, self.server) if way is Way.OUT else (self.server, self.node)

    def on_their_way(self) -> bytes:
        """All that was taken in and not delivered yet."""
        pieces = [piece for queue in self.waiting.values() for piece in queue.queue]
        return b"".join(data for _, data in pieces)


def _reset(end: socket.socket) -> None:
    """Close with RST, whatever is still unsent."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)  # wakes whoever reads from it
    end.close()


def _address(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host, int(port)

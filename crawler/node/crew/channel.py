"""Messages between a worker and a process that crawls for it.

A message is a length in four bytes, and then its kind and body: as JSON on the way up, because a
process that runs code of spiders is not trusted; pickled on the way down, because both sides are
the same program.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event

from crawler.errors import CrawlerError
from crawler.supervision import OnEnd, Supervisor

MOST_BYTES = 16 * 2**20
"""The largest message. Whoever sends a larger one is not to be understood."""
PATIENCE_S = 5.0
"""The seconds after which it is worth a question that the other side reads nothing."""
_LENGTH = struct.Struct("<I")

Message = tuple[str, Any]


class ChannelBroken(CrawlerError):
    """The other side sends what cannot be read, or does not read."""


class Channel:
    """One side of a connection. Sending never blocks; messages go out in order."""

    def __init__(
        self,
        sock: socket.socket,
        encode: Callable[[Message], bytes],
        decode: Callable[[bytes], Message],
    ) -> None:
        self._socket = sock
        self._encode = encode
        self._decode = decode
        self._waiting: deque[bytes] = deque()
        self._changed = Event()
        self._supervisor = Supervisor("channel")
        self._writer = self._supervisor.spawn("writer", self._write_forever, on_end=OnEnd.LOG)
        self.give_up: Callable[[], bool] = lambda: False
        """Asked when the other side has read nothing for `PATIENCE_S`: whether to send no more."""

    @classmethod
    def down(cls, sock: socket.socket) -> Channel:
        """The worker's side."""
        return cls(sock, pickle.dumps, _from_json)

    @classmethod
    def up(cls, sock: socket.socket) -> Channel:
        """The side of a process that crawls."""
        return cls(sock, _to_json, pickle.loads)

    def send(self, kind: str, body: Any = None) -> None:
        """Send a message, soon."""
        data = self._encode((kind, body))
        self._waiting.append(_LENGTH.pack(len(data)) + data)
        self._changed.set()

    def receive(self) -> Message | None:
        """Wait for the next message; None when the other side has closed. Raises ChannelBroken."""
        head = self._read(_LENGTH.size)
        if head is None:
            return None
        [length] = _LENGTH.unpack(head)
        if length > MOST_BYTES:
            raise ChannelBroken(f"a message of {length} bytes; at most {MOST_BYTES} are allowed")
        data = self._read(length)
        try:
            return None if data is None else self._decode(data)
        except (ValueError, TypeError, RecursionError) as error:
            raise ChannelBroken(f"a message cannot be read: {error}") from error

    def flush(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until all messages so far have gone out."""
        with gevent.Timeout(patience_s, False):
            while self._waiting and not self._writer.dead:
                gevent.sleep(0.001)

    def hear_out(self) -> None:
        """The other side sends nothing more, though something else may hold its end open: what it
        has sent can be received, and then comes the end."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close this side. What has not gone out is lost."""
        self._supervisor.stop(0.1)
        self._socket.close()

    def _write_forever(self) -> None:
        while True:
            self._changed.clear()
            while self._waiting:
                if not self._write(memoryview(self._waiting[0])):
                    return
                self._waiting.popleft()
            self._changed.wait()

    def _write(self, left: memoryview) -> bool:
        """Write a message. Returns whether there is anybody to read more."""
        while left:
            try:
                with gevent.Timeout(PATIENCE_S):
                    left = left[self._socket.send(left) :]
            except gevent.Timeout:
                if self.give_up():
                    return False
            except OSError:
                return False  # the other side is gone, and its reader says so
        return True

    def _read(self, length: int) -> bytes | None:
        parts, left = [], length
        while left:
            try:
                part = self._socket.recv(min(left, 65_536))
            except OSError:
                return None
            if not part:
                return None
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def _to_json(message: Message) -> bytes:
    return json.dumps(message).encode()


def _from_json(data: bytes) -> Message:
    kind, body = json.loads(data)
    if not isinstance(kind, str):
        raise ValueError(f"{kind!r} is not the kind of a message")
    return kind, body

"""What a crawl process prints: its log, and what its spiders print."""

from __future__ import annotations

import contextlib
import os
import sys

import gevent
from gevent.os import make_nonblocking, nb_read

from crawler.redaction import hide, hide_begun
from crawler.supervision import OnEnd, Supervisor

CHUNK_BYTES = 65_536
_ESCAPED = "surrogateescape"
"""So that bytes that are no whole characters stay as they are."""
LONGEST_BYTES = 65_536
"""A line that is longer is told in parts: the hub waits while the secrets in a part are hidden."""


class Output:
    """Passes on whole lines, so that those of several processes do not mix."""

    def __init__(self) -> None:
        self._reads, self.file = os.pipe2(os.O_CLOEXEC)
        make_nonblocking(self._reads)
        self._rest = b""
        self._is_closed = False

    def start(self, supervisor: Supervisor) -> None:
        """The process has its end now. Pass on what it prints."""
        os.close(self.file)
        self.file = -1
        supervisor.spawn("output", self._pass_on, on_end=OnEnd.LOG)

    def drain(self) -> None:
        """Pass on what is left of a process that is gone."""
        while True:
            try:
                data = os.read(self._reads, CHUNK_BYTES)
            except OSError:  # something that its spiders have started holds the other end
                break
            if not data:
                break
            self._take(data)
            gevent.sleep(0)
        if self._rest:
            self._take(b"\n")

    def close(self) -> None:
        """Close both ends."""
        self._is_closed = True
        for file in (self._reads, self.file):
            if file >= 0:
                os.close(file)
        self._reads = self.file = -1

    def _pass_on(self) -> None:
        while not self._is_closed:
            data = nb_read(self._reads, CHUNK_BYTES)
            if not data:
                return
            self._take(data)
            gevent.sleep(0)

    def _take(self, data: bytes) -> None:
        lines, newline, self._rest = (self._rest + data).rpartition(b"\n")
        if newline:
            _print(hide((lines + newline).decode(errors="replace")))
        if len(self._rest) > LONGEST_BYTES:
            part, rest = hide_begun(self._rest.decode(errors=_ESCAPED))
            self._rest = rest.encode(errors=_ESCAPED)
            _print(part.encode(errors=_ESCAPED).decode(errors="replace") + "\n")


def _print(text: str) -> None:
    """Pass on a text without secrets. If nobody takes it (a full disk, a closed pipe), it is lost:
    a process whose output is not read would stand still."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()

"""What a crawl process prints: its log, and what its spiders print."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable

import gevent
from gevent.os import make_nonblocking, nb_read

from crawler.redaction import hide, hide_begun
from crawler.supervision import OnEnd, Supervisor

CHUNK_BYTES = 65_536
_ESCAPED = "surrogateescape"
"""So that bytes that are no whole characters stay as they are."""
MARK = "\x1e"
"""Before and behind the number with which a line of the log begins: that of its run, or 0."""
_MARKED = re.compile(f"{MARK}([0-9]{{1,18}}){MARK}")
LONGEST_BYTES = 65_536
"""A line that is longer is told in parts: the hub waits while the secrets in a part are hidden."""


Shown = Callable[[int | None, str], str]
"""Takes a line and its number: that of its run, 0 for a line of the log of no run, None for
anything else that a process writes."""


class Output:
    """Passes on whole lines, so that those of several processes do not mix."""

    def __init__(self, shown: Shown = lambda number, line: line) -> None:
        """`shown` says how the worker's own log shows a line."""
        self._shown = shown
        self._cut: int | None = None
        """The number of a line whose beginning was passed on."""
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
            self._pass_on_text(hide((lines + newline).decode(errors="replace")))
        if len(self._rest) > LONGEST_BYTES:
            part, rest = hide_begun(self._rest.decode(errors=_ESCAPED))
            self._rest = rest.encode(errors=_ESCAPED)
            self._pass_on_text(part.encode(errors=_ESCAPED).decode(errors="replace") + "\n", True)

    def _pass_on_text(self, text: str, is_cut: bool = False) -> None:
        """Pass on whole lines without secrets. `is_cut` says that the line goes on."""
        number, self._cut = self._cut, None
        shown = []
        for line in text[:-1].split("\n"):
            if begun := _MARKED.match(line):
                number, line = int(begun[1]), line[begun.end() :]
            shown.append(self._shown(number, line))
            self._cut, number = number if is_cut else None, None
        _print("\n".join([*shown, ""]))


def _print(text: str) -> None:
    """Pass on a text without secrets. If nobody takes it (a full disk, a closed pipe), it is lost:
    a process whose output is not read would stand still."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()

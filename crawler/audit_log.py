"""Where the audit goes: to a file of its own or standard output as JSON lines, or to the log.

No request waits for a disk: a native thread writes. If it cannot, requests go on. The log tells
that once, the metrics count it, and what waits is written later.
"""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.model.audit import AuditRecord, told
from crawler.supervision import OnEnd, Supervisor

if TYPE_CHECKING:
    from crawler.metrics import Metrics

log = get_logger(__name__)

STDOUT = "-"
"""The setting that means standard output."""
MOST_WAITING = 10_000
"""How many lines wait for a disk that takes none. Further ones are lost, and counted."""
MOST_BYTES = 65_536
"""About how many bytes are written at once."""
PAUSE_S = 0.02
"""The pause between two writes, so that many lines cost one."""
RETRY_S = 1.0
"""The pause before another attempt, if the file takes nothing."""
LAST_S = 1.0
"""For how long a node that stops waits for its last lines."""


class AuditLog(Protocol):
    """Takes the records of the audit."""

    def check(self) -> None:
        """Raises ConfigError if nothing can be written there."""
        ...

    def start(self, supervisor: Supervisor) -> None:
        """Begin to write."""
        ...

    def write(self, record: AuditRecord) -> None:
        """Take a record, without waiting."""
        ...

    def close(self) -> None:
        """Write what waits, and end."""
        ...


def audit_log(given: str, folder: str, metrics: Metrics) -> AuditLog:
    """Return what the setting `logs.audit` asks for."""
    path = None if given in ("", STDOUT) else Path(folder, given)
    file = AuditFile(path, metrics)  # its numbers are there in any case
    return file if given else OrdinaryLog()


class OrdinaryLog:
    """Writes records to the log of the node, as lines of a logger of their own."""

    def __init__(self) -> None:
        self._log = get_logger("crawler.audit")

    def check(self) -> None:
        """Nothing: the log is there."""

    def start(self, supervisor: Supervisor) -> None:
        """Nothing: each record is written at once."""

    def write(self, record: AuditRecord) -> None:
        """Write a line at level info."""
        fields = told(record)
        del fields["time"]  # the line has one
        self._log.info("audit", **fields)

    def close(self) -> None:
        """Nothing waits."""


class AuditFile:
    """Appends records to a file, one JSON object a line; or to standard output without a path.

    Others may move the file away: the next line makes a new one. Several nodes may share it.
    """

    def __init__(self, path: Path | None, metrics: Metrics) -> None:
        self._path = path
        self._fd = 1 if path is None else -1
        self._lines: deque[bytes] = deque()
        self._begun = b""
        """What is left of the lines whose writing has begun. The rest of a line comes first."""
        self._wake = Event()
        self._thread: ThreadPool | None = None
        self._fails = False
        metrics.queue("audit", MOST_WAITING, lambda: len(self._lines))
        self._on_lost = metrics.refusals("audit").inc
        self._failures = metrics.counter(
            "crawler_audit_failures", "Failed attempts to write to the file of the audit."
        )

    def check(self) -> None:
        """Raises ConfigError if the file cannot be opened."""
        if self._path is None:
            return
        try:
            os.close(_opened(self._path))
        except OSError as error:
            raise ConfigError(
                f"logs.audit: cannot write to {self._path}: {error.strerror}; allowed is a file "
                "in a folder that exists, - for standard output, or nothing for the log"
            ) from None

    def start(self, supervisor: Supervisor) -> None:
        """Begin to write."""
        supervisor.spawn("audit", self._run, on_end=OnEnd.RESTART)

    def write(self, record: AuditRecord) -> None:
        """Take a record, without waiting."""
        if len(self._lines) >= MOST_WAITING:
            self._on_lost()
            return
        self._lines.append(line_of(record))
        self._wake.set()

    def close(self) -> None:
        """Write what waits, if the disk takes it soon, and close the file."""
        if self._thread is None and not self._lines:
            return
        limit = gevent.Timeout(LAST_S)
        try:
            with limit, suppress(OSError):
                self._flush()
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            return  # the thread still uses the file
        if self._thread is not None:
            self._thread.kill()
        if self._path is not None and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            try:
                self._flush()
            except OSError as error:
                self._failed(error)
                gevent.sleep(RETRY_S)
                self._wake.set()
            else:
                self._succeeded()
                gevent.sleep(PAUSE_S)

    def _flush(self) -> None:
        """Write all lines in the native thread. Another call waits until this one has ended."""
        if self._thread is None:
            self._thread = ThreadPool(1)
        self._thread.apply(self._write)

    def _failed(self, error: OSError) -> None:
        self._failures.inc()
        if not self._fails:
            log.error(
                "the audit cannot be written; requests go on, and its lines wait",
                file=str(self._path or STDOUT),
                error=error.strerror or str(error),
                most=MOST_WAITING,
            )
        self._fails = True

    def _succeeded(self) -> None:
        if self._fails:
            log.warning("the audit is written again", file=str(self._path or STDOUT))
        self._fails = False

    def _write(self) -> None:
        """Write until nothing waits. Raises OSError; then nothing is lost."""
        if not self._begun:
            self._follow()
        while self._begun or self._lines:
            if not self._begun:
                self._begun = self._next()
            written = os.write(self._fd, self._begun)
            self._begun = self._begun[written:]

    def _next(self) -> bytes:
        """Take some lines. Only whole ones are given to the system at once, so that a kill cuts
        none off."""
        taken, size = [], 0
        while self._lines and size < MOST_BYTES:
            taken.append(self._lines.popleft())
            size += len(taken[-1])
        return b"".join(taken)

    def _follow(self) -> None:
        """Open the file, also anew if somebody has moved it away."""
        if self._path is None:
            return
        with suppress(FileNotFoundError):
            if self._fd >= 0 and os.path.samestat(os.stat(self._path), os.fstat(self._fd)):
                return
        opened = _opened(self._path)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = opened
        if _is_cut_off(opened):  # of a machine that died while it wrote
            self._begun = b"\n"


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    return os.open(path, flags, 0o640)


def line_of(record: AuditRecord) -> bytes:
    """Return a record as a line of JSON."""
    return json.dumps(told(record), separators=(",", ":")).encode() + b"\n"


def _is_cut_off(fd: int) -> bool:
    """Return whether the last line of a file has no end."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    return os.pread(fd, 1, found.st_size - 1) != b"\n"

"""Collects what the log says of the runs of a worker, and writes it into their files.

Lines come from two sides: those of the worker's own process that name a task, and those that crawl
processes write. They wait in memory for a moment, and a native thread writes them, so neither a
slow disk nor a full one holds anybody up.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore

from crawler.clock import Clock
from crawler.items.names import folder_name
from crawler.logs import JsonFormatter, get_logger
from crawler.model.logs import MOST_BYTES, Passage, Piece, PieceKey
from crawler.model.records import Resource
from crawler.node.run.log_files import LogFiles, LogKey, key_of
from crawler.node.run.naming import id_name
from crawler.node.run.native import called
from crawler.plural import counted
from crawler.redaction import hidden
from crawler.settings.sections import LogSettings
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

WRITE_S = 0.25
"""How often the lines that wait are written."""
MOST_WAITING_BYTES = 16 * 2**20
"""How much may wait. Beyond that lines are left out, and a line says how many."""
COLLECT_S = 600.0
"""How often old files are removed."""
LATE = 1000
"""For so many runs that have ended, the last lines may come later."""
MOST_TEXT = MOST_BYTES // 8
"""How many characters of a line are kept: as JSON, each may take six bytes."""

_Place = tuple[str, str, PieceKey]
"""Where the piece of a run is: the folder of its task, the id in its name, and its key."""


class RunLogs:
    """The logs of the runs of one worker. With an empty folder there are none."""

    def __init__(self, settings: LogSettings, folder: str, clock: Clock) -> None:
        """A relative `settings.folder` begins at `folder`."""
        self._settings = settings
        self._clock = clock
        self._files = LogFiles(Path(folder, settings.folder), settings.run_bytes)
        self._waiting: dict[LogKey, list[bytes]] = {}
        self._waiting_bytes = 0
        self._left_out: dict[LogKey, int] = {}
        self._runs: dict[str, LogKey] = {}
        """The log of each run that goes on, by the name of its task or shard."""
        self._open: dict[_Place, Piece] = {}
        """The pieces of the runs that go on, as they are before their first line."""
        self._ended: OrderedDict[str, LogKey] = OrderedDict()
        """The same of runs that have ended lately."""
        self._handler = _Noting(self)
        self.task_in_callback: Callable[[], str] = str
        """Returns the task whose callback runs now in this process: a line that names no task is
        its own."""
        self._writing = BoundedSemaphore()
        """One writes at a time, so that lines stay in their order."""
        self._is_failing = False

    @property
    def are_kept(self) -> bool:
        """Whether there are any."""
        return bool(self._settings.folder)

    def start(self, supervisor: Supervisor) -> None:
        """Hear the log of this process, and write what waits from time to time."""
        if self.are_kept:
            logging.getLogger().addHandler(self._handler)
            supervisor.spawn("logs of runs", self._write_forever, on_end=OnEnd.RESTART)
            supervisor.spawn("old logs", self._collect_forever, on_end=OnEnd.RESTART)

    def stop(self) -> None:
        """Write what waits, and hear no more."""
        logging.getLogger().removeHandler(self._handler)
        self.write()

    def begin(self, resource: Resource) -> None:
        """Note that a run begins."""
        key = key_of(resource)
        self._ended.pop(resource.name, None)
        self._runs[resource.name] = key
        place = _, id, piece_key = _place_of(resource)
        self._open[place] = Piece(piece_key, id, resource.run, is_open=True)

    def end(self, resource: Resource) -> None:
        """Note that it has ended. A few lines may still come."""
        key = key_of(resource)
        self._open.pop(_place_of(resource), None)
        if self._runs.get(resource.name) == key:
            self._ended[resource.name] = self._runs.pop(resource.name)
        while len(self._ended) > LATE:
            self._files.forget(self._ended.popitem(last=False)[1])

    def has(self, task: str) -> bool:
        """Whether a run of that task, or of that shard, goes on here, or has ended lately."""
        return task in self._runs or task in self._ended

    def note(self, task: str, line: bytes) -> None:
        """Add a line of the run of that task, or of that shard. Any thread may call it."""
        key = self._runs.get(task) or self._ended.get(task)
        if key is not None:
            self._add(key, line)

    def told(self, resource: Resource, line: Mapping[str, Any]) -> None:
        """Add a line that a crawl process has written about a run."""
        self._add(key_of(resource), _line(line))

    def _add(self, key: LogKey, line: bytes) -> None:
        if not self.are_kept:
            return
        if self._waiting_bytes + len(line) > MOST_WAITING_BYTES:
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        self._waiting_bytes += len(line)
        self._waiting.setdefault(key, []).append(line + b"\n")

    def write(self) -> None:
        """Write what waits. Then all is written, also what another greenlet has begun to write."""
        with self._writing:
            self._write_waiting()

    def _write_waiting(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        left_out, self._left_out = self._left_out, {}
        for key, count in left_out.items():
            told = f"{counted(count, 'line')} left out: they came faster than they can be written"
            waiting.setdefault(key, []).append(_line(made(told)) + b"\n")
        if not waiting:
            return
        fault = gevent.get_hub().threadpool.apply(self._write, (waiting,))
        if fault and not self._is_failing:
            log.warning("the logs of runs cannot be written", why=fault)
        self._is_failing = bool(fault)

    def _write(self, waiting: dict[LogKey, list[bytes]]) -> str:
        """Write all of it. Returns why some is lost; empty if none is."""
        fault = ""
        for key, lines in waiting.items():
            try:
                self._files.append(key, lines)
            except OSError as error:
                fault = str(error)
        return fault

    def pieces(self, task: str) -> list[Piece]:
        """Return the pieces of a task's log that are here, by epoch and shard. A run that goes on
        has one from its beginning on, though it has no line yet."""
        if not self.are_kept:
            return []
        self.write()
        folder = folder_name(task)
        found = gevent.get_hub().threadpool.apply(self._files.pieces, (task,))
        pieces = {place: piece for place, piece in self._open.items() if place[0] == folder}
        for each in found:
            place = folder, each.id, each.key
            pieces[place] = replace(each, is_open=place in self._open)
        return sorted(pieces.values(), key=lambda piece: piece.key)

    def read(self, task: str, id: str, key: PieceKey, begin: int) -> Passage:
        """Return whole lines of a piece from that byte on. Raises OSError."""
        is_open = (folder_name(task), id, key) in self._open
        self.write()
        arguments = (task, id, key, begin)
        found: Passage = called(gevent.get_hub().threadpool, self._files.read, *arguments)
        return replace(found, is_open=is_open)

    def _write_forever(self) -> None:
        while True:
            self._clock.sleep(WRITE_S)
            self.write()

    def _collect_forever(self) -> None:
        settings = self._settings
        while True:
            gevent.get_hub().threadpool.apply(
                self._files.collect, (settings.keep_s, settings.total_bytes)
            )
            self._clock.sleep(COLLECT_S)


class _Noting(logging.Handler):
    """Hears the log of this process. A line that names no task of a run here is none of ours."""

    def __init__(self, logs: RunLogs) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        """Add the line to the log of the run."""
        with suppress(Exception):  # it has no text, as the log of the process tells
            task = getattr(record, "fields", {}).get("task") or self._logs.task_in_callback()
            if isinstance(task, str) and self._logs.has(task):
                self._logs.note(task, _bounded(self.format(record)))


def _place_of(resource: Resource) -> _Place:
    key = PieceKey(resource.epoch, resource.spec.shard)
    return folder_name(resource.spec.task), id_name(resource.id), key


def parsed(text: str) -> dict[str, Any]:
    """Return a line of the log. What is none becomes the message of one: a process that runs code
    of spiders may write anything, also a secret with escapes, which stands there only now."""
    if len(text) <= MOST_TEXT:
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            if isinstance(found, dict):
                return hidden(found) if "\\" in text else found
    return made(text)


def made(text: str) -> dict[str, Any]:
    """Return a line of the log with that message. It is cut if it is too long."""
    moment = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return {"level": "INFO", "ts": moment, "logger": "spider", "msg": text[:MOST_TEXT]}


def _bounded(text: str) -> bytes:
    """Return a line of JSON as it is, or cut: one that is too long could not be read."""
    line = text.encode(errors="replace")
    return line if len(line) < MOST_BYTES else _line(made(text))


def _line(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, ensure_ascii=False).encode(errors="replace")

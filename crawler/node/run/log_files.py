"""The files of the logs of runs: `<folder>/<task>/<id>[~<shard>]-<run>-<epoch>.<begin>.log`.

A log is a row of such files. `<begin>` is the byte of the log with which a file begins, so a
position in a log stays the same when its oldest file is dropped. Each line is a JSON object.

Everything here blocks. Call it in a native thread.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from crawler.items.names import folder_name
from crawler.model.logs import MOST_BYTES, Passage, Piece, PieceKey
from crawler.model.records import Resource
from crawler.model.shards import shard_name
from crawler.node.run.naming import id_name, task_folder

FILES = 4
"""How many files a log has when it is full. The oldest is dropped, so it keeps three quarters of
what it may have at least."""
IDLE_S = 60.0
"""A folder that changed within this time is not removed."""
_FILE = re.compile(
    r"(?P<id>[^/]+?)(~(?P<shard>[0-9]{1,9}))?-(?P<run>[0-9]{1,9})-(?P<epoch>[0-9]{1,19})"
    r"\.(?P<begin>[0-9]{1,19})\.log"
)


class LogKey(NamedTuple):
    """Identifies the log of one run."""

    folder: str
    """The name of the folder of its task."""
    stem: str
    """The beginning of the names of its files."""


def key_of(resource: Resource) -> LogKey:
    """Return which log a run of that resource has."""
    named = shard_name(id_name(resource.id), resource.spec.shard)
    folder = task_folder(Path(), resource).name
    return LogKey(folder, f"{named}-{resource.run}-{resource.epoch}")


@dataclass(frozen=True)
class _File:
    path: Path
    piece: Piece
    """The piece, as far as this file has it."""


class LogFiles:
    """The logs of all runs of the workers that share a folder."""

    def __init__(self, folder: Path, run_bytes: int) -> None:
        """A log takes `run_bytes` at most."""
        self._folder = folder
        self._file_bytes = max(1, run_bytes // FILES)
        self._ends: dict[LogKey, tuple[int, int]] = {}
        """By log: the byte with which its last file begins, and how long that is."""

    def append(self, key: LogKey, lines: Sequence[bytes]) -> None:
        """Add lines to a log. Raises OSError: then some of them are lost."""
        folder = self._folder / key.folder
        begin, size = self._ends.get(key) or _begun(folder, key)
        self.forget(key)
        if size and not _path(folder, key, begin).exists():  # it was old, and is removed
            begin, size = begin + size, 0
        left = list(lines)
        while left:
            if size >= self._file_bytes:
                begin, size = begin + size, 0
                _drop_oldest(folder, key)
            taken = _fitting(left, self._file_bytes - size)
            data = b"".join(left[:taken])
            _write(_path(folder, key, begin), data)
            size += len(data)
            del left[:taken]
        self._ends[key] = begin, size

    def forget(self, key: LogKey) -> None:
        """Note that hardly anything more comes to a log."""
        self._ends.pop(key, None)

    def pieces(self, task: str) -> list[Piece]:
        """Return the pieces of the log of a task, by epoch and shard."""
        found: dict[tuple[str, PieceKey], list[_File]] = {}
        for each in _files(self._folder / folder_name(task)):
            found.setdefault((each.piece.id, each.piece.key), []).append(each)
        pieces = (_whole(_ordered(files)) for files in found.values())
        return sorted(pieces, key=lambda piece: piece.key)

    def read(self, task: str, id: str, key: PieceKey, begin: int) -> Passage:
        """Return whole lines of a piece from that byte on, or from the first that is not dropped;
        none at its end. Raises OSError."""
        for each in _ordered(_files(self._folder / folder_name(task))):
            if (each.piece.id, each.piece.key) != (id_name(id), key):
                continue
            at = max(begin, each.piece.begin)
            if data := _lines(each.path, at - each.piece.begin):
                return Passage(data, at, False)
        return Passage(b"", begin, False)

    def collect(self, keep_s: float, total_bytes: int) -> int:
        """Remove the files to which nobody has written for `keep_s`, and the oldest ones beyond
        `total_bytes`. Returns how many."""
        if not self._folder.is_dir():
            return 0
        idle = [each for each in self._folder.iterdir() if _is_idle(each)]
        aged = [found for each in self._all() if (found := _aged(each)) is not None]
        kept, removed, until = 0, 0, time.time() - keep_s
        for changed, size, path in sorted(aged, reverse=True):
            kept += size
            if changed < until or kept > total_bytes:
                path.unlink(missing_ok=True)
                removed += 1
        for folder in idle:  # somebody may be about to write into a new one
            with contextlib.suppress(OSError):  # it is not empty, or no folder
                folder.rmdir()
        return removed

    def _all(self) -> Iterator[Path]:
        for folder in self._folder.iterdir():
            yield from (each.path for each in _files(folder))


def _files(folder: Path, stem: str = "") -> Iterator[_File]:
    """Yield the files of a task, or those of one log."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        found = _FILE.fullmatch(name)
        if found is None or (stem and not name.startswith(f"{stem}.")):
            continue
        key = PieceKey(int(found["epoch"]), int(found["shard"] or 0))
        piece = Piece(key, found["id"], int(found["run"]), int(found["begin"]))
        yield _File(folder / name, piece)


def _begun(folder: Path, key: LogKey) -> tuple[int, int]:
    """Return what the files tell of the end of a log."""
    files = _ordered(_files(folder, key.stem))
    return (files[-1].piece.begin, _size(files[-1].path)) if files else (0, 0)


def _path(folder: Path, key: LogKey, begin: int) -> Path:
    return folder / f"{key.stem}.{begin}.log"


def _drop_oldest(folder: Path, key: LogKey) -> None:
    """Make room for another file of a log."""
    for old in _ordered(_files(folder, key.stem))[: 1 - FILES]:
        old.path.unlink(missing_ok=True)


def _ordered(files: Iterable[_File]) -> list[_File]:
    return sorted(files, key=lambda each: each.piece.begin)


def _whole(files: Sequence[_File]) -> Piece:
    first, last = files[0].piece, files[-1]
    end = last.piece.begin + _size(last.path)
    return Piece(first.key, first.id, first.run, first.begin, end)


def _fitting(lines: Sequence[bytes], room: int) -> int:
    """Return how many lines go into a file with that room: one at least."""
    for number, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            return max(1, number)
    return len(lines)


def _write(path: Path, data: bytes) -> None:
    """Append lines, all of them or none: a part of a line would join the next."""
    number = _opened(path)
    try:
        size = os.fstat(number).st_size
        if os.write(number, data) != len(data):
            os.ftruncate(number, size)
            raise OSError(f"{path}: the disk is full")
    finally:
        os.close(number)


def _opened(path: Path) -> int:
    """Open a file to append to it. Its folder may just have been removed, as it was empty."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags, 0o600)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, flags, 0o600)


def _lines(path: Path, begin: int) -> bytes:
    """Return whole lines of a file from there on: none if it is gone, or if nothing is there."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(begin)
            data = file.read(MOST_BYTES)
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_idle(folder: Path) -> bool:
    """Whether no file was added to a folder, or removed there, for a while."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - folder.stat().st_mtime > IDLE_S
    return False


def _aged(path: Path) -> tuple[float, int, Path] | None:
    """Return when a file was changed, and how long it is; None if it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime, found.st_size, path

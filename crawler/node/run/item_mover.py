"""Moves finished files of items to the place that all workers share (`items.url`).

A file is copied, read again, and noted there; only then it is removed here. Whatever is cut off in
between is done again: until the note the file here counts, and after it the one there, and both at
once are the same file to those who read.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from crawler.folders import sync_folders
from crawler.items.chains import chains
from crawler.items.cloud import CloudItems, Moved, described
from crawler.items.failures import ItemsDamaged
from crawler.items.far import AnyPath
from crawler.items.formats import SQLITE
from crawler.items.names import PART, RUNS, parsed_name

PLACE = ".place"
"""The file that names the folder of items of this machine, for good."""
IDLE_S = 60.0
LOCK = ".moving"
"""The file that one process at a time has locked."""


class Moves(NamedTuple):
    """What came of it."""

    done: int
    """How many files, and folders of Parquet, were moved."""
    others: Sequence[str]
    """The files that stay, because the shared place has others of their names."""


class ItemMover:
    """Moves the files of one folder of items. It blocks: call it in a native thread."""

    def __init__(self, folder: Path, cloud: CloudItems, idle_s: float = IDLE_S) -> None:
        """After `idle_s` seconds without a change it is asked whether a crawl has gone on
        elsewhere."""
        self._folder = folder
        self._cloud = cloud
        self._idle_s = idle_s
        self._asked_s: dict[str, float] = {}
        """When it was asked, by task."""
        self._failing: set[str] = set()
        """The tasks whose files could not be moved."""

    def move_all(self) -> Moves:
        """Move all finished files, unless another process does so. Raises ConfigError, CloudFailed
        and OSError: then the task that failed comes last the next time, so it holds up no other."""
        moves = Moves(0, [])
        for task in sorted(self._tasks(), key=lambda each: each.name in self._failing):
            self._failing.add(task.name)
            if paths := self._finished(task):
                with self._alone() as is_alone:
                    moves = self._move(task, paths, moves) if is_alone else moves
            self._failing.discard(task.name)
        return moves

    def _tasks(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        found = (path for path in self._folder.iterdir() if not path.is_symlink())
        return sorted(path for path in found if path.is_dir())

    def _finished(self, task: Path) -> list[Path]:
        """Return the files of a task to which nobody writes any more: those of crawls that have
        ended, and those of runs with which another run went on that has begun its own."""
        paths = [path for path in task.iterdir() if _is_movable(path)]
        parts = [path for path in paths if path.name.endswith(PART)]
        final = _followed_stems([task]) if parts else frozenset[str]()
        if any(self._is_idle(path) and _stem(path) not in final for path in parts):
            final |= self._followed_elsewhere(task)
        return sorted(
            path for path in paths if not path.name.endswith(PART) or _stem(path) in final
        )

    def _is_idle(self, path: Path) -> bool:
        with suppress(FileNotFoundError):
            return time.time() - path.stat().st_mtime >= self._idle_s
        return False

    def _followed_elsewhere(self, task: Path) -> frozenset[str]:
        """Return the stems with whose runs others went on elsewhere, as the shared place tells. It
        is asked now and then."""
        now_s = time.monotonic()
        if now_s - self._asked_s.get(task.name, -self._idle_s) < self._idle_s:
            return frozenset()
        self._asked_s[task.name] = now_s
        return _followed_stems([task, *self._cloud.shelf(task.name).folders()])

    def _move(self, task: Path, paths: Sequence[Path], before: Moves) -> Moves:
        """Move these files of a task."""
        count, others, place = before.done, [*before.others], self._place()
        told = self._cloud.moved(task.name, place)
        for path in paths:
            if not path.exists():  # it got its name meanwhile, or another worker has moved it
                continue
            parts = _parts(path)
            if any(self._differs(told, task, part) for part in parts):
                others.append(str(path))
                continue
            put = [
                self._cloud.put(task.name, place, _name(task, part), part)
                for part in parts
                if _name(task, part) not in told
            ]
            if put:
                self._cloud.commit(task.name, place, _runs(task), put)
            _remove(path)
            count += 1
        return Moves(count, others)

    def _differs(self, told: dict[str, Moved], task: Path, part: Path) -> bool:
        """Whether the shared place has another file of that name."""
        before = told.get(_name(task, part))
        return before is not None and before != described(before.path, part)

    def _place(self) -> str:
        """Return the name of this folder. It gets one at the first call."""
        path = self._folder / PLACE
        if found := _text(path):
            return found
        made = path.with_name(f"{PLACE}.new")
        with made.open("w") as file:
            file.write(uuid.uuid4().hex)
            file.flush()
            os.fsync(file.fileno())  # after a loss of power an empty one would be another folder
        made.replace(path)
        sync_folders([self._folder])
        return _text(path)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """A context in which no other process moves files of this folder, or which says that one
        does. A process that ends gives it up."""
        number = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield _is_locked(number)
        finally:
            os.close(number)


def _is_locked(number: int) -> bool:
    """Lock a file. Returns whether nobody else had."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_movable(path: Path) -> bool:
    """Whether it is a file of items, or a folder of Parquet. A database does not tell by its name
    that nobody writes to it any more, so it stays."""
    named = parsed_name(path.name)
    return named is not None and named[1] != SQLITE and not path.is_symlink()


def _stem(path: Path) -> str:
    named = parsed_name(path.name)
    return named[0] if named else ""


def _followed_stems(folders: Sequence[AnyPath]) -> frozenset[str]:
    """Return the stems behind which others stand in the same crawl: a run adds to the files of the
    last stem alone, or begins its own."""
    try:
        return frozenset(stem for chain in chains(folders) for stem in chain.stems[:-1])
    except ItemsDamaged:  # those who read the items are told
        return frozenset()


def _parts(path: Path) -> list[Path]:
    """Return the files that make up a finished file."""
    if not path.is_dir():
        return [path]
    return sorted(part for part in path.glob("part-*.parquet") if not part.is_symlink())


def _name(task: Path, part: Path) -> str:
    return str(part.relative_to(task))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def _runs(task: Path) -> bytes:
    try:
        return (task / RUNS).read_bytes()
    except FileNotFoundError:
        return b""


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    sync_folders([path.parent])

"""The files of items of this machine, for callers elsewhere: which there are, and what is in them.

Only files of items and `.runs` are read, and no link is followed: the code of spiders may write
into these folders.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import gevent

from crawler.errors import InvalidArgument, NotFound, shown
from crawler.items.names import PART, RUNS, folder_name, parsed_name
from crawler.model.item_files import MOST_BYTES, ItemFolder
from crawler.node.run.native import called
from crawler.node.run.shared_items import SharedItems

_PLACE = re.compile(r"[0-9a-f]{0,64}")
_INNER = re.compile(r"part-[0-9]{1,9}\.parquet")


class ItemShelf:
    """The folder of the items of all tasks, and the place that all workers share, if there is
    one."""

    def __init__(self, folder: Path, shared: SharedItems | None = None) -> None:
        self._folder = folder
        self._shared = shared

    def listed(self, task: str) -> Sequence[ItemFolder]:
        """Return the files of a task. The worker has no name here. Raises CrawlerError if the
        shared place does not answer."""
        own: ItemFolder = called(gevent.get_hub().threadpool, self._listed, task)
        if self._shared is None:
            return [own]
        moved = self._shared.sizes(folder_name(task))
        return [own, *(ItemFolder("", f"moved:{at}", moved[at], at) for at in moved)]

    def read(self, task: str, path: str, begin: int, moved: str = "") -> bytes:
        """Return bytes of a file from there on; none at its end. `moved` is its folder in the
        shared place. Raises InvalidArgument and NotFound."""
        if not _is_of_items(path) or not _PLACE.fullmatch(moved):
            raise InvalidArgument(
                f"path: {shown(path)} is not allowed; allowed are the files of items of a task, as"
                " they are listed"
            )
        if moved and self._shared is not None:
            return self._shared.read(folder_name(task), moved, path, begin, MOST_BYTES)
        found: bytes = called(gevent.get_hub().threadpool, self._read, task, path, begin)
        return found

    def _listed(self, task: str) -> ItemFolder:
        folder = self._folder / folder_name(task)
        sizes = {str(path.relative_to(folder)): size for path, size in _files(folder)}
        return ItemFolder("", _place(folder), sizes)

    def _read(self, task: str, path: str, begin: int) -> bytes:
        folder = self._folder / folder_name(task)
        for each in (path, path.replace(PART, "")):  # its crawl may have ended meanwhile
            try:
                number = _opened(folder / each, folder)
            except OSError:
                continue
            try:
                if stat.S_ISREG(os.fstat(number).st_mode):
                    return os.pread(number, MOST_BYTES, begin)
            finally:
                os.close(number)
        raise NotFound(f"path: {shown(path)} is not there any more")


def _opened(path: Path, folder: Path) -> int:
    """Open a file of items. Neither it nor the folder of Parquet that has it may be a link. Raises
    OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    if path.parent == folder:
        return os.open(path, flags)
    inside = os.open(path.parent, flags | os.O_DIRECTORY)
    try:
        return os.open(path.name, flags, dir_fd=inside)
    finally:
        os.close(inside)


def _is_of_items(path: str) -> bool:
    outer, _, inner = path.partition("/")
    if "\0" in outer:
        return False
    if outer == RUNS:
        return not inner
    return parsed_name(outer) is not None and (not inner or _INNER.fullmatch(inner) is not None)


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files of a task with their sizes."""
    for each in _entries(folder):
        path = Path(each.path)
        if not _is_of_items(each.name):
            continue
        if each.is_dir(follow_symlinks=False):
            for inner in _entries(path):
                if _INNER.fullmatch(inner.name) and inner.is_file(follow_symlinks=False):
                    yield Path(inner.path), inner.stat(follow_symlinks=False).st_size
        elif each.is_file(follow_symlinks=False):
            yield path, each.stat(follow_symlinks=False).st_size


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _place(folder: Path) -> str:
    """Return what tells a folder from those of other machines: workers of one machine may share
    it."""
    try:
        found = folder.stat()
    except OSError:
        return ""
    return f"{socket.gethostname()}:{found.st_dev}:{found.st_ino}"

"""Files of items that are not on this machine, with as much of a path as their readers need.

    shelf = FarShelf({"w-1": {".runs": 120, "7-1.jsonl": 4096}}, fetch)
    items_in("books", Folders(shelf.folders()))

Nothing is read before somebody asks for it, and a text is read piece by piece.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from crawler.model.item_files import ItemFolder

Fetch = Callable[[str, str, int], Iterator[bytes]]
"""Takes a folder, a path in it, and a byte. Yields the bytes of that file from there on."""


@dataclass(frozen=True)
class _Stat:
    st_size: int


class FarShelf:
    """The folders of one task, each a list of files with their sizes."""

    def __init__(self, folders: Mapping[str, Mapping[str, int]], fetch: Fetch) -> None:
        """`folders` has for each the sizes of its files, by their paths."""
        self.sizes = folders
        self.fetch = fetch

    def folders(self) -> Sequence[FarPath]:
        """Return the folders."""
        return [FarPath(self, name) for name in self.sizes]


def shelf_of(
    folders: Sequence[ItemFolder], read: Callable[[str, str, int, str], Iterator[bytes]]
) -> FarShelf:
    """Return the files that workers have. `read` takes the worker, the path, the byte to begin with
    and the folder in the shared place."""
    of = {each.name: each for each in folders}

    def fetch(name: str, path: str, begin: int) -> Iterator[bytes]:
        return read(of[name].node, path, begin, of[name].moved)

    return FarShelf({name: each.sizes for name, each in of.items()}, fetch)


class FarPath:
    """A path in such a folder, or the folder itself."""

    def __init__(self, shelf: FarShelf, folder: str, path: str = "") -> None:
        self._shelf = shelf
        self._folder = folder
        self._path = path

    def __truediv__(self, name: str) -> FarPath:
        return self._at(f"{self._path}/{name}" if self._path else name)

    def __str__(self) -> str:
        return f"{self._folder}:{self._path}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FarPath) and self._key == other._key

    def __lt__(self, other: FarPath) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def name(self) -> str:
        """The last part."""
        return self._path.rpartition("/")[2]

    def with_name(self, name: str) -> FarPath:
        """Return a path beside this one."""
        before, slash, _ = self._path.rpartition("/")
        return self._at(f"{before}{slash}{name}")

    def resolve(self) -> FarPath:
        """Return this path: there are no links."""
        return self

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return not self._path or any(each.startswith(f"{self._path}/") for each in self._sizes)

    def exists(self) -> bool:
        """Whether it is there."""
        return self._path in self._sizes or self.is_dir()

    def iterdir(self) -> Iterator[FarPath]:
        """Yield what a folder has."""
        begin = f"{self._path}/" if self._path else ""
        below = (each[len(begin) :] for each in self._sizes if each.startswith(begin))
        return (self / name for name in dict.fromkeys(each.split("/")[0] for each in below))

    def glob(self, pattern: str) -> Iterator[FarPath]:
        """Yield what a folder has by that pattern."""
        return (each for each in self.iterdir() if fnmatchcase(each.name, pattern))

    def stat(self) -> _Stat:
        """Return how long a file is. Raises FileNotFoundError."""
        if self._path not in self._sizes:
            raise FileNotFoundError(str(self))
        return _Stat(self._sizes[self._path])

    def read_bytes(self) -> bytes:
        """Return a whole file. Raises FileNotFoundError."""
        if self._path not in self._sizes:
            raise FileNotFoundError(str(self))
        return b"".join(self._fetched())

    def opened(self, begin: int = 0) -> io.RawIOBase:
        """Return the file, to be read from that byte on. The caller closes it."""
        return _FarFile(self._fetched(begin))

    @contextlib.contextmanager
    def here(self) -> Iterator[Path]:
        """Return a copy of the file on this machine, for those who must jump about in it."""
        with tempfile.TemporaryDirectory(prefix="crawler-items-") as folder:
            copy = Path(folder, self.name)
            with copy.open("wb") as file:
                for data in self._fetched():
                    file.write(data)
            yield copy

    @property
    def _sizes(self) -> Mapping[str, int]:
        return self._shelf.sizes[self._folder]

    @property
    def _key(self) -> tuple[str, str]:
        return self._folder, self._path

    def _at(self, path: str) -> FarPath:
        return FarPath(self._shelf, self._folder, path)

    def _fetched(self, begin: int = 0) -> Iterator[bytes]:
        """Yield as much of the file as it had when it was listed: it may grow meanwhile."""
        left = self._sizes.get(self._path, 0) - begin
        if left <= 0:
            return
        fetched = self._shelf.fetch(self._folder, self._path, begin)
        with contextlib.closing(_closable(fetched)):
            for data in fetched:
                yield data[:left]
                left -= len(data)
                if left <= 0:
                    return


class _FarFile(io.RawIOBase):
    """Reads what arrives."""

    def __init__(self, fetched: Iterator[bytes]) -> None:
        self._fetched = fetched
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill as much of the buffer as is there."""
        while not self._rest:
            data = next(self._fetched, None)
            if data is None:
                return 0
            self._rest = memoryview(data)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        """Fetch no more."""
        if not self.closed:
            _closable(self._fetched).close()
        super().close()


def _closable(iterator: Iterator[bytes]) -> Any:
    return iterator if hasattr(iterator, "close") else contextlib.ExitStack()


AnyPath = Path | FarPath
"""Where a file of items is."""


def opened(path: AnyPath, begin: int = 0) -> io.RawIOBase:
    """Return a file, opened to be read from that byte on. The caller closes it."""
    if isinstance(path, FarPath):
        return path.opened(begin)
    file = io.FileIO(path)
    file.seek(begin)
    return file


def length_of(file: io.RawIOBase, path: AnyPath) -> int:
    """Return how long an opened file is."""
    return os.fstat(file.fileno()).st_size if isinstance(file, io.FileIO) else path.stat().st_size


@contextlib.contextmanager
def here(path: AnyPath) -> Iterator[Path]:
    """A context with the file on this machine."""
    if isinstance(path, FarPath):
        with path.here() as copy:
            yield copy
    else:
        yield path

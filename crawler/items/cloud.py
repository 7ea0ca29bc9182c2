"""Finished files of items in a place that all workers share: S3, GCS, or a folder (`items.url`).

    <url>/<task>/<place>/.runs, .moved, <id>-<epoch>.jsonl, …

A `<place>` is the folder of items of one machine. A file counts when `.moved` tells of it, with its
length and its digest: that line is written when all of it is there and was read again. So what a
killed process has left counts for nothing, and comes again.

Everything here blocks. Call it in a native thread. Only this file knows `pyarrow.fs`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from crawler.errors import ConfigError, CrawlerError
from crawler.folders import sync_folders
from crawler.items.far import FarShelf
from crawler.items.names import RUNS

MOVED = ".moved"
"""The file that tells which files of a place count."""
_CHUNK = 2**20
_NEW = ".new"


class CloudFailed(CrawlerError):
    """The shared place does not answer, or has not what it should have."""

    code = "UNAVAILABLE"


class Moved(NamedTuple):
    """A file that counts."""

    path: str
    """In the folder of its place."""
    size: int
    digest: str
    """SHA-256, in hexadecimal digits."""


class CloudItems:
    """The shared place. A task is given by the name of its folder."""

    def __init__(self, url: str) -> None:
        """Nothing is asked yet. Raises ConfigError if what it needs is not installed."""
        if find_spec("pyarrow") is None:
            raise ConfigError(
                "items.url: needs pyarrow; install it: pip install distributed-crawler[cloud]"
            )
        self._url = url

    def shelf(self, task: str) -> FarShelf:
        """Return the files of a task, by place. Raises ConfigError and CloudFailed."""
        return FarShelf(self.sizes(task), self._fetch_of(task))

    def sizes(self, task: str) -> Mapping[str, Mapping[str, int]]:
        """Return the sizes of the files of a task that count, by place and path. Raises ConfigError
        and CloudFailed."""
        folder = self._at(task)
        with self._failing():
            listed = self._listed(folder)
            places = [each.base_name for each in listed if not each.is_file]
        found = {place: self._sizes(task, place) for place in sorted(places)}
        return {place: sizes for place, sizes in found.items() if sizes}

    def _sizes(self, task: str, place: str) -> dict[str, int]:
        sizes = {each.path: each.size for each in self.moved(task, place).values()}
        runs = self._whole(self._at(task, place, RUNS)) if sizes else None
        return sizes if runs is None else {RUNS: len(runs), **sizes}

    def read(self, task: str, place: str, path: str, begin: int, most: int) -> bytes:
        """Return bytes of a file from there on; none at its end, or if it is gone. Raises
        ConfigError and CloudFailed."""
        with self._failing():
            try:
                with self._files.open_input_file(self._at(task, place, path)) as file:
                    file.seek(min(begin, file.size()))
                    return bytes(file.read(most))
            except FileNotFoundError:
                return b""

    def moved(self, task: str, place: str) -> dict[str, Moved]:
        """Return the files of a place that count, by path. Raises ConfigError and CloudFailed."""
        text = self._whole(self._at(task, place, MOVED)) or b""
        try:
            found = [Moved(*json.loads(line)) for line in text.splitlines()]
        except (ValueError, TypeError) as error:
            raise CloudFailed(f"{self._at(task, place, MOVED)}: it is damaged ({error})") from None
        return {each.path: each for each in found}

    def put(self, task: str, place: str, path: str, source: Path) -> Moved:
        """Copy a file, and read it again. It does not count yet. Raises ConfigError, CloudFailed
        and OSError."""
        target = self._at(task, place, path)
        wanted = described(path, source)
        with self._failing():
            self._make_folder(target)
            with source.open("rb") as file, self._files.open_output_stream(target) as out:
                while data := file.read(_CHUNK):
                    out.write(data)
            self._sync(target)
            with self._files.open_input_stream(target) as back:
                found = _described(path, iter(lambda: back.read(_CHUNK), b""))
        if found != wanted:
            raise CloudFailed(
                f"{target}: it has {found.size} bytes, and {wanted.size} were written, or others"
            )
        return wanted

    def commit(self, task: str, place: str, runs: bytes, moved: Iterable[Moved]) -> None:
        """Let files count, with the `.runs` that tells of them. Raises ConfigError and
        CloudFailed."""
        told = {**self.moved(task, place), **{each.path: each for each in moved}}
        text = "".join(f"{json.dumps(each)}\n" for each in told.values())
        self._replace(self._at(task, place, RUNS), runs)
        self._replace(self._at(task, place, MOVED), text.encode())

    def _fetch_of(self, task: str) -> Callable[[str, str, int], Iterator[bytes]]:
        def fetch(place: str, path: str, begin: int) -> Iterator[bytes]:
            while data := self.read(task, place, path, begin, _CHUNK):
                yield data
                begin += len(data)

        return fetch

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the path in it. Raises ConfigError and CloudFailed."""
        from pyarrow import ArrowException, fs

        try:
            files, path = fs.FileSystem.from_uri(self._url)
        except (ArrowException, OSError) as error:
            told = _first_line(error).replace(self._url, "its URL")  # which may have a password
            raise ConfigError(f"items.url: it cannot be used ({told})") from None
        return files, path.rstrip("/")

    @property
    def _files(self) -> Any:
        return self._place[0]

    @property
    def _is_local(self) -> bool:
        return str(self._files.type_name) == "local"

    def _at(self, task: str, *parts: str) -> str:
        return "/".join([self._place[1], task, *parts])

    def _listed(self, folder: str) -> Sequence[Any]:
        from pyarrow import fs

        selector = fs.FileSelector(folder, allow_not_found=True)
        found: Sequence[Any] = self._files.get_file_info(selector)
        return found

    def _make_folder(self, path: str) -> None:
        if self._is_local:  # elsewhere there are no folders
            Path(path).parent.mkdir(parents=True, exist_ok=True)

    def _sync(self, path: str) -> None:
        """Let a file survive a loss of power. Elsewhere files do so when they are written."""
        if self._is_local:
            with Path(path).open("rb") as file:
                os.fsync(file.fileno())
            sync_folders([Path(path).parent, Path(path).parent.parent])

    def _whole(self, path: str) -> bytes | None:
        """Return what a small file has; None if it is not there."""
        with self._failing():
            try:
                with self._files.open_input_stream(path) as file:
                    return bytes(file.read())
            except FileNotFoundError:
                return None

    def _replace(self, path: str, data: bytes) -> None:
        """Write a small file as a whole: S3 and GCS do so by themselves."""
        with self._failing():
            self._make_folder(path)
            if not self._is_local:
                with self._files.open_output_stream(path) as out:
                    out.write(data)
                return
            made = Path(f"{path}{_NEW}")
            with made.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(made, path)
            sync_folders([made.parent])

    @contextmanager
    def _failing(self) -> Iterator[None]:
        self._place  # noqa: B018  (its errors are those of the settings)
        from pyarrow import ArrowException

        try:
            yield
        except (ArrowException, OSError) as error:
            raise CloudFailed(f"items.url: {_first_line(error)}") from error


def described(path: str, source: Path) -> Moved:
    """Return what `.moved` tells of a file of this machine. Raises OSError."""
    with source.open("rb") as file:
        return _described(path, iter(lambda: file.read(_CHUNK), b""))


def _described(path: str, parts: Iterator[bytes]) -> Moved:
    size, digest = 0, hashlib.sha256()
    for data in parts:
        size += len(data)
        digest.update(data)
    return Moved(path, size, digest.hexdigest())


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

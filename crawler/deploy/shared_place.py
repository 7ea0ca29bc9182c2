"""Keeps bundles at a URL that all masters share: S3, GCS or a mounted folder, by pyarrow.fs.

pyarrow is an option of the program, and takes a while to import. So only this module knows it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from crawler.deploy.places import BEGUN, SUFFIX, absent, damaged, write_whole
from crawler.errors import ConfigError, NotFound, Unavailable
from crawler.model.projects import is_digest

_CHUNK = 1 << 20


class SharedPlace:
    """Keeps bundles as files below a URL."""

    def __init__(self, url: str) -> None:
        """Nothing is asked of it yet. Raises ConfigError without pyarrow."""
        if importlib.util.find_spec("pyarrow") is None:
            raise ConfigError(
                "deploy.url: needs pyarrow, which is not here; install it: pip install "
                "'distributed-crawler[parquet]', or leave deploy.url empty"
            )
        self._url = url

    def put(self, digest: str, path: Path) -> None:
        """Write the file under another name first: a copy that is cut off counts for nothing."""
        target = self._path(digest)
        begun = self._below(f"{BEGUN}{uuid.uuid4().hex}")
        with self._told():
            if self._size(target) == path.stat().st_size:
                return  # one that was cut off there is written again
            self._files.create_dir(self._root, recursive=True)
            try:
                if self._copy(path, begun) != digest:
                    raise damaged(digest)
                self._files.move(begun, target)
            except BaseException:
                with suppress(OSError):
                    self._files.delete_file(begun)
                raise

    def fetch(self, digest: str, to: Path) -> None:
        """Copy the bundle, and check its digest on the way."""
        source = self._path(digest)
        with self._told():
            if self._size(source) is None:
                raise NotFound(absent(digest))
            with self._files.open_input_stream(source) as stream:
                write_whole(stream, digest, to)

    def digests(self) -> Collection[str]:
        """Return the digests that files there are named by."""
        from pyarrow.fs import FileSelector

        with self._told():
            found = self._files.get_file_info(FileSelector(self._root, allow_not_found=True))
        names = [each.base_name for each in found if each.base_name.endswith(SUFFIX)]
        return {name.removesuffix(SUFFIX) for name in names if is_digest(name[: -len(SUFFIX)])}

    def remove(self, digest: str) -> None:
        """Remove the file."""
        with self._told(), suppress(FileNotFoundError):
            self._files.delete_file(self._path(digest))

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from pyarrow.fs import FileSystem

        files, root = FileSystem.from_uri(self._url)
        return files, str(root).rstrip("/")

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    def _path(self, digest: str) -> str:
        if not is_digest(digest):
            raise NotFound(absent(digest))
        with self._told():
            return self._below(f"{digest}{SUFFIX}")

    def _below(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _size(self, path: str) -> int | None:
        """Return the bytes of a file; None if there is none."""
        found = self._files.get_file_info(path)
        return int(found.size) if found.is_file else None

    def _copy(self, path: Path, to: str) -> str:
        """Copy a file, and return its digest."""
        seen = hashlib.sha256()
        with path.open("rb") as source, self._files.open_output_stream(to) as target:
            while chunk := source.read(_CHUNK):
                seen.update(chunk)
                target.write(chunk)
        return seen.hexdigest()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what pyarrow raises into errors of ours."""
        try:
            yield
        except (OSError, ValueError, NotImplementedError) as error:
            raise Unavailable(
                f"{self._url}: {error}; bundles are kept there (deploy.url)"
            ) from None

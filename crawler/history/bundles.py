"""Keeps bundles of projects in the database of the history, for all masters.

A native thread makes all calls. SQLAlchemy is imported with the first one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from crawler.deploy.places import absent, damaged, write_whole
from crawler.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from crawler.history.bundle_parts import BundleParts

PART = 1_000_000
"""How many bytes one row has."""


class DatabasePlace:
    """Keeps bundles as rows. A bundle is put in one transaction, so it is whole or not there."""

    def __init__(self, url: str, folder: str) -> None:
        """A relative path of SQLite starts at the folder. Nothing is asked of it yet. Raises
        ConfigError if there is no history."""
        if not url:
            raise ConfigError(
                "deploy.url: 'history' is not allowed without a history; set history.url, or name "
                "another place"
            )
        self._url = url
        self._folder = folder

    def put(self, digest: str, path: Path) -> None:
        """Write the parts of the file."""
        if digest in self.digests():
            return
        seen = hashlib.sha256()

        def rows() -> Iterator[Mapping[str, Any]]:
            with path.open("rb") as file:
                for number, data in enumerate(iter(lambda: file.read(PART), b"")):
                    seen.update(data)
                    yield {"digest": digest, "part": number, "data": data}
            if seen.hexdigest() != digest:
                raise damaged(digest)

        self._parts.put(digest, rows())

    def fetch(self, digest: str, to: Path) -> None:
        """Join the parts, and check their digest on the way."""
        if digest not in self.digests():
            raise NotFound(absent(digest))
        with closing(_Joined(self._parts.of(digest))) as source:
            write_whole(cast(BinaryIO, source), digest, to)

    def digests(self) -> Collection[str]:
        """Return the digests of all bundles."""
        return self._parts.digests()

    def remove(self, digest: str) -> None:
        """Remove the parts."""
        self._parts.remove(digest)

    @cached_property
    def _parts(self) -> BundleParts:
        from crawler.history.bundle_parts import BundleParts

        return BundleParts(self._url, self._folder)


class _Joined:
    """A file of parts: each read returns the next one."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def read(self, size: int = -1) -> bytes:
        """Return the next part, however large; nothing at the end."""
        return next(self._parts, b"")

    def close(self) -> None:
        """Ask for no more parts."""
        cast(Any, self._parts).close()

"""Where bundles are kept. A place holds whole bundles alone, each under its digest.

All methods wait for a disk or a network: call them from native threads.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from crawler.deploy import bundle
from crawler.errors import NotFound, Unavailable
from crawler.folders import make_folder, sync_folders
from crawler.model.projects import SHORT, is_digest

SUFFIX = ".zip"
BEGUN = ".begun-"
"""With this the name of a file begins that is not whole yet."""


class BundlePlace(Protocol):
    """Keeps bundles by their digests."""

    def put(self, digest: str, path: Path) -> None:
        """Keep the bundle in a file. Nothing changes if it is there. Raises Damaged if the file
        has another digest, and Unavailable if the place cannot take it now."""
        ...

    def fetch(self, digest: str, to: Path) -> None:
        """Write a bundle to a file, which is there as a whole or not at all. Raises NotFound;
        Damaged if what the place has is not the bundle; Unavailable."""
        ...

    def digests(self) -> Collection[str]:
        """Return the digests of all bundles. Raises Unavailable."""
        ...

    def remove(self, digest: str) -> None:
        """Remove a bundle. Nothing changes if it is not there. Raises Unavailable."""
        ...


class Damaged(Unavailable):
    """A bundle does not have the digest under which it is kept."""


class FolderPlace:
    """Keeps bundles as the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, digest: str, path: Path) -> None:
        """Copy the file under another name first: a copy that is cut off counts for nothing."""
        target = self._path(digest)
        try:
            if target.exists() and bundle.digest_of(target) == digest:
                return
            changed = make_folder(self._folder)
            with path.open("rb") as source:
                write_whole(source, digest, target)
            sync_folders([self._folder, *changed])
        except OSError as error:
            raise _unavailable(self._folder, error) from None

    def fetch(self, digest: str, to: Path) -> None:
        """Copy the bundle, and check its digest on the way."""
        try:
            with self._path(digest).open("rb") as source:
                write_whole(source, digest, to)
        except FileNotFoundError:
            raise NotFound(absent(digest)) from None
        except OSError as error:
            raise _unavailable(self._folder, error) from None

    def digests(self) -> Collection[str]:
        """Return the digests that files of the folder are named by."""
        try:
            names = [path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}")]
        except OSError as error:
            raise _unavailable(self._folder, error) from None
        return {name for name in names if is_digest(name)}

    def remove(self, digest: str) -> None:
        """Remove the file."""
        try:
            self._path(digest).unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(self._folder, error) from None

    def sweep(self, spared_s: float) -> None:
        """Remove what was begun longer than that many seconds ago, and never ended. Several masters
        of one machine may have the folder, so what is younger may still be written."""
        until_s = time.time() - spared_s
        for path in self._folder.glob(f"{BEGUN}*"):
            with suppress(OSError):
                if path.stat().st_mtime < until_s:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        if not is_digest(digest):
            raise NotFound(absent(digest))
        return self._folder / f"{digest}{SUFFIX}"


def write_whole(source: BinaryIO, digest: str, to: Path) -> None:
    """Write a bundle to a file under another name, and rename it when all of it is there and has
    that digest. Raises Damaged, OSError."""
    seen = hashlib.sha256()
    to.parent.mkdir(parents=True, exist_ok=True)
    number, begun = tempfile.mkstemp(prefix=BEGUN, dir=to.parent)
    try:
        with open(number, "wb") as file:
            shutil.copyfileobj(_Hashed(source, seen), file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        if seen.hexdigest() != digest:
            raise damaged(digest)
        os.replace(begun, to)
    except BaseException:
        with suppress(OSError):
            os.unlink(begun)
        raise


def damaged(digest: str) -> Damaged:
    """Return that bytes are not those of a bundle."""
    return Damaged(
        f"bundle {digest[:SHORT]} is damaged: its bytes have another digest; deploy it again"
    )


def absent(digest: str) -> str:
    """Return that there is no such bundle."""
    return f"no bundle {digest[:SHORT]!r}; `crawler projects` shows what is deployed"


class _Hashed:
    """A file whose bytes are counted into a digest as they are read."""

    def __init__(self, file: BinaryIO, seen: hashlib._Hash) -> None:
        self._file = file
        self._seen = seen

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        chunk = self._file.read(size)
        self._seen.update(chunk)
        return chunk


def _unavailable(folder: Path, error: OSError) -> Unavailable:
    why = error.strerror or str(error)
    return Unavailable(f"{folder}: {why}; bundles are kept there (deploy.folder)")

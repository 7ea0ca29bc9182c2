"""The environments in which bundles run: a virtual environment for each lock, and what is unpacked.

Several workers of one machine may share the folder. One at a time makes an environment, and what it
has not finished counts for nothing. uv copies files into an environment: with links, spider code
that writes to a package would change it in all others, too.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, TypeVar

import gevent

import crawler
from crawler.clock import Clock
from crawler.deploy import bundle
from crawler.deploy.manifest import Manifest
from crawler.deploy.requirements import build
from crawler.errors import Unavailable
from crawler.history import threads
from crawler.model.projects import SHORT
from crawler.node.crew.program import Program, Unusable
from crawler.node.crew.spawner import without_secrets

PYTHON = "{}.{}".format(*sys.version_info[:2])
"""The version for which a lock must be made that is to be installed here."""
WHOLE = "whole"
"""The file that says that an environment is there as a whole."""
LOOK_S = 0.2
"""How often it is looked whether another worker of this machine has made an environment."""
SPARED_S = 3600.0
"""For how long an environment stays that nobody needs."""

R = TypeVar("R")


class Environments:
    """What bundles need to run, in a folder of a worker."""

    def __init__(
        self,
        folder: Path,
        most_mb: int,
        clock: Clock,
        secrets: Collection[str] = (),
        only_wheels: bool = False,
    ) -> None:
        """What builds a package gets no variable of the environment whose value is one of these
        secrets. With `only_wheels` nothing is built."""
        self._folder = folder
        self._most_mb = most_mb
        self._clock = clock
        self._secrets = secrets
        self._only_wheels = only_wheels

    def find(self, digest: str) -> Manifest | None:
        """Return what a bundle says of itself; None if it is not unpacked here."""
        return in_thread(self._find, digest)

    @contextmanager
    def begun(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """A file for a bundle that arrives, which is gone at the end. Raises Unavailable if the
        disk takes no more."""
        folder = self._folder / "unpacked"
        with _told(folder):
            in_thread(partial(folder.mkdir, parents=True, exist_ok=True))
            with in_thread(partial(_begun_in, folder)) as file:
                yield Path(file.name), file

    def unpack(self, digest: str, file: Path) -> Manifest:
        """Unpack the file of a bundle. Raises Unavailable if the disk takes no more, and
        InvalidArgument for what is no bundle."""
        with self._only(self._unpacked(digest)):
            found = in_thread(self._find, digest)
            return found or in_thread(bundle.unpack, file, self._unpacked(digest), self._most_mb)

    def program(self, digest: str, manifest: Manifest) -> Program:
        """Return how an unpacked bundle is run. It has its environment made first if there is none,
        which takes seconds to minutes. Raises Unusable, InvalidArgument with uv's words, and
        Unavailable."""
        lock = in_thread(_read, self._unpacked(digest) / bundle.LOCK)
        python = self._python(lock, manifest.python) if lock else sys.executable
        code = self._unpacked(digest) / "code"
        path = [str(self._engine())] if lock else []
        return Program(
            digest, python, tuple(path), str(code), tuple(manifest.sources), manifest.settings
        )

    def sweep(self, needed: Collection[str]) -> None:
        """Remove the bundles that nobody needs any more, the environments that only they had, and
        what was cut off. It blocks: call it from a native thread."""
        until_s = time.time() - SPARED_S
        locks = set()
        for path in _folders(self._folder / "unpacked"):
            if path.name in needed:
                os.utime(path)  # another worker of this machine may not need it
            if _is_old(path, until_s):
                _remove(path)
            else:
                locks.add(_key(_read(path / bundle.LOCK)))
        for path in _folders(self._folder / "environments"):
            if path.name not in locks and _is_old(path, until_s):
                _remove(path)
        for path in self._folder.glob("*/.*"):
            if _is_old(path, until_s):
                _remove(path)

    def _find(self, digest: str) -> Manifest | None:
        folder = self._unpacked(digest)
        if not (folder / bundle.MANIFEST).is_file():
            return None
        with suppress(OSError):
            os.utime(folder)  # somebody needs it
        return bundle.unpacked_manifest(folder)

    def _python(self, lock: str, version: str) -> str:
        if version != PYTHON:
            raise Unusable(
                f"its requirements were resolved for Python {version}, and this worker has "
                f"{PYTHON}; deploy it from a machine with Python {PYTHON}, or change the worker"
            )
        folder = self._folder / "environments" / _key(lock)
        with self._only(folder) as held:
            if not in_thread((folder / WHOLE).exists):
                in_thread(_cleared, folder)
                env = without_secrets(os.environ, self._secrets)
                # If this worker is killed, uv still holds the folder for as long as it goes on.
                build(lock, folder, env, self._only_wheels, [held])
                in_thread((folder / WHOLE).touch)
            in_thread(os.utime, folder)
        return str(folder / "venv" / "bin" / "python")

    def _engine(self) -> Path:
        """The folder where a process finds the crawler, and no other package of this worker."""
        folder = self._folder / "engine"
        in_thread(_linked, folder, Path(crawler.__file__).parent)
        return folder

    def _unpacked(self, digest: str) -> Path:
        return self._folder / "unpacked" / digest

    @contextmanager
    def _only(self, folder: Path) -> Iterator[int]:
        """Keep all others of this machine from a folder that is being made, as long as the file is
        open that is yielded. Raises Unavailable."""
        with _told(folder):
            in_thread(partial(folder.parent.mkdir, parents=True, exist_ok=True))
            lock = os.open(f"{folder}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                while not _has_locked(lock):
                    self._clock.sleep(LOOK_S)
                yield lock
            finally:
                os.close(lock)


def in_thread(call: Callable[..., R], *values: object) -> R:
    """Call something that waits for a disk, in a native thread."""
    return threads.in_thread(gevent.get_hub().threadpool, partial(call, *values))


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn what the system says of a folder into Unavailable: a full disk may be cleared."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise Unavailable(f"{folder}: {why}; bundles are unpacked there") from None


def _begun_in(folder: Path) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(prefix=".begun-", dir=folder)


def _has_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _key(lock: str) -> str:
    """Names the environment of a lock: another Python or another machine needs another one."""
    text = "\n".join([lock, sys.version, platform.machine(), sys.executable])
    return sha256(text.encode()).hexdigest()[: 2 * SHORT]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _cleared(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _linked(folder: Path, package: Path) -> None:
    """Have a folder with a link to a package."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / package.name
    if link.is_symlink() and link.readlink() == package:
        return
    begun = folder / f".{os.getpid()}"
    begun.unlink(missing_ok=True)
    begun.symlink_to(package)
    os.replace(begun, link)


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.glob("[!.]*") if path.is_dir()]


def _is_old(path: Path, until_s: float) -> bool:
    """Whether nobody has needed something since then. It may be gone already."""
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < until_s
    return False


def _remove(path: Path) -> None:
    """Remove a folder or a file under another name: what is half removed counts for nothing."""
    with suppress(OSError):
        if not path.name.startswith("."):
            path = path.rename(path.with_name(f".removed-{path.name}-{os.getpid()}"))
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()

"""The files of a store in a folder: opening, locking, telling what is wrong with them, removing."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.engine.frontier import seen_file
from crawler.engine.frontier.sealed import BrokenSeal
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.store import StoreDamaged, StoreFailed, StoreInUse
from crawler.folders import matching

if TYPE_CHECKING:
    import sqlite3

NAME = "frontier.db"
ASKED = "asked.bin"
OWNERS = 0o600
"""The mode of the files."""
_FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS run (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS step
    (number INTEGER PRIMARY KEY, is_fold INTEGER, marks BLOB, ended BLOB, starts BLOB);
CREATE TABLE IF NOT EXISTS chunk (first INTEGER PRIMARY KEY, size INTEGER, live BLOB, data BLOB);
CREATE TABLE IF NOT EXISTS later (id INTEGER PRIMARY KEY, due_s REAL, wait_s REAL, data BLOB);
"""
_SEEN_NAME = re.compile(r"seen-[0-9]+\.(bin|part)")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_CORRUPT = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class _Damaged(Exception):
    """A file beside the database is damaged."""


def connected(folder: Path) -> sqlite3.Connection:
    """Open the database of a folder, and lock it. Both may not be there yet."""
    import sqlite3  # most crawls keep nothing

    _prepare_folder(folder)
    path = folder / NAME
    file = _identity(path)
    try:
        database = _locked(path)
    except sqlite3.Error as error:
        if _is_file(path, file):
            raise
        raise _removed(folder) from error
    if not _is_file(path, file):
        database.close()
        raise _removed(folder)
    return database


def _locked(path: Path) -> sqlite3.Connection:
    import sqlite3

    database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        _prepare(database)
    except BaseException:
        database.close()
        raise
    return database


def _is_file(path: Path, file: tuple[int, int] | None) -> bool:
    """Whether that file is still there, under its name."""
    return file is not None and _identity(path) == file


def _removed(folder: Path) -> StoreInUse:
    return StoreInUse(f"{folder} was removed just now by another process; try again")


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; None if there is none. Another process may have removed it meanwhile."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _prepare_folder(folder: Path) -> None:
    """Make the folder. Its files will hold cookies, so only their owner may read them, whoever may
    read the folder. SQLite gives its other files the mode of the first."""
    if folder.exists() and not folder.is_dir():
        raise StoreFailed(f"{folder} is a file; the state of a crawl needs a folder: name another")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # If this process has a file open already, to close it here too would end its lock.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNERS))
        for path in _files(folder):
            path.chmod(OWNERS)
    except (FileNotFoundError, FileExistsError) as error:
        # It went after it was made; or it was there, and went before mkdir saw that it is a folder.
        raise _removed(folder) from error
    except OSError as error:
        raise StoreFailed(
            f"the state of the crawl cannot be kept in {folder}: {error.strerror}; name a folder in"
            " which this user may write"
        ) from error


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA journal_size_limit = 16000000")
    found = database.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, _FORMAT):
        raise StoreFailed(
            f"{NAME} was written by another version of the crawler (format {found}, this one reads"
            f" {_FORMAT}); go on with that version, or begin anew with --anew"
        )
    with transaction(database):
        if not found:  # a file that is there is only read before it is known to be whole
            database.execute(f"PRAGMA user_version = {_FORMAT}")
            for statement in _TABLES.split(";"):
                database.execute(statement)


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Everything in the body, or nothing of it."""
    database.execute("BEGIN EXCLUSIVE")
    try:
        yield
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def is_busy(error: Exception) -> bool:
    """Whether another connection has the lock."""
    return str(getattr(error, "sqlite_errorname", "")).startswith(_BUSY)


def translated(error: Exception, folder: Path) -> Exception:
    """The error for people. A damaged store is put aside."""
    import sqlite3

    name = str(getattr(error, "sqlite_errorname", ""))
    if is_busy(error):
        return StoreInUse(
            f"{folder} is in use by another crawl; wait for its end, or choose another folder"
        )
    if name.startswith(_CORRUPT) or isinstance(error, (_Damaged, BrokenSeal)):
        return _damaged(error, folder)
    if isinstance(error, (sqlite3.Error, OSError)):
        said = f"{type(error).__name__}: {error}"
        return StoreFailed(
            f"the state of the crawl cannot be kept in {folder}: {said}; is there room, and may"
            " this user write there? Nothing is lost: run the same command again to go on"
        )
    return error


def _damaged(error: Exception, folder: Path) -> StoreDamaged:
    file = error.args[0] if isinstance(error, _Damaged) else folder / NAME
    aside = put_aside(folder)
    return StoreDamaged(
        f"{file} is damaged ({error.__cause__ or error}). It was renamed to {aside.name}, and"
        " nothing was overwritten. Put a good copy in its place and remove its .damaged name to go"
        " on, or run the same command again to begin anew"
    )


def put_aside(folder: Path) -> Path:
    """Rename the files of a store. Returns the new name of the database."""
    number = 1
    while matching(folder, f"*.damaged-{number}"):
        number += 1
    for path in _files(folder):
        os.replace(path, path.with_name(f"{path.name}.damaged-{number}"))
    return folder / f"{NAME}.damaged-{number}"


def seen_name(number: int) -> str:
    """The name of the file of the seen set after that step."""
    return f"seen-{number}.bin"


def read_seen(path: Path) -> LoggedSeen:
    """The seen set in a file."""
    try:
        return seen_file.read(path)
    except (OSError, ValueError) as error:
        raise _Damaged(path) from error


def drop_seen(folder: Path, kept: str) -> None:
    """Remove the files of the seen set that nobody needs any more."""
    for path in _seen_files(folder):
        if path.name != kept:
            path.unlink(missing_ok=True)


def remove(database: sqlite3.Connection, folder: Path) -> None:
    """Remove the files of a store, and its folder if that is empty then. The lock holds until the
    database is closed.

    First all is forgotten in one step, so that a kill between two files leaves no half of it. Then
    the WAL is given up: its file is removed by its name when a database is closed, and by then it
    may be that of another process.
    """
    with transaction(database):
        for table in ("run", "step", "chunk", "later"):
            database.execute(f"DELETE FROM {table}")
    database.execute("PRAGMA journal_mode = MEMORY")
    for path in _files(folder):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def discard(folder: Path) -> None:
    """Remove a store without reading it. Raises StoreInUse and StoreFailed."""
    try:
        if not (folder / NAME).exists():
            return
        database = connected(folder)
        try:
            remove(database, folder)
        finally:
            database.close()
    except Exception as error:
        raise translated(error, folder) from error


def size_of(folder: Path) -> int:
    """How many bytes the files of a state take. Any may go meanwhile."""
    size = 0
    for path in _files(folder):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _files(folder: Path) -> list[Path]:
    found = [folder / f"{NAME}{suffix}" for suffix in ("", "-wal", "-shm")]
    found += [folder / ASKED, *_seen_files(folder)]
    return [path for path in found if path.exists()]


def _seen_files(folder: Path) -> list[Path]:
    """The files of the seen set, and those that are not complete. The folder may hold files of the
    user with like names."""
    return [path for path in matching(folder, "seen-*") if _SEEN_NAME.fullmatch(path.name)]

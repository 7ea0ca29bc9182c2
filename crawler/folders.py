"""Folders whose files survive a loss of power."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gevent import monkey

_close = monkey.get_original("os", "close")
"""Closes a folder now. gevent's own (since 25.8.1) waits until the loop of the thread turns. The
loop of a native thread may never turn again: each call would leave a descriptor open for ever."""


def make_folder(folder: Path) -> list[Path]:
    """Create a folder and its parents. Returns those to sync, so that what is in them stays."""
    changed = [folder]
    while not changed[-1].exists():
        changed.append(changed[-1].absolute().parent)
    folder.mkdir(parents=True, exist_ok=True)
    return changed


def matching(folder: Path, pattern: str) -> list[Path]:
    """The paths below a folder that match, sorted, though others remove folders meanwhile. `glob`
    raises when a folder has gone that it has just seen."""
    while True:
        try:
            return sorted(folder.glob(pattern))
        except FileNotFoundError:
            continue  # each time that is another folder


def sync_folders(folders: Iterable[Path]) -> None:
    """Make the names of the files in folders survive a loss of power."""
    for folder in folders:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            _close(number)

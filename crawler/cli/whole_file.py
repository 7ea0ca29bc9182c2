"""Writes a file so that it is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from crawler.folders import sync_folders


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A context with another file beside `target`, which takes its place at the end. What a killed
    process has left of such a file is removed. Raises OSError."""
    for left in target.parent.glob(f".{target.name}.new-*"):
        if not _lives(left.name.rpartition("-")[2]):
            left.unlink(missing_ok=True)
    made = target.with_name(f".{target.name}.new-{os.getpid()}")
    try:
        yield made
        with made.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(made, target)
        sync_folders([target.parent])
    finally:
        made.unlink(missing_ok=True)


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True

"""A real disk that is small, so that a test can fill it: a file system in memory.

Only root may mount; for others, tests that ask for it are skipped and say so.
"""

from __future__ import annotations

import contextlib
import errno
import subprocess
from io import FileIO
from pathlib import Path

import pytest

BLOCK = 4096


class SmallDisk:
    """A few megabytes, mounted on a folder that exists. Everybody may write there."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        options = f"size={megabytes}m,mode=0777"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")

    def fill(self) -> None:
        """Leave no room. What is written from now on fails with ENOSPC."""
        with self._filler.open("ab", buffering=0) as file:
            while _is_taken(file):
                pass

    def make_room(self) -> None:
        """Remove what `fill` has written."""
        self._filler.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmount it, also if a process still has a file open there."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["umount", "-l", str(self.folder)], check=True, timeout=10)


def _is_taken(file: FileIO) -> bool:
    """Whether there was room for a whole block more."""
    try:
        return file.write(bytes(BLOCK)) == BLOCK
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False

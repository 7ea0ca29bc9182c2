"""The program as it was when it was last released, beside the present one.

That is the newest tag of the repository. Before the first one, `tests/data/last-release` names a
commit instead.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def unpack(folder: Path) -> dict[str, str]:
    """Write that program into a folder; the environment in which a node runs it. Skips the test
    where the repository has no such commit, as in a shallow clone or an unpacked archive."""
    archive = _git("archive", "--format=tar", _commit(), "crawler")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    environment = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", "import crawler; print(crawler.__file__)"]
    env = {**os.environ, **environment}
    found = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True).stdout
    assert Path(found.strip()).is_relative_to(folder), "it is that program which runs"
    return environment


def _commit() -> str:
    tag = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0"], cwd=ROOT, capture_output=True, text=True
    )
    named = (ROOT / "tests" / "data" / "last-release").read_text().split()[0]
    return tag.stdout.strip() or named


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"the last release is not in this clone: {done.stderr.decode().strip()}")
    return done.stdout

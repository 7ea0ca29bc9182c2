"""Loads the spiders of a project in a process of its own, before anything is deployed.

A project may do anything when it is imported: it ends, waits for ever, or prints. So it gets a
deadline, and its answer comes in a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crawler
from crawler.errors import InvalidArgument

LOAD_S = 60.0
"""How many seconds a project has to be imported."""
MODULE = "crawler.devtools.project"
"""What loads a project, as a process."""


@dataclass(frozen=True)
class Loaded:
    """What was found in a project."""

    spiders: Sequence[str]
    sources: Sequence[Any]
    settings: Mapping[str, Any]
    described: Mapping[str, Any]
    """What the classes of the spiders show, by name: `SpiderAbout` as JSON."""


def loaded(folder: Path, python: str = sys.executable, most_s: float = LOAD_S) -> Loaded:
    """Load the spiders of a folder. Raises InvalidArgument with the traceback if that fails."""
    with tempfile.TemporaryDirectory(prefix="crawler-check-") as answers:
        answer = Path(answers, "answer.json")
        command = [python, "-P", "-m", MODULE, str(folder.resolve()), str(answer)]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=most_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InvalidArgument(
                f"{folder}: its spiders were not imported within {most_s:g} s; let a module do its "
                "work in a spider, not when it is imported"
            ) from None
        if done.returncode or not answer.exists():
            told = done.stderr.strip()[-20_000:] or f"the process ended with {done.returncode}"
            raise InvalidArgument(f"{folder}: its spiders cannot be loaded:\n{told}")
        return Loaded(**json.loads(answer.read_text(encoding="utf-8")))


def _environment() -> dict[str, str]:
    """The environment of the process: it finds this very crawler, whatever its interpreter has."""
    own = str(Path(crawler.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": own, "PYTHONDONTWRITEBYTECODE": "1"}

"""How the folders and files of items are called: `<task>/<id>-<epoch>.<format>`.

While its crawl goes on, a file's name ends in `.part`. A folder tells in `.runs` which files
belong together.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from crawler.items.formats import BEST_FIRST, SQLITE

RUNS = ".runs"
"""The file in a task's folder that has a line for each run."""
PART = ".part"
FAILED, DELETED, STOPPED = "failed", "deleted", "stopped"
"""How a crawl ended that was not done, as `.runs` tells it."""
LONGEST_FOLDER = 150
"""How many bytes of a task's name go into a folder's name; file systems allow 255."""

_SUFFIXES = {format: "db" if format == SQLITE else format for format in BEST_FIRST}
_FORMATS = {suffix: format for format, suffix in _SUFFIXES.items()}
_STEM = re.compile(r"(?P<id>[^/]+)-(?P<epoch>[0-9]{1,19})")
_NAME = re.compile(
    rf"(?P<stem>{_STEM.pattern})\.(?P<suffix>{'|'.join(map(re.escape, _FORMATS))})(\{PART})?"
)


class Stem(NamedTuple):
    """What the name of a file says before its format: the run that began the file."""

    id: str
    """The task's id, as it stands in names."""
    epoch: int


def folder_name(task: str) -> str:
    """Return a task's name, or id, as a name that any file system accepts."""
    name = quote(task, safe=" +,=@()")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    return name[:LONGEST_FOLDER]


def parsed_stem(stem: str) -> Stem | None:
    """What a stem says, or None if it is none."""
    found = _STEM.fullmatch(stem)
    return Stem(found["id"], int(found["epoch"])) if found else None


def parsed_name(name: str) -> tuple[str, str] | None:
    """The stem and the format in a file's name, or None for a file of another kind."""
    found = _NAME.fullmatch(name)
    return (found["stem"], _FORMATS[found["suffix"]]) if found else None


def file_name(stem: str, format: str) -> str:
    """The name of the file of a crawl that has ended."""
    return f"{stem}.{_SUFFIXES[format]}"

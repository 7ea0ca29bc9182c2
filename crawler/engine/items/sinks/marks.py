"""What the files of items share when a crawl goes on at their marks.

Nothing is destroyed that somebody else may have written: what is cut off is kept beside the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from crawler.logs import get_logger

log = get_logger(__name__)

SHARED = "shared"
"""The mark of a file to which somebody else writes too. Nothing is cut off from it."""

_AT_LEAST = "at_least"
Mark: TypeAlias = Any
"""How far a file goes, in JSON: what its writer says, SHARED, or None if nothing is known. Or one
of these in `at_least`."""


def at_least(mark: Mark) -> Mark:
    """The mark after a stop in order: what lies beyond it stays."""
    return mark if isinstance(mark, dict) else {_AT_LEAST: mark}


def parsed(mark: Mark) -> tuple[Mark, bool]:
    """What a writer said, and whether all that lies beyond stays."""
    return (mark[_AT_LEAST], True) if isinstance(mark, dict) else (mark, False)


def name_of(path: Path) -> str:
    """The name of a file in the marks, from wherever the crawl is started."""
    return str(path.absolute())


def refuse_to_empty(path: Path, marks: Mapping[str, Any]) -> None:
    """Raise OSError: a crawl that goes on keeps what lies where it has not written before."""
    raise OSError(
        f"{path} is not empty, and the crawl that goes on wrote to {', '.join(sorted(marks))}: "
        "-O would remove what is there. If it is the same file, move it back there, or append to "
        "it with -o; if not, move it away. Or begin the crawl anew with --anew"
    )


def kept_beside(path: Path) -> Path:
    """A name that is free, for what is cut off from a file."""
    number = 1
    while (free := path.with_name(f"{path.name}.cut-{number}")).exists():
        number += 1
    return free


def tell_cut(path: Path, size: int, kept: Path) -> None:
    """Log that so many bytes are cut off."""
    log.warning(
        "what a file of items has beyond its last whole record, or since the last checkpoint, is"
        " cut off and kept in another file",
        file=str(path),
        cut_bytes=size,
        kept=str(kept),
    )


def tell_short(path: Path, **missing: int) -> None:
    """Log that a file has less than its mark says."""
    log.warning(
        "a file of items is shorter than the crawl left it; what is missing is not fetched again",
        file=str(path),
        **missing,
    )

"""Tells what is in a bundle, and how two bundles differ.

All of it waits for a disk and computes: call it from native threads. A bundle may hold anything, so
what is told of it is bounded.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path

from crawler.deploy.bundle import LOCK, lock_in, opened
from crawler.model.projects import BundleFile, Comparison, FileChange, PackageChange

MOST_TOLD = 2_000
"""How many files are told of."""
MOST_TEXT = 100_000
"""Of how many bytes a file is compared line by line."""
MOST_LINES = 2_000
"""Of how many lines. To compare more takes too long."""
MOST_DIFF = 200_000
"""How many bytes the text of all differences together may have."""

NO_TEXT = "no text"
TOO_LARGE = "too large to be compared line by line"
TOO_MUCH = "left out, because the differences before it are long"

_NO_NEWLINE = "\n\\ No newline at end of file\n"
_CHUNK = 1 << 20


def files_in(path: Path) -> tuple[BundleFile, ...]:
    """Return the files in a bundle by name. Raises InvalidArgument."""
    with opened(path) as archive:
        members = sorted(archive.infolist(), key=lambda each: each.filename)
        return tuple(BundleFile(each.filename, each.file_size) for each in members)


def compared(before: Path, after: Path) -> Comparison:
    """Return what is different in the bundle `after`. Raises InvalidArgument."""
    with opened(before) as old, opened(after) as new:
        changes = list(_changes(old, new))
    told = tuple(changes[:MOST_TOLD])
    return Comparison(told, len(changes), tuple(_packages(lock_in(before), lock_in(after))))


def _changes(old: zipfile.ZipFile, new: zipfile.ZipFile) -> Iterator[FileChange]:
    olds, news = _members(old), _members(new)
    left = MOST_DIFF
    for name in sorted(olds.keys() | news.keys()):
        one, other = olds.get(name), news.get(name)
        if one is not None and other is not None and _same(old, one, new, other):
            continue
        diff, note = _diff(name, _content(old, one), _content(new, other))
        size = len(diff.encode())
        if size > left:
            diff, note, size = "", TOO_MUCH, 0
        left -= size
        yield FileChange(name, _size(one), _size(other), diff, note)


def _size(member: zipfile.ZipInfo | None) -> int | None:
    return None if member is None else member.file_size


def _members(archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    """Return the files of a bundle by name, without its lock: packages are compared instead."""
    return {each.filename: each for each in archive.infolist() if each.filename != LOCK}


def _same(
    old: zipfile.ZipFile, one: zipfile.ZipInfo, new: zipfile.ZipFile, other: zipfile.ZipInfo
) -> bool:
    """Return whether two files are equal. An equal CRC says nothing: somebody may have made it
    so."""
    if (one.CRC, one.file_size) != (other.CRC, other.file_size):
        return False
    with old.open(one) as first, new.open(other) as second:
        while chunk := first.read(_CHUNK):
            if chunk != second.read(_CHUNK):
                return False
    return True


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo | None) -> bytes | None:
    """Return what a file holds, nothing if it is not there, and None if it is too large."""
    if member is None:
        return b""
    with archive.open(member) as file:
        content = file.read(MOST_TEXT + 1)
    return None if len(content) > MOST_TEXT or content.count(b"\n") > MOST_LINES else content


def _diff(name: str, before: bytes | None, after: bytes | None) -> tuple[str, str]:
    """Return the lines that differ, or else why they are not told."""
    if before is None or after is None:
        return "", TOO_LARGE
    try:
        one, other = _lines(before), _lines(after)
    except UnicodeDecodeError:
        return "", NO_TEXT
    return "".join(unified_diff(one, other, f"before/{name}", f"after/{name}")), ""


def _lines(content: bytes) -> list[str]:
    """Return the lines of a text. Raises UnicodeDecodeError for what is none."""
    if b"\0" in content:
        raise UnicodeDecodeError("utf-8", content, 0, 1, "it has a NUL")
    lines = content.decode().split("\n")
    ended, last = [f"{line}\n" for line in lines[:-1]], lines[-1]
    return [*ended, f"{last}{_NO_NEWLINE}"] if last else ended


def _packages(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[PackageChange]:
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name, ""), after.get(name, "")
        if one != other:
            yield PackageChange(name, one, other)

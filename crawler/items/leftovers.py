"""Finds files of items that nobody will end: those of crawls that were dropped before their end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import unquote

from crawler.items.crawls import Folders, size_of
from crawler.items.failures import ItemsDamaged


class Leftover(NamedTuple):
    """A file whose name still ends in `.part`, of a crawl that no longer counts."""

    task: str
    path: Path

    @property
    def bytes(self) -> int:
        """How long it is."""
        return size_of(self.path)


def leftovers(items: Path) -> Iterator[Leftover]:
    """All of them in the folder of items of a machine.

    A file of the last crawl that this machine knows is none: the crawl may go on, or have ended on
    another machine, and then a part of the file counts. Nor is any file of a task whose `.runs`
    cannot be read.
    """
    tasks = sorted(path for path in items.iterdir() if path.is_dir()) if items.is_dir() else ()
    for task in tasks:
        folders = Folders([task])
        try:
            crawls = folders.crawls()
        except ItemsDamaged:
            continue
        counts = crawls[-1].stems if crawls else ()
        for path in folders.parts_without(counts):
            yield Leftover(unquote(task.name), cast(Path, path))

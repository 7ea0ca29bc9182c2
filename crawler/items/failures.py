"""What can be wrong with files of items."""

from __future__ import annotations

from crawler.errors import CrawlerError
from crawler.items.far import AnyPath


class ItemsDamaged(CrawlerError):
    """A file of items is damaged. The message names the file, the line if it has lines, and what is
    wrong."""

    def __init__(self, path: AnyPath, why: str, line: int = 0) -> None:
        place = f"{path}, line {line}" if line else str(path)
        super().__init__(
            f"{place}: {why}; take the file from a copy, or read another format with --from"
        )


class ItemsMissing(CrawlerError):
    """A file of a crawl is in none of the folders. The message names it."""

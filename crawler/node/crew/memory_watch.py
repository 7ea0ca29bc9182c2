"""Keeps crawl processes within the memory that they may have."""

from __future__ import annotations

from collections.abc import Callable

from crawler.logs import get_logger
from crawler.node.crew.process import CrawlProcess

log = get_logger(__name__)

MOST_HARD = 1.5
"""A process with so many times the memory that it may have is killed."""


class MemoryWatch:
    """Looks at one process after the other, again and again."""

    def __init__(self, most: int, retire: Callable[[CrawlProcess, str], None]) -> None:
        """With more than `most` bytes a process is retired: it takes no more runs, and ends when it
        has none. 0 means that there is no limit."""
        self._most = most
        self._retire = retire

    def look(self, process: CrawlProcess) -> None:
        """Look at what a process takes now."""
        most = self._most
        used = process.memory() if most else 0
        if used > most * MOST_HARD:
            only = process.only
            process.is_suspicious = only is None
            process.cause = "memory"
            why = f"it takes {used} bytes, more than {MOST_HARD:g} times worker.process_memory"
            log.error("a crawl process is killed", pid=process.pid, why=why)
            process.kill(why, 0 if only is None else only.number)
        elif used > most and process.is_serving and not process.group:
            log.warning("a crawl process takes no more tasks", pid=process.pid, bytes=used)
            self._retire(process, "memory")

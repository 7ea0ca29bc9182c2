"""The finished items of a worker in the place that all workers share: moved there, read from there.

All of it happens in native threads of its own: a place that does not answer may hold one for a
minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gevent.threadpool import ThreadPool

from crawler.clock import Clock
from crawler.errors import CrawlerError
from crawler.items.cloud import CloudItems
from crawler.logs import get_logger
from crawler.node.run.item_mover import ItemMover
from crawler.node.run.native import called
from crawler.supervision import OnEnd, Supervisor, run_aside

log = get_logger(__name__)

MOVE_S = 5.0
"""How often it is looked for finished files."""
THREADS = 8
STOP_S = 2.0
"""How long a worker that stops waits for them."""


class SharedItems:
    """The shared place, as a worker uses it."""

    def __init__(self, folder: Path, url: str, clock: Clock) -> None:
        """`folder` has the items of all tasks. Raises ConfigError."""
        self._cloud = CloudItems(url)
        self._mover = ItemMover(folder, self._cloud)
        self._clock = clock
        self._threads = ThreadPool(THREADS)
        self._fault = ""
        self._others: set[str] = set()
        """The files of which the shared place has others of the same name."""

    def start(self, supervisor: Supervisor) -> None:
        """Move finished files from time to time."""
        supervisor.spawn("moving items", self._move_forever, on_end=OnEnd.RESTART)

    def stop(self) -> None:
        """Let the threads end. One that waits for a silent place ends with this process: what it
        does may be cut off anywhere."""
        run_aside("threads of shared items", self._threads.kill, STOP_S)

    def sizes(self, task: str) -> Mapping[str, Mapping[str, int]]:
        """Return the sizes of the files of a task, by folder and path. Raises CrawlerError."""
        found: Mapping[str, Mapping[str, int]] = called(self._threads, self._cloud.sizes, task)
        return found

    def read(self, task: str, place: str, path: str, begin: int, most: int) -> bytes:
        """Return bytes of a file; none at its end. Raises CrawlerError."""
        found: bytes = called(self._threads, self._cloud.read, task, place, path, begin, most)
        return found

    def _move_forever(self) -> None:
        while True:
            self._move()
            self._clock.sleep(MOVE_S)

    def _move(self) -> None:
        """Move what is finished. What fails is tried again, and told once."""
        try:
            moved = called(self._threads, self._mover.move_all)
        except (CrawlerError, OSError) as error:
            if str(error) != self._fault:
                log.error("finished items cannot be moved; they stay here", why=str(error))
            self._fault = str(error)
            return
        self._fault = ""
        if moved.done:
            log.info("finished items moved", files=moved.done)
        for path in set(moved.others) - self._others:
            log.error("a file is not moved: items.url has another of its name", file=path)
        self._others = set(moved.others)

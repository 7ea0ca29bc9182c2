"""How a master asks workers for what they keep of a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from gevent.pool import Pool

from crawler.api.backend import Backend, Call, NodeLoad
from crawler.errors import CrawlerError
from crawler.model.item_files import ItemFolder
from crawler.model.logs import Passage, Piece, PieceKey

ASKED_S = 3.0
"""How long a worker has to answer."""
AT_ONCE = 32
"""How many workers are asked at the same time."""
WORKER = "worker"

Answer = TypeVar("Answer")


class WorkerClient(Protocol):
    """A client of a worker."""

    def log_pieces(self, name: str, call: Call) -> Sequence[Piece]:
        """Return the pieces of a task's log that the worker has. Raises whatever calls raise."""
        ...

    def log_passage(self, name: str, id: str, key: PieceKey, begin: int, call: Call) -> Passage:
        """Return whole lines of a piece from that byte on. Raises whatever calls raise."""
        ...

    def item_folders(self, name: str, call: Call) -> Sequence[ItemFolder]:
        """Return the files of items of a task. Raises whatever calls raise."""
        ...

    def item_passage(self, name: str, path: str, begin: int, call: Call, moved: str = "") -> bytes:
        """Return bytes of a file; none at its end. Raises whatever calls raise."""
        ...

    def close(self) -> None:
        """Close the channel."""
        ...


Reach = Callable[[str], WorkerClient]
"""Returns a client of the worker at that address."""


def brief(call: Call) -> Call:
    """Return how one of many calls is made for a caller."""
    return Call(min(ASKED_S, call.timeout_s), caller=call.caller)


def workers_of(backend: Callable[[Call], Backend], call: Call) -> Sequence[NodeLoad]:
    """Return the live workers. Raises whatever calls raise."""
    return [each for each in backend(call).nodes(call) if each.role == WORKER]


def ask_all(
    workers: Sequence[NodeLoad], ask: Callable[[NodeLoad], Answer]
) -> tuple[list[tuple[NodeLoad, Answer]], list[tuple[NodeLoad, str]]]:
    """Ask these workers. Return the answers, and the workers that do not answer, with why."""
    found: list[tuple[NodeLoad, Answer]] = []
    silent: list[tuple[NodeLoad, str]] = []

    def once(worker: NodeLoad) -> None:
        try:
            found.append((worker, ask(worker)))
        except CrawlerError as error:
            silent.append((worker, str(error)))

    pool = Pool(AT_ONCE)
    for worker in workers:
        pool.spawn(once, worker)
    pool.join()
    return found, silent

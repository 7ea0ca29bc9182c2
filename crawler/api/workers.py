"""How a master asks workers for what they keep of a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from gevent.pool import Pool

from crawler.api.backend import Backend, Call, NodeLoad
from crawler.errors import CrawlerError
from crawler.model.item_files import ItemFolder
from crawler.model.logs import Passage, Piece, PieceKey
from crawler.model.processes import ProcessLoad
from crawler.model.records import Query, Resource
from crawler.model.shards import MAX_WORKERS, is_sharded
from crawler.model.spiders import OfferedSpider
from crawler.model.statistics import Statistics

ASKED_S = 3.0
"""How long a worker has to answer."""
AT_ONCE = 32
"""How many workers are asked at the same time."""
WORKER = "worker"

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class WorkerClient(Protocol):
    """A client of a worker."""

    def processes(self, call: Call) -> Sequence[ProcessLoad]:
        """Return what each crawl process does. Raises whatever calls raise."""
        ...

    def log_pieces(self, name: str, call: Call) -> Sequence[Piece]:
        """Return the pieces of a task's log that the worker has. Raises whatever calls raise."""
        ...

    def log_passage(self, name: str, id: str, key: PieceKey, begin: int, call: Call) -> Passage:
        """Return whole lines of a piece from that byte on. Raises whatever calls raise."""
        ...

    def statistics(self, name: str, call: Call) -> Statistics:
        """Return the statistics of one crawl. Raises NotFound, and whatever calls raise."""
        ...

    def offered(self, call: Call) -> Sequence[OfferedSpider]:
        """Return the spiders that the worker offers. Raises whatever calls raise."""
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


def resources_of(
    backend: Callable[[Call], Backend], name: str, call: Call
) -> tuple[Resource, Sequence[Resource]]:
    """Return a task, and its shards. Raises NotFound, and whatever calls raise."""
    head = backend(call).get(name, call)
    if not is_sharded(head.spec) or head.spec.shard:
        return head, ()
    query = Query(MAX_WORKERS, f"{name}~", shards=True)
    listed = backend(call).list(query, call).resources
    return head, [each for each in listed if each.spec.shard_of == name]


def ask_all(
    asked: Sequence[Asked], ask: Callable[[Asked], Answer]
) -> tuple[list[tuple[Asked, Answer]], list[tuple[Asked, str]]]:
    """Ask about each of these, several at the same time. Return the answers, and what has none,
    with why."""
    found: list[tuple[Asked, Answer]] = []
    silent: list[tuple[Asked, str]] = []

    def once(each: Asked) -> None:
        try:
            found.append((each, ask(each)))
        except CrawlerError as error:
            silent.append((each, str(error)))

    pool = Pool(AT_ONCE)
    for each in asked:
        pool.spawn(once, each)
    pool.join()
    return found, silent

"""The statistics of the crawls of a worker that ended last, and of several crawls of one task."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from crawler.engine.stats.totals import ENDED
from crawler.errors import NotFound
from crawler.model.shards import shard_names
from crawler.model.statistics import Owns, Statistics, anybodys, together


class EndedCrawls:
    """Remembers the statistics of crawls after their end."""

    def __init__(self) -> None:
        self._found: deque[Statistics] = deque(maxlen=ENDED)

    def add(self, found: Statistics) -> None:
        """Remember a crawl that has ended just now."""
        self._found.append(found)

    def all(self, owns: Owns = anybodys) -> Sequence[Statistics]:
        """Those that `owns` names, the last first."""
        return [found for found in reversed(self._found) if owns(found)]

    def of(self, task: str, owns: Owns = anybodys) -> Statistics:
        """The last crawl of that name. Raises NotFound."""
        for found in reversed(self._found):
            if found.task == task and owns(found):
                return found
        raise NotFound(f"no statistics of task {task!r} here; it did not run here lately")

    def together(self, names: Sequence[str], owns: Owns = anybodys) -> Mapping[str, Statistics]:
        """The last crawl of each name that was not over when the very last of them began."""
        ended = [found for found in self._found if found.task in names and owns(found)]
        since_ns = ended[-1].began_ns if ended else 0
        return {found.task: found for found in ended if found.ended_ns >= since_ns}


def crawl_names(task: str) -> Sequence[str]:
    """Return the names that the crawls of a task may have: of its head, and of its shards."""
    return [task, *shard_names(task)]


def as_one(task: str, parts: Mapping[str, Statistics]) -> Statistics:
    """Return the crawls of a task, by name, as one crawl of that task."""
    found = [parts[name] for name in crawl_names(task) if name in parts]
    return replace(together(found), task=task)

"""The spiders of a cluster, put together from what workers tell and what projects have.

The registration of a worker has only the names of its spiders. What their classes show is asked for
once: it stays the same as long as the worker has this registration.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from crawler.api.backend import Backend, Call, NodeLoad
from crawler.api.workers import Reach, ask_all, brief, workers_of
from crawler.model.projects import ProjectView, bundles_in
from crawler.model.spiders import OfferedSpider, SpiderAbout, SpiderList

Told = tuple[object, Sequence[OfferedSpider]]
"""A registration of a worker, and what it told then."""


class KnownOffers:
    """What each live worker has told, for as long as its registration stays the same."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}

    def of(self, worker: NodeLoad) -> Sequence[OfferedSpider] | None:
        """Return what a worker has told; None if it has not, or is another one by now."""
        known, offered = self._told.get(worker.node.id, (None, ()))
        return offered if known == _registration(worker) else None

    def note(self, worker: NodeLoad, offered: Sequence[OfferedSpider]) -> None:
        """Keep what a worker tells."""
        self._told[worker.node.id] = _registration(worker), offered

    def keep(self, workers: Sequence[NodeLoad]) -> None:
        """Forget all workers but these."""
        live = {worker.node.id for worker in workers}
        for id in self._told.keys() - live:
            del self._told[id]


class Spiders:
    """The spiders that one caller may see."""

    def __init__(
        self, backend: Callable[[Call], Backend], reach: Reach, call: Call, known: KnownOffers
    ) -> None:
        self._backend = backend
        self._reach = reach
        self._call = call
        self._known = known

    def all(self) -> SpiderList:
        """Return them by project and name. Raises whatever calls of the leader raise."""
        workers = workers_of(self._backend, self._call)
        projects = self._backend(self._call).projects(self._call)
        notes = self._ask(workers)
        visible = {"", *(view.project.name for view in projects)}
        offers: dict[tuple[str, str], dict[str, SpiderAbout | None]] = defaultdict(dict)
        for worker in workers:
            told = self._known.of(worker)
            for each in _named(worker) if told is None else told:
                if each.project in visible:
                    offers[each.project, each.name][worker.node.id] = each.about
        for project, name in _current(projects):
            offers[project, name] = offers[project, name]  # no worker may offer it
        found = [_one(*key, told) for key, told in sorted(offers.items())]
        return SpiderList(found, notes)

    def _ask(self, workers: Sequence[NodeLoad]) -> Sequence[str]:
        """Ask the workers that have not told yet. Return who does not answer, and why."""
        self._known.keep(workers)
        answers, silent = ask_all(
            [worker for worker in workers if self._known.of(worker) is None], self._offered
        )
        for worker, offered in answers:
            self._known.note(worker, offered)
        return [
            f"what the spiders of {worker.node.id} take is not known, because it does not answer:"
            f" {why}"
            for worker, why in silent
        ]

    def _offered(self, worker: NodeLoad) -> Sequence[OfferedSpider]:
        with closing(self._reach(worker.node.address)) as client:
            return client.offered(brief(self._call))


def _registration(worker: NodeLoad) -> object:
    """Return what is another when a worker may offer other spiders."""
    node = worker.node
    return node.incarnation, node.spiders, bundles_in(node.metadata)


def _named(worker: NodeLoad) -> Iterator[OfferedSpider]:
    """Yield the spiders that a worker names in its registration."""
    projects = bundles_in(worker.node.metadata)
    for text in worker.node.spiders or ():
        project, _, name = text.partition("/")
        yield OfferedSpider(name, project) if project in projects else OfferedSpider(text)


def _current(projects: Sequence[ProjectView]) -> Iterator[tuple[str, str]]:
    """Yield the spiders of the current versions of projects."""
    for project in (view.project for view in projects):
        version = project.version(project.current)
        for spider in version.spiders if version is not None else ():
            yield project.name, spider


def _one(project: str, name: str, told: Mapping[str, SpiderAbout | None]) -> OfferedSpider:
    """Return a spider with what most workers tell of it; of as many, what the first one tells."""
    found = OfferedSpider(name, project, nodes=sorted(told))
    abouts = [about for _, about in sorted(told.items()) if about is not None]
    if not abouts:
        return found
    # JSON values cannot be hashed, but their texts can.
    texts = [str(about) for about in abouts]
    counts = Counter(texts)
    [(most, _)] = counts.most_common(1)
    return replace(found, about=abouts[texts.index(most)], differs=len(counts) > 1)

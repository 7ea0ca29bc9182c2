"""Finds the crawls of a task from what its folders hold, and says which one counts.

A run that goes on belongs to the crawl that it goes on with. A run that begins anew begins another
crawl, and what was there before is superseded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crawler.errors import NotFound
from crawler.items.chains import Chain, Limit, chains
from crawler.items.far import AnyPath
from crawler.items.formats import SQLITE
from crawler.items.names import PART, folder_name, parsed_name, parsed_stem


@dataclass(frozen=True)
class Crawl:
    """One crawl of a task: the runs that went on with each other, and the stems of their files."""

    id: str
    """The task's id, as it stands in the names of files."""
    epochs: tuple[int, ...]
    """Those of its runs, in order."""
    stems: tuple[str, ...]
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """Name of a file → how much of it counts."""
    is_told: bool = True
    """Whether a `.runs` tells of it. Otherwise it is known by its file alone."""
    last: str = ""
    """The stem whose files tell how far the crawl is."""
    untold: tuple[int, ...] = ()
    """Of a task on several workers: the shards of which no `.runs` tells here."""
    is_headless: bool = False
    """Whether shard 0 is among these. Then its epochs are not those of other crawls."""
    since: int = 0
    """Of a task on several workers: when its last run began, in nanoseconds."""
    end: str = ""
    """How it ended, if it was not done: FAILED, DELETED or STOPPED; else empty."""

    @property
    def rank(self) -> tuple[int, str, int]:
        """Later crawls have higher ranks: ids rise with time, and so do the epochs of an id."""
        return _rank(self.id, self.epochs[-1])


def _rank(id: str, epoch: int) -> tuple[int, str, int]:
    return int(id) if id.isdecimal() else -1, id, epoch


class Folders:
    """The folders of one task, perhaps from several machines, and the files in them."""

    def __init__(self, folders: Sequence[AnyPath]) -> None:
        self._folders = [folder for folder in folders if folder.is_dir()]
        self._files: dict[str, dict[str, list[AnyPath]]] = {}
        for folder in self._folders:
            paths: list[AnyPath] = [*folder.iterdir()]
            for path in sorted(paths, key=lambda each: each.name):
                if named := parsed_name(path.name):
                    stem, format = named
                    self._files.setdefault(stem, {}).setdefault(format, []).append(path)

    def crawls(self) -> list[Crawl]:
        """All crawls, the one that counts last. Raises ItemsDamaged for a bad `.runs`.

        A file of which nothing is told was written by an older version, which told nothing. If it
        ends in `.part`, its run has only just begun, and has no items yet.
        """
        told = list(_told_crawls(self._folders))
        known = {stem for crawl in told for stem in crawl.stems}
        alone = [
            Crawl(stem.id, (stem.epoch,), (name,), is_told=False, last=name)
            for name in self._files.keys() - known
            if (stem := parsed_stem(name)) and not (told and self._is_part(name))
        ]
        return _in_order([*told, *alone])

    def _is_part(self, stem: str) -> bool:
        paths = [path for paths in self._files[stem].values() for path in paths]
        return any(path.name.endswith(PART) for path in paths)

    def parts_without(self, stems: Collection[str]) -> Iterator[AnyPath]:
        """The files of other stems that end in `.part`."""
        for stem in sorted(self._files.keys() - set(stems)):
            for paths in self._files[stem].values():
                yield from (path for path in paths if path.name.endswith(PART))

    def untold(self, crawls: Iterable[Crawl]) -> list[AnyPath]:
        """The files with items of runs later than all of which a `.runs` tells.

        A database is there before its run is told, so it is none of them. Earlier ones are of
        crawls that were dropped, or of an older version.
        """
        told = [crawl for crawl in crawls if crawl.is_told]
        last = max((crawl.rank for crawl in told), default=None)
        if last is None:
            return []
        known = {stem for crawl in told for stem in crawl.stems}
        later = (
            stem
            for name in sorted(self._files.keys() - known)
            if (stem := parsed_stem(name)) and _rank(stem.id, stem.epoch) > last
        )
        found = (self.files(f"{stem.id}-{stem.epoch}") for stem in later)
        texts = (path for files in found for kind, path in files.items() if kind != SQLITE)
        return [path for path in texts if size_of(path)]

    def files(self, stem: str) -> Mapping[str, AnyPath]:
        """Format → the file of a stem. Of several copies, that of a crawl that has ended counts,
        and else the longest."""
        found = self._files.get(stem, {})
        return {format: max(paths, key=_completeness) for format, paths in found.items()}


def chosen(crawls: Sequence[Crawl], task: str, id: str = "", epoch: int | None = None) -> Crawl:
    """The crawl of that id and with a run of that epoch. Without either, the one that counts.

    Raises NotFound.
    """
    fitting = [
        crawl
        for crawl in crawls
        if (not id or crawl.id == folder_name(id)) and (epoch is None or epoch in crawl.epochs)
    ]
    if fitting:
        return fitting[-1]
    wanted = " ".join(
        [*([f"id {id}"] if id else []), *([] if epoch is None else [f"epoch {epoch}"])]
    )
    has = "; ".join(f"id {crawl.id}: {_listed(crawl.epochs)}" for crawl in crawls[-5:])
    raise NotFound(f"{task!r} has no run of {wanted}; allowed are the epochs of {has}")


def _in_order(crawls: Sequence[Crawl]) -> list[Crawl]:
    """The crawls, the latest last. One of which only shards are known has its place by its time."""
    ordered = sorted((c for c in crawls if not c.is_headless), key=lambda crawl: crawl.rank)
    for crawl in sorted((c for c in crawls if c.is_headless), key=lambda crawl: crawl.since):
        number = crawl.rank[:2]
        at = [(c.rank[:2], c.since) <= (number, crawl.since) for c in ordered]
        ordered.insert(len(at) - at[::-1].index(True) if True in at else 0, crawl)
    return ordered


def _told_crawls(folders: Iterable[AnyPath]) -> Iterator[Crawl]:
    """The crawls of which the `.runs` of these folders tell, all lines together.

    A crawl has the last chain of each of its shards. What an earlier chain of its head wrote is
    superseded, and with it what shards wrote until then. A shard itself never begins anew: it has
    two chains if its state was damaged.
    """
    shared: dict[tuple[str, str], dict[int, list[Chain]]] = {}
    for chain in chains(folders):
        if not chain.of:
            yield _crawl([chain])
            continue
        found = shared.setdefault((chain.id, chain.of), {})
        if chain.shard == 0 and 0 in found:
            yield _crawl(found.pop(0))
        found.setdefault(chain.shard, []).append(chain)
    for shards in shared.values():
        began = shards[0][0].began if 0 in shards else 0
        yield _crawl([c for number in sorted(shards) for c in _valid(shards[number], began)])


def _valid(chains: Sequence[Chain], began: int) -> Sequence[Chain]:
    """Those of a shard that count in a crawl whose head began then: the last one, and those before
    it of which it is known that they began no earlier than the head."""
    *before, last = chains
    return [*(each for each in before if 0 < began <= each.began), last]


def _crawl(shards: Sequence[Chain]) -> Crawl:
    """The crawl that these shards have done together."""
    head = shards[0]
    limits = {name: limit for chain in shards for name, limit in chain.limits.items()}
    stems = tuple(stem for chain in shards for stem in chain.stems)
    told = {chain.shard for chain in shards}
    untold = tuple(number for number in range(head.workers) if number not in told)
    since = max(chain.since for chain in shards)
    return Crawl(
        head.id,
        head.epochs,
        stems,
        limits,
        last=head.last,
        untold=untold,
        is_headless=head.shard > 0,
        since=since,
        end="" if head.shard else head.end,
    )


def _completeness(path: AnyPath) -> tuple[bool, int]:
    return not path.name.endswith(PART), size_of(path)


def size_of(path: AnyPath) -> int:
    """The bytes of a file, or of all files in a folder; 0 if it is gone."""
    try:
        if path.is_dir():
            return sum(each.stat().st_size for each in path.iterdir())
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _listed(epochs: Sequence[int]) -> str:
    return ", ".join(map(str, epochs))

"""Reads the items of a task over all runs of its crawl, from the folders of one or more machines.

    for item in items_of("books", "items"):
        ...

Nothing is held in memory but the items that are being read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from crawler.errors import InvalidArgument, NotFound
from crawler.items.crawls import Crawl, Folders, chosen, size_of
from crawler.items.failures import ItemsDamaged, ItemsMissing
from crawler.items.far import AnyPath
from crawler.items.formats import BEST_FIRST, GZ, SQLITE
from crawler.items.names import PART, RUNS, file_name, folder_name, parsed_name
from crawler.items.source import Source

ENDED, GOING_ON, UNKNOWN, INCOMPLETE = "ended", "going on", "not known", "incomplete"
Item = dict[str, Any]

_LOSSES = {
    "csv": "CSV has texts alone: numbers, truth values and what is nested have lost their types",
    "xml": "XML has texts, lists and dicts: numbers and truth values have lost their types",
    "parquet": "Parquet has no lists and dicts of items: they are texts of JSON",
}
_TABLES = (SQLITE, "parquet")


class TaskItems:
    """The items of one task, from the files of its crawl. It can be read several times."""

    def __init__(
        self,
        name: str,
        crawl: Crawl,
        sources: Sequence[Source],
        missing: Sequence[str],
        state: str,
        others: int,
        untold: Sequence[AnyPath] = (),
    ) -> None:
        """`others` is how many crawls of the task are not read. `untold` are the files of which no
        `.runs` tells."""
        self.name = name
        self.id = crawl.id
        self.epochs = crawl.epochs
        """The epochs of the runs of the crawl."""
        self.sources = sources
        """The files, in the order of their runs."""
        self.missing = missing
        """The files that are in no folder."""
        self.state = state
        """ENDED, FAILED, DELETED, STOPPED, GOING_ON, INCOMPLETE, or UNKNOWN: of older versions and
        of databases nothing tells it."""
        self.notes = list(_notes(crawl, sources, missing, others, untold))
        """What people should know of these items."""

    @property
    def bytes(self) -> int:
        """How long the files are together."""
        return sum(size_of(source.now()) for source in self.sources)

    def __iter__(self) -> Iterator[Item]:
        """Yield the items as they were yielded, as far as the format keeps it. Raises ItemsDamaged,
        OSError."""
        for source in self.sources:
            yield from _reader(source.format)(source)

    def count(self) -> int:
        """How many items there are. Raises ItemsDamaged, OSError."""
        return sum(_counter(source.format)(source) for source in self.sources)


def items_of(
    task: str,
    *folders: str | Path,
    format: str = "",
    id: str = "",
    epoch: int | None = None,
    skip_missing: bool = False,
) -> TaskItems:
    """Find the items of a task. The last crawl of its newest id counts.

    `folders` are the folders of items of one or more machines (`worker.items`); without any,
    `items`. `format` is the format to read; without one, the one that keeps types best. `id` and
    `epoch` choose another crawl: the one that has that run. `skip_missing` leaves out files that
    are in no folder.

    Raises NotFound, InvalidArgument for an unknown format, ItemsMissing, and ItemsDamaged.
    """
    if format and format not in BEST_FIRST:
        raise InvalidArgument(f"format: {format!r} given; allowed: {', '.join(BEST_FIRST)}")
    paths = _checked(folders)
    found = Folders([path / folder_name(task) for path in paths])
    crawls = found.crawls()
    if not crawls:
        raise NotFound(_unknown(task, paths))
    return _whole(
        _read(task, found, crawls, chosen(crawls, task, id, epoch), format), paths, skip_missing
    )


def items_at(
    task: str,
    folders: Sequence[AnyPath],
    *,
    format: str = "",
    id: str = "",
    epoch: int | None = None,
    skip_missing: bool = False,
) -> TaskItems:
    """Find the items of a task as `items_of` does, in folders of that task alone.

    Raises as `items_of` does.
    """
    if format and format not in BEST_FIRST:
        raise InvalidArgument(f"format: {format!r} given; allowed: {', '.join(BEST_FIRST)}")
    found = Folders(folders)
    crawls = found.crawls()
    if not crawls:
        raise NotFound(f"no worker that answers has items of {task!r}")
    items = _read(task, found, crawls, chosen(crawls, task, id, epoch), format)
    return _whole(items, folders, skip_missing)


def _whole(items: TaskItems, paths: Sequence[AnyPath], skip_missing: bool) -> TaskItems:
    """Return items of which nothing is missing, or may be. Raises NotFound and ItemsMissing."""
    task = items.name
    if not items.sources and not items.missing:
        raise NotFound(f"{task!r} has no files of items: its sinks are databases; ask these")
    if items.missing and not skip_missing:
        raise ItemsMissing(
            f"{', '.join(items.missing)}: in no folder of {task!r} ({_listed(paths)}); give the"
            " folder of the machine that has it with --folder too, or leave it out with"
            " --skip-missing"
        )
    return items


def tasks_in(
    *folders: str | Path, tell: Callable[[ItemsDamaged], None] | None = None
) -> Iterator[TaskItems]:
    """The items of all tasks that have files in these folders; files that are missing are left out.

    `tell` is told of tasks of which nothing can be known. Raises NotFound; without `tell`,
    ItemsDamaged too.
    """
    paths = _checked(folders)
    for name in _folder_names(paths):
        found = Folders([path / name for path in paths])
        try:
            crawls = found.crawls()
        except ItemsDamaged as error:
            if tell is None:
                raise
            tell(error)
        else:
            yield _read(unquote(name), found, crawls, crawls[-1], "")


def _read(
    task: str, found: Folders, crawls: Sequence[Crawl], crawl: Crawl, format: str
) -> TaskItems:
    sources, missing = _sources(crawl, found, format)
    files = found.files(crawl.last) if crawl.last else {}
    state = _state(crawl, files, missing)
    untold = found.untold(crawls)
    return TaskItems(task, crawl, sources, missing, state, len(crawls) - 1, untold)


def _checked(folders: Sequence[str | Path]) -> list[Path]:
    """The folders of items, without double ones. Raises NotFound."""
    paths = [Path(folder) for folder in dict.fromkeys(folders or ("items",))]
    if missing := [path for path in paths if not path.is_dir()]:
        raise NotFound(
            f"{_listed(missing)}: no such folder of items; name the one of a worker (worker.items)"
            " with --folder, or ask the workers of a cluster: --master HOST:PORT or CRAWLER_MASTER"
        )
    return paths


def _folder_names(paths: Sequence[Path]) -> list[str]:
    """The folders of tasks in these folders. The name of a very long task is cut in it."""
    below = [folder for path in paths for folder in path.iterdir() if folder.is_dir()]
    return sorted({folder.name for folder in below if _has_items(folder)})


def _has_items(folder: Path) -> bool:
    return any(path.name == RUNS or parsed_name(path.name) for path in folder.iterdir())


def _unknown(task: str, paths: Sequence[Path]) -> str:
    names = [unquote(name) for name in _folder_names(paths)]
    near = difflib.get_close_matches(task, names, n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"no items of {task!r} in {_listed(paths)}; {meant}crawler items lists the tasks there"


def _sources(crawl: Crawl, found: Folders, wanted: str) -> tuple[list[Source], list[str]]:
    """The files of a crawl, and the names of those that are missing."""
    picked: list[Source] = []
    missing: list[str] = []
    for stem in crawl.stems:
        files = found.files(stem)
        format = next((each for each in ([wanted] if wanted else BEST_FIRST) if each in files), "")
        if format:
            picked.append(_source(crawl, file_name(stem, format), format, files[format]))
        else:
            missing.append(file_name(stem, wanted) if wanted else f"{stem}.*")
    databases = [source.path for source in picked if source.format == SQLITE]
    for source in picked:
        if source.format == SQLITE:
            source.later = tuple(databases[databases.index(source.path) + 1 :])
    return picked, missing


def _source(crawl: Crawl, name: str, format: str, path: AnyPath) -> Source:
    has_ended = crawl.is_told and path.name == name
    return Source(path, format, crawl.limits.get(name), has_ended)


def _state(crawl: Crawl, files: Mapping[str, AnyPath], missing: Sequence[str]) -> str:
    """How far the crawl is: as its `.runs` tells, or else by the files of its last run. Those of an
    earlier run may stay as that run left them. A database does not tell."""
    if missing:
        return INCOMPLETE
    if crawl.end:
        return crawl.end
    names = [path.name for format, path in files.items() if format != SQLITE]
    if not names or (not crawl.is_told and not names[0].endswith(PART)):
        return UNKNOWN
    return GOING_ON if all(name.endswith(PART) for name in names) else ENDED


def _notes(
    crawl: Crawl,
    sources: Sequence[Source],
    missing: Sequence[str],
    others: int,
    untold: Sequence[AnyPath],
) -> Iterator[str]:
    for name in missing:
        yield f"{name} is in no folder; its items are left out"
    for shard in crawl.untold:
        yield (
            f"no {RUNS} tells of shard {shard}; if it has run, its items are left out: give the"
            " folder of its machine with --folder too"
        )
    if untold:
        yield (
            f"{_listed(untold)}: the {RUNS} there does not tell of it. If folders of several"
            f" machines were copied into one, their {RUNS} have replaced each other, and items are"
            " missing or too many: copy each into a folder of its own, and name all of them with"
            " --folder"
        )
    elif others and not crawl.is_told:
        yield (
            f"no {RUNS} tells of the runs of this task; only the items of its last run are read:"
            f" {', '.join(str(source.path) for source in sources)}"
        )
    for source in sources:
        if isinstance(source.limit, int) and size_of(source.now()) < source.limit:
            yield f"{source.path} is shorter than its crawl left it; items are missing"
    for format in dict.fromkeys(source.format.removesuffix(GZ) for source in sources):
        if format in _LOSSES:
            yield _LOSSES[format]


def _reader(format: str) -> Callable[[Source], Iterator[Item]]:
    """What reads a format. Only then its libraries are imported."""
    if format in _TABLES:
        from crawler.items import tables

        return tables.sqlite_rows if format == SQLITE else tables.parquet_rows
    from crawler.items import texts

    return {
        "jsonl": texts.json_lines,
        "json": texts.json_array,
        "csv": texts.csv_rows,
        "xml": texts.xml_items,
    }[format.removesuffix(GZ)]


def _counter(format: str) -> Callable[[Source], int]:
    """What counts the items of a format, without making each if it can."""
    if format in _TABLES:
        from crawler.items import tables

        return tables.count_sqlite if format == SQLITE else tables.count_parquet
    if format.removesuffix(GZ) == "jsonl":
        from crawler.items.texts import count_lines

        return count_lines
    reader = _reader(format)
    return lambda source: sum(1 for _ in reader(source))


def _listed(paths: Sequence[AnyPath]) -> str:
    return ", ".join(map(str, paths))

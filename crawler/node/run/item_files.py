"""The files of a task's items, over all runs of one crawl.

A crawl's files are `<items>/<task>/<id>-<epoch>.<format>`, with the epoch of the run that began
them. Behind it stands `.part` until the crawl has ended. A run that goes on appends to the files of
the run before. If they are not here, because that was another machine, or if the run writes other
formats, it begins files of its own.

`<items>/<task>/.runs` has a line of JSON for each run: which files its crawl has so far. For a task
on several workers it also says which shard the run was, and of which crawl. When other workers
empty a shard, they add a line about its last run: how far its files count.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent

from crawler.engine.crawl.kept import ABOUT, Kept, digest
from crawler.engine.items.sinks.marks import kept_beside, name_of, parsed
from crawler.engine.items.sinks.sink import Sink
from crawler.engine.items.sinks.targets import FORMATS
from crawler.folders import make_folder, sync_folders
from crawler.items.formats import SQLITE
from crawler.items.names import PART, RUNS, file_name
from crawler.logs import get_logger
from crawler.model.records import Resource
from crawler.node.run.naming import id_name, run_name, task_folder
from crawler.node.run.states import about

log = get_logger(__name__)

FILES = "files"
"""The text of a store that names the files of a crawl so far."""


@dataclass(frozen=True)
class Written:
    """The files that some runs of a crawl wrote: one for each format."""

    folder: str
    stem: str
    formats: tuple[str, ...]

    def path_of(self, kind: str) -> Path:
        """The file of a format when the crawl has ended."""
        return Path(self.folder, file_name(self.stem, kind))

    def part_of(self, kind: str) -> Path:
        """The file of a format while the crawl goes on. A database needs no such name: it is whole
        at each moment."""
        path = self.path_of(kind)
        return path if kind == SQLITE else path.with_name(f"{path.name}{PART}")

    @property
    def is_here(self) -> bool:
        """Whether all of these files are on this machine, and their crawl goes on."""
        return all(self.part_of(kind).exists() for kind in self.formats)


class ItemFiles:
    """The files of one run."""

    def __init__(
        self, items: Path, resource: Resource, sinks: Sequence[str], kept: Kept | None
    ) -> None:
        """`items` is the folder for all tasks. `sinks` names the sinks of the run."""
        self._folder = task_folder(items, resource)
        self._id, self._epoch = resource.id, resource.epoch
        self._shard = _shard(resource, kept)
        formats = tuple(kind for kind in dict.fromkeys(sinks) if kind in FORMATS or kind == SQLITE)
        own = Written(str(self._folder.absolute()), run_name(resource), formats)
        self._all = _written(kept)
        self._is_head = not resource.spec.shard
        self._last = (kept.found.epoch if kept else 0), [each.stem for each in self._all]
        """The epoch of the last run that has begun, and the stems of its crawl."""
        self._end = ""
        marks = {} if kept is None else kept.marks
        self._now = own
        if self._all and _is_same(self._all[-1], own) and self._all[-1].is_here:
            self._now = self._all[-1]
        elif formats:
            self._all.append(own)
        self._limits = dict(_limits(self._all[:-1], marks))
        """How far the files of earlier runs count that nobody goes on with."""

    @property
    def path(self) -> Path:
        """The path of the JSON lines, without `.part`. Other files lie beside it."""
        return self._now.path_of("jsonl")

    @property
    def text(self) -> str:
        """What the next run must know of these files."""
        return json.dumps([vars(each) for each in self._all])

    def set_aside(self) -> None:
        """Give other names to files of this run that are there before it has begun: its state has
        forgotten all that it did. A database replaces the rows that come again. Raises OSError."""
        for part in map(self._now.part_of, self._now.formats):
            if part.name.endswith(PART) and part.exists():
                kept = kept_beside(part)
                part.rename(kept)
                log.warning(
                    "the state of the task has forgotten this run; what it wrote is kept in another"
                    " file, and comes again",
                    file=str(part),
                    kept=str(kept),
                )

    def begin(self) -> None:
        """Note that the run has begun and its files are there. Raises OSError."""
        stems = [each.stem for each in self._all]
        line: dict[str, Any] = {"id": id_name(self._id), "epoch": self._epoch, "files": stems}
        line.update(self._shard)
        if self._limits:
            line["limits"] = self._limits
        _note(self._folder, line)
        self._last = self._epoch, stems

    def note_end(self, how: str) -> None:
        """Note that the crawl has ended, but is not done: FAILED, DELETED or STOPPED. The head says
        so for all shards. Raises OSError."""
        epoch, stems = self._last
        if self._is_head and stems and how != self._end:
            line = {"id": id_name(self._id), "epoch": epoch, "files": stems, "end": how}
            _note(self._folder, line)
            self._end = how

    def end(self) -> None:
        """Give the files of a crawl that has ended their names. Repeating it is harmless."""
        here = [each for each in self._all if each.folder == self._now.folder]
        for written, kind in ((each, kind) for each in here for kind in each.formats):
            with contextlib.suppress(FileNotFoundError):  # it has its name already
                written.part_of(kind).rename(written.path_of(kind))


class NotedSink:
    """A sink whose opening is noted."""

    def __init__(self, sink: Sink, files: ItemFiles) -> None:
        self._sink = sink
        self._files = files
        self.write = sink.write
        self.flush = sink.flush
        self.mark = sink.mark
        self.begin_at = sink.begin_at
        self.close = sink.close

    @property
    def lost(self) -> Any:
        """The items that were taken, but finally refused."""
        return self._sink.lost

    def open(self) -> None:
        """Open the sink, and note that the run has begun."""
        self._sink.open()
        self._files.begin()


def note_limits(items: Path, resource: Resource, kept: Kept) -> None:
    """Note how far the files count of a shard that others empty: they fetch again what its last run
    did after its last step. `resource` is of the same task, `kept` is what the shard had.

    The files may lie on a machine that is gone. The line is about that run, so it counts until a
    later one goes on with these files. Raises OSError.
    """
    files = _written(kept)
    limits = dict(_limits(files, kept.marks))
    if kept.found.is_clean or not limits:
        return
    line = {
        "id": id_name(resource.id),
        "epoch": kept.found.epoch,
        "files": [each.stem for each in files],
        "shard": kept.shard,
        "of": digest(about(resource)),
        "limits": limits,
    }
    _note(task_folder(items, resource), line)


def _written(kept: Kept | None) -> list[Written]:
    """The files of all runs so far."""
    given = () if kept is None else kept.value(FILES) or ()
    return [Written(each["folder"], each["stem"], tuple(each["formats"])) for each in given]


def _shard(resource: Resource, kept: Kept | None) -> dict[str, Any]:
    """What tells the runs of all shards of a crawl; nothing of a task that was never shared."""
    if kept is None or kept.shard is None:
        return {}
    return {
        "shard": resource.spec.shard,
        "workers": resource.spec.workers,
        "of": digest(json.loads(kept.texts[ABOUT])),
        "since": resource.assigned_time,
    }


def _is_same(before: Written, now: Written) -> bool:
    return (before.folder, before.formats) == (now.folder, now.formats)


def _limits(all: Sequence[Written], marks: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The names of files, and how far they counted when their run last told its state. What a run
    wrote after that comes again, from another one."""
    for written, kind in ((each, kind) for each in all for kind in each.formats):
        mark, _ = parsed(marks.get(name_of(written.part_of(kind))))
        if isinstance(mark, int | list):
            yield file_name(written.stem, kind), mark


def _note(folder: Path, line: Mapping[str, Any]) -> None:
    """Add a line to the `.runs` of a task. Raises OSError."""
    gevent.get_hub().threadpool.apply(append_to_runs, (folder, line))


def append_to_runs(folder: Path, line: Mapping[str, Any]) -> None:
    """Add a line that survives a loss of power. What such a loss has left of a line stays a line of
    its own. It blocks. Raises OSError."""
    path = folder / RUNS
    changed = [] if path.exists() else make_folder(folder)
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(number).st_size
        is_cut = size and os.pread(number, 1, size - 1) != b"\n"
        os.write(number, f"{chr(10) if is_cut else ''}{json.dumps(line)}\n".encode())
        os.fsync(number)
    finally:
        os.close(number)
    sync_folders(changed)

"""Ends the files of a run that is over, from what the `.runs` of its task tells.

So any process of the worker can do it: the one that wrote the files may be gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from crawler.engine.items.sinks.targets import file_writer
from crawler.items.chains import Chain, chains
from crawler.items.formats import BEST_FIRST, SQLITE
from crawler.items.names import folder_name
from crawler.model.records import Resource
from crawler.node.run.item_files import Written, append_to_runs
from crawler.node.run.naming import id_name, task_folder


def end_files(items: Path, resource: Resource, how: str, is_torn: bool) -> None:
    """Note that the crawl ended like this (FAILED, DELETED or STOPPED), and give its files their
    names. Repeating it is harmless. It blocks.

    `items` is the folder for all tasks. `is_torn` says that the process which wrote the files is
    gone, so that a record at their end may not be whole. Raises OSError, and ItemsDamaged.
    """
    folder = task_folder(items, resource)
    chain = _chain(folder, resource)
    if chain is None:
        return
    if not resource.spec.shard and how != chain.end:  # the head says so for all shards
        line = {"id": id_name(resource.id), "epoch": chain.epochs[-1], "files": chain.stems}
        append_to_runs(folder, {**line, "end": how})
    for written, kind in _parts(folder, chain.stems):
        if is_torn:
            _cut_what_is_not_whole(written.part_of(kind), kind)
        written.part_of(kind).rename(written.path_of(kind))


def _chain(folder: Path, resource: Resource) -> Chain | None:
    """The crawl that the run went on with or began; None if nothing of it is here, or if a later
    run goes on with it."""
    id = folder_name(id_name(resource.id))
    found = [
        chain
        for chain in chains([folder])
        if (chain.id, chain.shard) == (id, resource.spec.shard)
        and chain.stems
        and chain.epochs[-1] <= resource.epoch
    ]
    return found[-1] if found else None


def _parts(folder: Path, stems: Iterable[str]) -> Iterator[tuple[Written, str]]:
    """The files with these stems that have not got their names, each with its format."""
    kinds = tuple(kind for kind in BEST_FIRST if kind != SQLITE)
    for written in (Written(str(folder), stem, kinds) for stem in stems):
        for kind in kinds:
            if written.part_of(kind).exists():
                yield written, kind


def _cut_what_is_not_whole(path: Path, kind: str) -> None:
    """Cut off what a process has left of a record when it died: whoever opens the file to append to
    it does so."""
    writer = file_writer(kind, path)
    writer.open()
    writer.close()

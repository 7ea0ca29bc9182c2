"""The files of items of a task, on all workers: which there are, and what is in them.

The master passes their bytes on, and `crawler.items` makes items of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from crawler.api.backend import Backend, Call, NodeLoad
from crawler.api.workers import Reach, ask_all, brief, workers_of
from crawler.errors import NotFound, Unavailable, shown
from crawler.items.names import RUNS, folder_name, parsed_name, parsed_stem
from crawler.model.item_files import ItemFolder, ItemFolders

MOST_RUNS_BYTES = 64 * 2**20
"""The longest `.runs` that is read for a caller who may see a part of it."""


class TaskFiles:
    """The files of one task, for one caller."""

    def __init__(
        self, backend: Callable[[Call], Backend], reach: Reach, name: str, call: Call
    ) -> None:
        self._backend = backend
        self._reach = reach
        self._name = name
        self._call = call

    def all(self) -> ItemFolders:
        """Return the files that the workers have. Raises NotFound, and whatever calls raise."""
        own = self._own_id()
        found, notes = self._asked()
        places: dict[str, ItemFolder] = {}
        for folder in sorted(found, key=lambda each: each.node):
            sizes = {path: size for path, size in folder.sizes.items() if _is_of(path, own)}
            if sizes:
                places.setdefault(folder.place or folder.node, replace(folder, sizes=sizes))
        return ItemFolders(list(places.values()), notes)

    def read(self, node: str, path: str, begin: int = 0, moved: str = "") -> Iterator[bytes]:
        """Yield the bytes of a file, from there on. `moved` is its folder in the shared place.
        Raises NotFound, and whatever calls raise."""
        own = self._own_id()
        if not _is_of(path, own):
            raise NotFound(f"path: {shown(path)} is not there")
        worker = next(
            (each for each in workers_of(self._backend, brief(self._call)) if each.node.id == node),
            None,
        )
        if worker is None:
            raise Unavailable(f"node: {shown(node)} is no live worker; its items are not here")
        data = self._bytes(worker.node.address, path, 0 if own and path == RUNS else begin, moved)
        return iter([_runs_of(own, data)[begin:]]) if own and path == RUNS else data

    def _bytes(self, address: str, path: str, begin: int, moved: str) -> Iterator[bytes]:
        with closing(self._reach(address)) as client:
            while data := client.item_passage(self._name, path, begin, brief(self._call), moved):
                yield data
                begin += len(data)

    def _own_id(self) -> str:
        """Return the id whose files alone the caller may see, as it stands in names; empty if it
        may see all, those of an earlier task of that name too. Raises NotFound."""
        if not self._call.bounds:
            return ""
        found = self._backend(self._call).get(self._name, self._call)
        return folder_name(found.id) or "task"

    def _asked(self) -> tuple[list[ItemFolder], list[str]]:
        def ask(worker: NodeLoad) -> Sequence[ItemFolder]:
            with closing(self._reach(worker.node.address)) as client:
                return client.item_folders(self._name, brief(self._call))

        answers, silent = ask_all(workers_of(self._backend, brief(self._call)), ask)
        found = [
            replace(folder, node=worker.node.id)
            for worker, folders in answers
            for folder in folders
        ]
        return found, [
            f"what {worker.node.id} has is left out, because it does not answer: {why}"
            for worker, why in silent
        ]


def _is_of(path: str, own: str) -> bool:
    """Whether a file is one of the task with that id."""
    if not own or path == RUNS:
        return True
    named = parsed_name(path.partition("/")[0])
    stem = parsed_stem(named[0]) if named else None
    return stem is not None and stem.id.partition("~")[0] == own


def _runs_of(own: str, data: Iterator[bytes]) -> bytes:
    """Return the lines of a `.runs` that are about the task with that id."""
    whole = bytearray()
    for part in data:
        whole += part
        if len(whole) > MOST_RUNS_BYTES:
            raise Unavailable(
                f"{RUNS} is longer than {MOST_RUNS_BYTES} bytes; use a token without labels"
            )
    return b"".join(line for line in whole.splitlines(keepends=True) if _id_of(bytes(line)) == own)


def _id_of(line: bytes) -> str:
    try:
        found = json.loads(line)
    except ValueError:
        return ""
    id = found.get("id") if isinstance(found, Mapping) else None
    return folder_name(id) if isinstance(id, str) else ""

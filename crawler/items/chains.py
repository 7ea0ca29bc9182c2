"""Reads from the `.runs` of a task's folders which of its runs went on with each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from crawler.items.failures import ItemsDamaged
from crawler.items.far import AnyPath
from crawler.items.names import RUNS, Stem, folder_name, parsed_stem

Limit: TypeAlias = int | tuple[int, int]
"""How much of a file counts: so many bytes, or so many parts of a folder and rows of the next."""


@dataclass(frozen=True)
class Chain:
    """The runs of one shard that went on with each other. A task on one worker is shard 0."""

    id: str
    shard: int
    of: str
    """What tells the crawl whose shard it is; empty if the crawl is shared with nobody."""
    epochs: tuple[int, ...]
    stems: tuple[str, ...]
    limits: Mapping[str, Limit]
    workers: int
    """On how many workers the task was when its last run began."""
    since: int
    """When that was, in nanoseconds of the leader's clock; 0 if it does not matter."""
    end: str
    """How its last run ended, if it was not done: FAILED, DELETED or STOPPED; else empty."""
    began: int
    """When the first run began that was one of a shared crawl; 0 if nothing tells that."""

    @property
    def last(self) -> str:
        """The stem of the last run; empty if its items went to databases alone."""
        return self.stems[-1] if self.stems else ""


def chains(folders: Iterable[AnyPath]) -> list[Chain]:
    """The runs of all lines that went on with each other, in the order of their last epochs. Raises
    ItemsDamaged."""
    runs: dict[tuple[int, Stem], dict[str, Any]] = {}
    for folder in folders:
        for line in _lines(folder / RUNS):
            key = line.get("shard", 0), Stem(folder_name(line["id"]), line["epoch"])
            run = runs.setdefault(key, {"limits": {}})
            run["files"] = line["files"]
            run["limits"].update(line.get("limits", {}))
            for name, unknown in (("of", ""), ("workers", 1), ("since", 0), ("end", "")):
                run[name] = line.get(name, run.get(name, unknown))
    grouped: dict[tuple[int, str, str], list[tuple[int, Stem]]] = {}
    for key in sorted(runs, key=lambda run: run[1].epoch):
        shard, stem = key
        first = next(iter(runs[key]["files"]), f"{stem.id}-{stem.epoch}")
        grouped.setdefault((shard, stem.id, first), []).append(key)
    found = []
    for (shard, id, _), keys in grouped.items():
        last = runs[keys[-1]]
        epochs = tuple(stem.epoch for _, stem in keys)
        stems, limits = tuple(last["files"]), _limits(last["limits"])
        began = next((since for key in keys if (since := runs[key]["since"])), 0)
        more = last["workers"], last["since"], last["end"], began
        found.append(Chain(id, shard, last["of"], epochs, stems, limits, *more))
    return sorted(found, key=lambda chain: chain.epochs[-1])


def _lines(path: AnyPath) -> Iterator[dict[str, Any]]:
    """The lines of a `.runs`. Raises ItemsDamaged. A line that was not written whole, because the
    power was lost, tells nothing; others may follow it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if not _is_run(found):
            raise ItemsDamaged(path, "it is no line about a run", number)
        yield found


def _is_run(line: Any) -> bool:
    return (
        isinstance(line, dict)
        and isinstance(line.get("id"), str)
        and type(line.get("epoch")) is int
        and isinstance(line.get("files"), list)
        and all(isinstance(stem, str) and parsed_stem(stem) for stem in line["files"])
        and isinstance(line.get("limits", {}), dict)
        and type(line.get("shard", 0)) is int
        and type(line.get("workers", 1)) is int
        and type(line.get("since", 0)) is int
        and isinstance(line.get("of", ""), str)
        and isinstance(line.get("end", ""), str)
    )


def _limits(told: Mapping[str, Any]) -> dict[str, Limit]:
    """The limits of files. What is no number limits nothing: a file to which others write, too."""
    limits: dict[str, Limit] = {}
    for name, limit in told.items():
        if type(limit) is int:
            limits[name] = limit
        elif isinstance(limit, list) and [type(each) for each in limit] == [int, int]:
            limits[name] = (limit[0], limit[1])
    return limits

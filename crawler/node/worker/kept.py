"""What lies in the folder of states, for people: whose it is, how much is left, and who uses it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from crawler.engine.crawl.resume import COUNTERS
from crawler.engine.frontier.sqlite_files import NAME
from crawler.engine.frontier.sqlite_journal import glance
from crawler.engine.frontier.store import StoreFailed, StoreInUse
from crawler.items.names import folder_name
from crawler.node.worker.states import last_used_s


@dataclass(frozen=True)
class KeptState:
    """The state of one crawl."""

    folder: Path
    task: str
    id: str
    began: int
    """The epoch of the run that began it."""
    bytes: int
    used_s: float
    """Seconds since a run used it last."""
    in_use: bool
    pages: int | None = None
    """Pages that are done; None if that cannot be read now."""
    to_go: int | None = None
    """Requests that have no end yet."""
    fault: str = ""
    """Why it cannot be read, if it is not in use."""


def kept_states(folder: Path, now_s: float | None = None) -> Iterator[KeptState]:
    """What is kept, by task. A state in use cannot be looked into."""
    now_s = time.time() if now_s is None else now_s
    for path in sorted(folder.glob(f"*/*/{NAME}")):
        yield _seen(path.parent, now_s)


def named(states: list[KeptState], tasks: tuple[str, ...]) -> list[KeptState]:
    """The states of these tasks; all without any name."""
    folders = {folder_name(task) for task in tasks}
    return [each for each in states if not tasks or each.folder.parent.name in folders]


def _seen(folder: Path, now_s: float) -> KeptState:
    id, _, began = folder.name.rpartition("-")
    used_s = last_used_s(folder)
    about = (folder, unquote(folder.parent.name), id, int(began) if began.isdecimal() else 0)
    size = sum(path.stat().st_size for path in folder.iterdir())
    ago_s = max(0.0, now_s - used_s)
    times = {path: path.stat().st_mtime for path in folder.iterdir()}
    try:
        texts, to_go = glance(folder)
    except StoreInUse:
        return KeptState(*about, size, ago_s, in_use=True)
    except StoreFailed as error:
        return KeptState(*about, size, ago_s, in_use=False, fault=str(error))
    for path, time_s in times.items():
        if path.exists():  # a look is no use
            os.utime(path, (time_s, time_s))
    pages = json.loads(texts.get(COUNTERS, "{}")).get("pages", 0)
    return KeptState(*about, size, ago_s, in_use=False, pages=pages, to_go=to_go)

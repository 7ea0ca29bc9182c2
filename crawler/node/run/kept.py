"""What is kept of tasks, for people: whose it is, how much is left, and who uses it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from crawler.engine.crawl.kept import COUNTERS
from crawler.engine.frontier import sqlite_files
from crawler.engine.frontier.redis_states import KeptState as InRedis
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.sqlite_files import NAME
from crawler.engine.frontier.sqlite_journal import glance
from crawler.engine.frontier.store import StoreFailed, StoreInUse
from crawler.items.names import folder_name
from crawler.node.run.states import files_of
from crawler.settings import redis_url
from crawler.settings.worker import FrontierSettings

ASK_S = 3.0
"""The seconds for which a person waits for a Redis that does not answer."""
WHO = "run this command as the user of the workers"


@dataclass(frozen=True)
class KeptState:
    """The state of one crawl."""

    place: str
    """Its folder, or its name in Redis."""
    task: str
    id: str
    began: int
    """The epoch of the run that began it; in Redis, of the last one."""
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
    shards: int = 1
    """How many shards of the task have a state there; 1 if one worker runs it alone."""


class KeptPlace(Protocol):
    """Where states are kept."""

    name: str
    """Where that is, for people."""

    def all(self) -> list[KeptState]:
        """What is kept, by task. A state in use cannot always be looked into."""
        ...

    def remove(self, state: KeptState) -> None:
        """Remove a state. Raises StoreInUse, and StoreFailed."""
        ...


class KeptInFolder:
    """The states in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def all(self) -> list[KeptState]:
        """What is kept, by task. Raises StoreFailed."""
        try:
            return list(kept_states(self._folder))
        except OSError as error:
            raise StoreFailed(f"{error.filename}: {error.strerror}; {WHO}") from error

    def remove(self, state: KeptState) -> None:
        """Remove a state."""
        sqlite_files.discard(Path(state.place))


class KeptInRedis:
    """The states of all workers, in their Redis."""

    def __init__(self, settings: FrontierSettings, folder: str) -> None:
        """Relative paths of the settings start at the folder. Raises ConfigError."""
        self._states = RedisStates.of(settings, folder, ASK_S)
        self.name = str(redis_url.parsed(settings.url))

    def all(self) -> list[KeptState]:
        """What is kept, by task. Raises StoreFailed."""
        return [_told(each) for each in self._states.all()]

    def remove(self, state: KeptState) -> None:
        """Remove a state."""
        self._states.clear(state.place)


def _told(state: InRedis) -> KeptState:
    task, _, id = state.name.rpartition("/")
    pages = state.counters.get("pages", 0)
    about = (state.name, task, id, state.epoch, state.bytes, state.unused_s, state.is_in_use)
    return KeptState(*about, pages=pages, to_go=state.waiting, shards=state.shards)


def kept_states(folder: Path, now_s: float | None = None) -> Iterator[KeptState]:
    """What is kept, by task. A state in use cannot be looked into. Raises OSError."""
    now_s = time.time() if now_s is None else now_s
    for path in (each for task in _folders_in(folder) for each in _folders_in(task)):
        try:
            is_state = (path / NAME).exists()
        except PermissionError:  # only their owner may look into these folders
            yield KeptState(*_about(path), 0, 0.0, in_use=False, fault=f"cannot be read; {WHO}")
        else:
            if is_state:
                yield _seen(path, now_s)


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except FileNotFoundError:  # nothing is kept yet, or a run has just ended
        return []


def named(states: list[KeptState], tasks: tuple[str, ...]) -> list[KeptState]:
    """The states of these tasks; all without any name."""
    folders = {folder_name(task) for task in tasks}
    return [each for each in states if not tasks or folder_name(each.task) in folders]


def _about(folder: Path) -> tuple[str, str, str, int]:
    """Where a state is, of which task and id, and when it began."""
    id, _, began = folder.name.rpartition("-")
    epoch = int(began) if began.isdecimal() else 0
    return str(folder), unquote(folder.parent.name), id, epoch


def _seen(folder: Path, now_s: float) -> KeptState:
    about, files = _about(folder), files_of(folder)
    size = sum(each.st_size for each in files.values())
    used_s = max((each.st_mtime for each in files.values()), default=now_s)
    ago_s = max(0.0, now_s - used_s)
    try:
        texts, to_go = glance(folder)
    except StoreInUse:
        return KeptState(*about, size, ago_s, in_use=True)
    except StoreFailed as error:
        return KeptState(*about, size, ago_s, in_use=False, fault=str(error))
    for path, found in files.items():
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (found.st_mtime, found.st_mtime))  # a look is no use
    pages = json.loads(texts.get(COUNTERS, "{}")).get("pages", 0)
    return KeptState(*about, size, ago_s, in_use=False, pages=pages, to_go=to_go)

"""The states of the tasks on one machine: what each crawl still has to do, for the run after this.

Each crawl has a folder `<task>/<id>-<began>` with a store. `began` is the epoch of the run that
began the crawl. A later run of the task takes the newest crawl of its id and goes on with it, or
begins one under its own epoch. The workers of one machine share the folders: so a task goes on at
another worker if its worker dies. The lock of a store keeps two runs apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import gevent

from crawler.clock import Clock
from crawler.engine.crawl.kept import (
    ABOUT,
    FINISH_S,
    Kept,
    about_of,
    digest,
)
from crawler.engine.frontier import sqlite_files
from crawler.engine.frontier.sqlite_store import SqliteStore, StoreThreads
from crawler.engine.frontier.store import Step, Store, StoreDamaged, StoreFailed, StoreInUse
from crawler.folders import matching
from crawler.logs import get_logger
from crawler.model.records import Resource, Spec, State
from crawler.node.run.naming import id_name, run_name, task_folder
from crawler.supervision import run_aside

log = get_logger(__name__)

END_S = FINISH_S + 5.0
"""The seconds that a run may take to end in order: for answers under way, and for the rest of a
callback and the last checkpoint. Then it is broken off."""

PATIENCE_S = END_S + 5.0
"""The seconds for which a run waits for the one before it. Then the process of that one is stopped,
or its disk hangs. Tasks must move, so the run begins a crawl of its own."""

STORE_THREADS = 4
"""The native threads that write the states of all tasks."""

NEEDS_REDIS = (
    "workers: {} needs a Redis in which the workers meet; name it in frontier.url, or set workers"
    " to 1"
)
"""Why a task cannot run on several workers."""

TRIES = "tries"
"""The text that says which try of the task the run was (`tried`)."""

_CHAIN = re.compile(r"(.+)-([0-9]+)")


class TaskStates(Protocol):
    """Where the states of all tasks are."""

    def prepare(self) -> None:
        """Wait until states can be used. Raises ConfigError if they never can."""
        ...

    def look(self) -> None:
        """Find out whether states can be used; `unready_reason` tells."""
        ...

    def unready_reason(self) -> str:
        """Return why no state can be used at present, or an empty text if one can."""
        ...

    def open(self, resource: Resource) -> Kept:
        """Open the state of a task for a run. Raises StoreFailed."""
        ...

    def again(self, kept: Kept, resource: Resource) -> Kept:
        """Open a state again, in the same run, that has lost its last steps. Raises StoreFailed."""
        ...

    def clear(self, resource: Resource, patience_s: float = 0.0) -> bool:
        """Remove all states of a task that no run uses. Returns whether none is left."""
        ...

    def drop_unused(self, keep_s: float) -> None:
        """Remove the states that no run has used for so long."""
        ...

    def close(self) -> None:
        """Let go of what they share. The runs have ended."""
        ...


class States:
    """The folder with the states of all tasks."""

    def __init__(self, folder: Path, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._folder = folder
        self._clock = clock
        self._patience_s = patience_s
        self._threads = StoreThreads(STORE_THREADS)

    def close(self) -> None:
        """End the threads. The runs have ended; one that hangs in its disk is left behind."""
        run_aside("end of threads of states", self._threads.end)

    def prepare(self) -> None:
        """Files need no waiting."""

    def look(self) -> None:
        """Whether a file can be used shows when it is opened."""

    def unready_reason(self) -> str:
        """Return an empty text: whether a file can be used shows when it is opened."""
        return ""

    def open(self, resource: Resource) -> Kept:
        """Open the state of a task for a run. Waits until the run before it has let go.

        If there is none that the run can go on with, it begins anew. Raises StaleRun if a later run
        was here, and StoreFailed.
        """
        if is_shared(resource.spec):
            raise StoreFailed(NEEDS_REDIS.format(resource.spec.workers))
        newest = self._newest(resource)
        kept = None if newest is None else self._taken(newest, resource)
        return self._begun(resource) if kept is None else kept

    def again(self, kept: Kept, resource: Resource) -> Kept:
        """Open the state of a task again. Files lose no steps, so nobody should ask for that."""
        return self.open(resource)

    def clear(self, resource: Resource, patience_s: float = 0.0) -> bool:
        """Remove all states of a task that no run uses. Returns whether none is left."""
        until_s = self._clock.monotonic() + patience_s
        left = True
        while left:
            left = not all([self._removed(folder) for _, folder in self._chains(resource)])
            if self._clock.monotonic() >= until_s:
                break
            if left:
                self._clock.sleep(0.1)
        return not left

    def drop_unused(self, keep_s: float) -> None:
        """Remove the states that no run has used for so long."""
        now_s = self._clock.time_ns() / 1e9
        for folder in self.all():
            if now_s - last_used_s(folder) > keep_s and self._removed(folder):
                log.info("a state is removed; no run has used it", state=str(folder), keep_s=keep_s)

    def all(self) -> Iterator[Path]:
        """The folders of all states."""
        for path in matching(self._folder, f"*/*/{sqlite_files.NAME}"):
            yield path.parent

    def _taken(self, folder: Path, resource: Resource) -> Kept | None:
        """The state in a folder; None if the run has to begin anew."""
        try:
            kept = self._opened(folder, resource)
        except StoreInUse:
            log.warning(
                "the task begins anew: the run before it does not let go of its state",
                **named(resource),
                state=str(folder),
                waited_s=self._patience_s,
            )
            return None
        except StoreDamaged as error:
            log.error("the task begins anew", **named(resource), why=str(error))
            return None
        return None if is_dropped(kept, resource) else kept

    def _begun(self, resource: Resource) -> Kept:
        """A new state. It is never that of an earlier run: its name has the run's epoch."""
        folder = task_folder(self._folder, resource) / run_name(resource)
        return begun(self._opened(folder, resource), resource)

    def _opened(self, folder: Path, resource: Resource) -> Kept:
        store = SqliteStore(folder, clock=self._clock, threads=self._threads)
        return opened(store, resource, self._patience_s)

    def _newest(self, resource: Resource) -> Path | None:
        chains = self._chains(resource)
        return max(chains)[1] if chains else None

    def _chains(self, resource: Resource) -> list[tuple[int, Path]]:
        """The crawls of a task: the epoch with which each began, and its folder."""
        found = []
        for path in matching(task_folder(self._folder, resource), f"*/{sqlite_files.NAME}"):
            parts = _CHAIN.fullmatch(path.parent.name)
            if parts and parts[1] == id_name(resource.id):
                found.append((int(parts[2]), path.parent))
        return found

    def _removed(self, folder: Path) -> bool:
        """Remove a state in a native thread. Returns whether it is gone."""
        error: StoreFailed | None = gevent.get_hub().threadpool.apply(_discarded, (folder,))
        if error is not None and not isinstance(error, StoreInUse):
            log.warning("a state cannot be removed", state=str(folder), why=str(error))
        return error is None


def last_used_s(folder: Path) -> float:
    """The wall time at which a run has used a state last; 0 if it is gone."""
    return max((each.st_mtime for each in files_of(folder).values()), default=0.0)


def files_of(folder: Path) -> dict[Path, os.stat_result]:
    """The files of a state. Any may go meanwhile: a run may use it, and end."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat()
    return found


def _discarded(folder: Path) -> StoreFailed | None:
    try:
        sqlite_files.discard(folder)
    except StoreFailed as error:
        return error
    with contextlib.suppress(OSError):  # others have states there
        folder.parent.rmdir()
        folder.parent.parent.rmdir()
    return None


def opened(store: Store, resource: Resource, patience_s: float) -> Kept:
    """Open a store for a run of a task. Raises StoreFailed."""
    return Kept(
        store,
        store.open(resource.epoch, patience_s),
        remembers_end=True,
        drops_missing=True,
        remembers_failure=True,
        texts={TRIES: json.dumps(tried(resource)), ABOUT: json.dumps(about(resource))},
    )


def begun(kept: Kept, resource: Resource) -> Kept:
    """Note in a new state what it is about. Raises StoreFailed."""
    try:
        kept.store.write(Step(state={ABOUT: json.dumps(about(resource))}))
    except BaseException:
        kept.store.close()
        raise
    return kept


def is_dropped(kept: Kept, resource: Resource) -> bool:
    """Drop a state that is of no use to a run. Returns whether it was."""
    why = why_anew(kept, resource)
    if not why:
        return False
    log.warning(
        f"the task begins anew: {why}",
        **named(resource),
        dropped_pages=kept.counts.pages,
        dropped_requests=kept.found.waiting,
    )
    kept.store.clear()
    return True


def is_shared(spec: Spec) -> bool:
    """Whether several workers run a task at once."""
    return spec.workers > 1 or spec.shard > 0


def about(resource: Resource) -> list[Any]:
    """What a state is about. Without a generation it is what other programs write."""
    return [*about_of(resource.spec), *([resource.generation] if resource.generation else [])]


def why_anew(kept: Kept, resource: Resource) -> str:
    """Why the state is of no use to a run; empty if the run goes on with it."""
    before, now = kept.value(ABOUT) or about(resource), about(resource)
    if before[2:] != now[2:]:
        if kept.is_done or not 0 < resource.generation - sum(before[2:]) <= resource.resumes:
            return "somebody asked for that"
        before = [*before[:2], resource.generation]  # it could not be written to its end
    if before != now:
        return "its spider or its arguments have changed"
    has_failed = kept.is_done and kept.end[0] is State.FAILED and not resource.spec.shard
    if has_failed and kept.value(TRIES) != tried(resource):
        return "it failed, and is tried again"
    return ""


def tried(resource: Resource) -> list[str]:
    """Which try of a task a run is: on which workers it has failed, and with which parameters.

    An update forgets these workers, but the try after it is another one. With the same parameters
    it would fail in the same way.
    """
    return [*resource.failed_on, digest(dict(resource.spec.parameters))]


def named(resource: Resource) -> dict[str, Any]:
    return {"task": resource.name, "epoch": resource.epoch}

"""The states of all tasks in one Redis: a task goes on at any worker, on any machine.

A run that has not ended in order can be refused by the store. So a task has one state there, and
nothing keeps the next run from it for long.

A task that several workers run has one for each of its shards, and what these share. Its head alone
decides whether it begins anew, for all. A task that was shared once stays so.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from crawler.clock import Clock
from crawler.engine.crawl.kept import ABOUT, Kept, digest
from crawler.engine.frontier.redis_shared_store import RedisSharedStore
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.store import (
    Found,
    Store,
    StoreDamaged,
    StoreFailed,
    StoreInUse,
)
from crawler.logs import get_logger
from crawler.model.records import Resource
from crawler.node.run.item_files import note_limits
from crawler.node.run.naming import id_name
from crawler.node.run.states import (
    PATIENCE_S,
    about,
    begun,
    is_dropped,
    is_shared,
    named,
    opened,
)

log = get_logger(__name__)

CHECK_S = 1.0
"""How often a worker that starts asks a Redis that does not answer."""
TELL_S = 60.0
"""How often it logs that, after the first time."""
LOOK_S = 3000.0
"""So often one of the workers looks for states that no run uses. Each tries once an hour."""
AGAIN_S = 0.1
"""How often a state that is still in use is tried to be removed."""
FREE_S = 1e-6
"""A state that no run has held for so long is free: one that is held counts as used just now."""


class SharedStates:
    """The states of all tasks, which all workers share."""

    def __init__(
        self, states: RedisStates, clock: Clock, items: Path, patience_s: float = PATIENCE_S
    ) -> None:
        """`items` is the folder of this worker for the items of all tasks."""
        self._states = states
        self._clock = clock
        self._items = items
        self._patience_s = patience_s

    def prepare(self) -> None:
        """Wait until Redis answers. Raises ConfigError if it could lose states."""
        due_s: float | None = None
        while not self._states.check():
            if due_s is None or self._clock.monotonic() >= due_s:
                log.warning("this worker takes no tasks yet", reason=self._states.silence)
                due_s = self._clock.monotonic() + TELL_S
            self._clock.sleep(CHECK_S)
        if due_s is not None:
            log.info("Redis answers, and this worker takes tasks")

    def look(self) -> None:
        """Ask Redis whether it is there."""
        self._states.look()

    def unready_reason(self) -> str:
        """Return why Redis cannot be used at present, or an empty text if it can."""
        return self._states.silence

    def open(self, resource: Resource) -> Kept:
        """Open the state of a task for a run. Waits until the run before it has let go, or has had
        its time.

        If there is none that the run can go on with, it begins anew. Raises StaleRun if a later run
        was here, and StoreFailed.
        """
        resource = self._of_its_crawl(resource)
        store, shard = self._store(resource)
        try:
            kept = replace(opened(store, resource, self._patience_s), shard=shard)
        except StoreDamaged as error:
            if shard:  # what it held is lost; nobody but the head may drop what the others have
                raise
            log.error("the task begins anew", **named(resource), why=str(error))
            return self._anew(store, resource, shard, drops_all=shard is not None)
        if kept.found.is_new:
            return begun(kept, resource)
        if is_dropped(kept, resource):
            return self._anew(store, resource, shard)
        return kept

    def again(self, kept: Kept, resource: Resource) -> Kept:
        """Open a state again that has lost its end. Raises StoreFailed."""
        resource = self._of_its_crawl(resource)
        if isinstance(kept.store, RedisSharedStore):
            kept.store.about = digest(about(resource))
        texts = {**kept.texts, ABOUT: json.dumps(about(resource))}
        found = kept.store.open(resource.epoch, 0.0)
        kept = replace(kept, found=found, texts=texts)
        return begun(kept, resource) if found.is_new else kept

    def _of_its_crawl(self, resource: Resource, even_if_ended: bool = False) -> Resource:
        """The resource in the generation of the crawl that its shards share, if its run may go on
        with it: all shards do, or none."""
        if not resource.resumes:
            return resource
        told, has_ended = self._states.about(_name(resource))
        if has_ended and not even_if_ended:
            return resource
        first = resource.generation - resource.resumes
        earlier = (resource.replace(generation=n) for n in range(first, resource.generation))
        return next((each for each in earlier if digest(about(each)) == told), resource)

    def clear(self, resource: Resource, patience_s: float = 0.0) -> bool:
        """Remove the state of a task, if no run uses it. Returns whether none is left.

        What a shard has goes to the others of its task, as long as that goes on. Runs of other
        shards may end meanwhile; those that do not in time lose their states.
        """
        until_s = self._clock.monotonic() + patience_s
        while True:
            is_late = self._clock.monotonic() >= until_s
            try:
                self._clear(resource, is_patient=not (is_late and patience_s))
            except StoreInUse:
                if is_late:
                    return False
                self._clock.sleep(AGAIN_S)
            except StoreFailed as error:
                log.warning("a state cannot be removed", **named(resource), why=str(error))
                return False
            else:
                return True

    def _clear(self, resource: Resource, is_patient: bool) -> None:
        name, shard = _name(resource), resource.spec.shard
        if not shard:
            self._states.clear(name, is_patient)
        elif not self._states.is_shared(name):
            self._states.clear_shard(name, shard)
        elif self._shard(self._of_its_crawl(resource, True)).give_away(FREE_S) is None:
            raise StoreInUse(f"shard {shard} of {name} is in use")

    def drop_unused(self, keep_s: float) -> None:
        """Remove the states that no run has used for so long, and what is left of those whose
        removal was cut off, if no other worker has looked lately. What fails is tried next time."""
        try:
            if not self._states.claims_look(LOOK_S):
                return
            for state in self._states.all():
                if state.unused_s > keep_s and not state.is_in_use:
                    self._drop(state.name, keep_s)
            self._states.finish_removals()
        except StoreFailed as error:
            log.warning("states that no run uses are not removed", why=str(error))

    def _drop(self, name: str, keep_s: float) -> None:
        try:
            self._states.clear(name)
        except StoreInUse:  # a run has begun meanwhile
            return
        log.info("a state is removed; no run has used it", state=name, keep_s=keep_s)

    def close(self) -> None:
        """Close the connections."""
        self._states.close()

    def _store(self, resource: Resource) -> tuple[Store, int | None]:
        """The store of a task, and which shard of it the run is; None if it is alone."""
        name, spec = _name(resource), resource.spec
        if is_shared(spec) or self._states.is_shared(name):
            return self._shard(resource), spec.shard
        return self._states(name), None

    def _shard(self, resource: Resource) -> RedisSharedStore:
        """The store of a shard. When another shard is emptied, it is noted how far its files count:
        others fetch again what came after that."""

        def gives_away(store: RedisSharedStore, found: Found) -> None:
            note_limits(self._items, resource, Kept(store, found, shard=store.shard))

        told = digest(about(resource))
        return self._states.shard(_name(resource), resource.spec.shard, told, gives_away)

    def _anew(
        self, store: Store, resource: Resource, shard: int | None, drops_all: bool = False
    ) -> Kept:
        kept = opened(store, resource, 0.0)
        if drops_all:
            store.clear()
            kept = opened(store, resource, 0.0)
        return begun(replace(kept, shard=shard), resource)


def _name(resource: Resource) -> str:
    """The name that all shards of a task have in common."""
    return f"{resource.spec.task}/{id_name(resource.id)}"

"""The states of all tasks in one Redis: a task goes on at any worker, on any machine.

A run that has not ended in order can be refused by the store. So a task has one state there, and
nothing keeps the next run from it for long.
"""

from __future__ import annotations

from dataclasses import replace

from crawler.clock import Clock
from crawler.engine.crawl.resume import Kept
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.store import Store, StoreDamaged, StoreFailed, StoreInUse
from crawler.logs import get_logger
from crawler.model.records import Resource
from crawler.node.worker.naming import id_name
from crawler.node.worker.states import PATIENCE_S, begun, is_dropped, named, opened

log = get_logger(__name__)

CHECK_S = 1.0
"""How often a worker that starts asks a Redis that does not answer."""
LOOK_S = 3000.0
"""So often one of the workers looks for states that no run uses. Each tries once an hour."""
AGAIN_S = 0.1
"""How often a state that is still in use is tried to be removed."""


class SharedStates:
    """The states of all tasks, which all workers share."""

    def __init__(self, states: RedisStates, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._states = states
        self._clock = clock
        self._patience_s = patience_s

    def prepare(self) -> None:
        """Wait until Redis answers. Raises ConfigError if it could lose states."""
        while not self._states.check():
            self._clock.sleep(CHECK_S)

    def unready_reason(self) -> str:
        """Return why Redis cannot be used at present, or an empty text if it can."""
        return self._states.silence

    def open(self, resource: Resource) -> Kept:
        """Open the state of a task for a run. Waits until the run before it has let go, or has had
        its time.

        If there is none that the run can go on with, it begins anew. Raises StaleRun if a later run
        was here, and StoreFailed.
        """
        store = self._states(_name(resource))
        try:
            kept = opened(store, resource, self._patience_s)
        except StoreDamaged as error:
            log.error("the task begins anew", **named(resource), why=str(error))
            return self._anew(store, resource)
        if kept.found.is_new:
            return begun(kept, resource)
        return self._anew(store, resource) if is_dropped(kept, resource) else kept

    def again(self, kept: Kept, resource: Resource) -> Kept:
        """Open a state again that has lost its end. Raises StoreFailed."""
        found = kept.store.open(resource.epoch, 0.0)
        kept = replace(kept, found=found)
        return begun(kept, resource) if found.is_new else kept

    def clear(self, resource: Resource, patience_s: float = 0.0) -> bool:
        """Remove the state of a task, if no run uses it. Returns whether none is left."""
        until_s = self._clock.monotonic() + patience_s
        while True:
            try:
                self._states.clear(_name(resource))
            except StoreInUse:
                if self._clock.monotonic() >= until_s:
                    return False
                self._clock.sleep(AGAIN_S)
            except StoreFailed as error:
                log.warning("a state cannot be removed", **named(resource), why=str(error))
                return False
            else:
                return True

    def drop_unused(self, keep_s: float) -> None:
        """Remove the states that no run has used for so long, if no other worker has looked lately.
        What fails is tried next time."""
        try:
            if not self._states.claims_look(LOOK_S):
                return
            for state in self._states.all():
                if state.unused_s > keep_s and not state.is_in_use:
                    self._drop(state.name, keep_s)
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

    def _anew(self, store: Store, resource: Resource) -> Kept:
        return begun(opened(store, resource, 0.0), resource)


def _name(resource: Resource) -> str:
    return f"{resource.name}/{id_name(resource.id)}"

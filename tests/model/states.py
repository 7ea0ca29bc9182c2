"""The states of tasks, as one Redis keeps them for all workers of the model: in memory.

A run that a later one has replaced can write nothing more. Nothing here forgets anything by itself,
so whoever removes the state of a task that goes on is to blame.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.engine.crawl.kept import ABOUT, COUNTERS, DONE
from crawler.engine.frontier.store import Found, StaleRun, Step, StoreInUse, Waiting
from crawler.model.records import Resource, State
from crawler.model.shards import shard_name, shard_names
from crawler.node.run.shared_states import SharedStates
from crawler.node.run.states import about

if TYPE_CHECKING:
    from tests.model.nodes import Process
    from tests.model.world import World

PATIENCE_S = 0.5
"""A run waits so long for the one before it. Then it takes over."""


class NoFiles:
    """The crawls of the model write no files, so nothing tells of their past; no thread looks."""

    def check(self, resource: Resource) -> None:
        """No run is refused for it."""


class Record:
    """What is kept of one task."""

    def __init__(self) -> None:
        self.epoch = 0
        self.holder: ModelStore | None = None
        """The run that goes on, as far as anybody knows."""
        self.texts: dict[str, str] = {}
        self.is_shared = False


class AllStates:
    """What the Redis holds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.records: dict[str, Record] = {}
        self.refused: set[tuple[Process, str, int]] = set()
        """The runs whose epoch was over when they began: process, name of the state, epoch. They
        wait for the leader, who gives their tasks later epochs."""

    def of(self, process: Process) -> SharedStates:
        """The states as a worker uses them."""
        states: Any = OfProcess(self, process)
        return SharedStates(states, process.clock, Path(), PATIENCE_S)

    def cleared(self, name: str, epoch: int | None = None) -> None:
        """Forget a state. Blames who does that while its task goes on with it. A run, which has an
        `epoch`, may begin anew if it was asked for something else meanwhile."""
        record = self.records.pop(name, Record())
        task, _, id = name.rpartition("/")
        history = self.world.history
        resource = history.resources.get(task)
        goes_on = resource is not None and resource.id == id and not self._has_ended(resource)
        is_its = record.texts.get(ABOUT) == json.dumps(about(resource)) if goes_on else False
        has_begun = COUNTERS in record.texts
        asked = (v for _, v in history.versions[task] if v is not None and v.epoch == epoch)
        is_other = any(record.texts.get(ABOUT) != json.dumps(about(v)) for v in asked)
        if is_its and has_begun and not is_other and not history.is_foreign(task):
            history.blame(f"the state of {task!r} (id {id}) was removed, and it goes on")
        self._forget(name, record)
        for shard in shard_names(task) if record.is_shared else ():
            if place := self.records.get(f"{shard}/{id}"):
                self._forget(f"{shard}/{id}", place)

    def _has_ended(self, resource: Resource) -> bool:
        head = self.world.history.resources.get(resource.spec.task)
        return resource.state.finished or head is None or head.state.finished

    def _forget(self, name: str, record: Record) -> None:
        self.records[name] = forgotten = Record()
        forgotten.epoch = record.epoch


class OfProcess:
    """In the place of `crawler.engine.frontier.redis_states.RedisStates`."""

    silence = ""

    def __init__(self, all: AllStates, process: Process) -> None:
        self._all = all
        self._process = process

    def __call__(self, name: str) -> ModelStore:
        return ModelStore(self._all, name, self._process)

    def look(self) -> None:
        """It is always there."""

    def check(self) -> bool:
        return True

    def claims_look(self, for_s: float) -> bool:
        return False

    def is_shared(self, name: str) -> bool:
        return self._all.records.get(name, Record()).is_shared

    def shard(self, name: str, shard: int, about: str, gives_away: Any) -> ModelShardStore:
        return ModelShardStore(self._all, _place_of(name, shard), self._process)

    def clear_shard(self, name: str, shard: int) -> None:
        self.clear(_place_of(name, shard))

    def about(self, name: str) -> tuple[str | None, bool]:
        return None, False

    def clear(self, name: str, is_patient: bool = True) -> None:
        record = self._all.records.get(name)
        if record is None:
            return
        if record.holder is not None and record.holder.lives:
            raise StoreInUse(f"{name} is in use")
        self._all.cleared(name)

    def close(self) -> None:
        """Nothing to let go of."""


class ModelStore:
    """The store of one run."""

    def __init__(self, all: AllStates, name: str, process: Process) -> None:
        self.place = name
        self._all = all
        self._process = process
        self._epoch: int | None = None

    @property
    def lives(self) -> bool:
        """Whether its process still says so."""
        return self._epoch is not None and self._process.host.process is self._process

    @property
    def _record(self) -> Record:
        return self._all.records.setdefault(self.place, Record())

    def open(self, epoch: int | None = None, patience_s: float = 0.0) -> Found:
        """Begin a run. Raises StaleRun."""
        until_s = self._process.clock.monotonic() + patience_s
        while True:
            record = self._record
            is_own = record.holder is self
            if epoch is None or epoch < record.epoch or (epoch == record.epoch and not is_own):
                self._all.refused.add((self._process, self.place, epoch or 0))
                raise StaleRun(
                    f"epoch {epoch} is over; the last one is {record.epoch}", record.epoch
                )
            is_held = record.holder is not None and record.holder.lives and not is_own
            if not is_held or self._process.clock.monotonic() >= until_s:
                break
            self._process.clock.sleep(0.1)
        record.epoch, record.holder, self._epoch = epoch, self, epoch
        if DONE in record.texts:
            self._tell_end(record)
        return Found(epoch, is_new=not record.texts, state=dict(record.texts))

    def _tell_end(self, record: Record) -> None:
        """The run will tell how an earlier one ended: that is its own end too."""
        task, _, id = self.place.rpartition("/")
        assert self._process.engine is not None
        run = self._process.engine.record(task, id, record.epoch)
        run.stopped_s, run.outcome = self._process.now_s, State(json.loads(record.texts[DONE])[0])

    def lease(self, most: int) -> Sequence[Waiting]:
        return ()

    def size(self) -> int:
        return 0

    def tally(self, kind: Any) -> Any:
        return {}

    def sending(self, mark: int) -> None:
        """Nothing is sent."""

    def write(self, step: Step) -> None:
        """Take a step. Raises StaleRun."""
        if self._record.holder is not self:
            raise StaleRun("a later run goes on instead", self._record.epoch)
        self._record.texts.update(step.state)

    def close(self, is_clean: bool = False) -> None:
        self._epoch = None

    def clear(self) -> None:
        """Forget everything. Raises StaleRun."""
        if self._record.holder is not self:
            raise StaleRun("a later run goes on instead", self._record.epoch)
        self._all.cleared(self.place, self._epoch)
        self._record.holder = self
        self._epoch = None


class ModelShardStore(ModelStore):
    """The store of one run of a shard. What the shards exchange is not modelled."""

    exchange = offer = adopt = texts = None

    def open(self, epoch: int | None = None, patience_s: float = 0.0) -> Found:
        """Begin a run. Raises StaleRun."""
        found = super().open(epoch, patience_s)
        self._record.is_shared = True
        return found

    def give_away(self, unused_s: float = 0.0) -> int | None:
        """Let the others have what the shard holds; None if somebody runs it."""
        holder = self._record.holder
        return None if holder is not None and holder.lives else 0


def _place_of(name: str, shard: int) -> str:
    """Where the state of a shard lies, so that it has the name of the shard in it."""
    task, _, id = name.rpartition("/")
    return f"{shard_name(task, shard)}/{id}"

"""The ground the steps stand on: how a run begins and ends, who is meant, what is checked."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from crawler.model.records import Spec
from crawler.model.shards import shard_name
from tests.model.checks import Checks
from tests.model.nodes import KEYS, POISON_AFTER, RARE, TTL_S, Host, Process
from tests.model.world import World

MOST_WORKERS = 4
NAMES = st.sampled_from(["a", "b", "c", "d"])
SPECS = st.builds(
    Spec,
    NAMES,
    spider=st.sampled_from(["common", "common", RARE]),
    parameters=st.sampled_from([{}, {}, {"depth": 1}]),
    workers=st.sampled_from([1, 1, 2, 3]),
)
CRAWLS = NAMES | st.builds(shard_name, NAMES, st.integers(1, 2))
"""What runs: tasks on one worker, heads, and shards."""
LEADER, OWNER = "the leader", "an owner"
"""Whoever leads, or has an unfinished task, when the step is taken: there it hurts most."""

MASTERS = st.sampled_from([LEADER, LEADER, "m1", "m2", "m3"])
WORKERS = st.sampled_from([OWNER, OWNER, *(f"w{n}" for n in range(1, MOST_WORKERS + 1))])
HOSTS = MASTERS | WORKERS
PREFIXES = st.sampled_from(
    [KEYS.resources, KEYS.registrations("worker"), KEYS.registrations("master")]
)
ONES = st.sampled_from(["add", "add", "update", "delete", "pause", "stop", "run"])
OTHERS = st.sampled_from(["delete", "delete", "update", "add", "resume", "run"])
"""What a client asks for, and what comes after it to undo it: the likeliest pairs to go wrong."""

LIVES = st.sampled_from(["pause", "pause", "resume", "resume", "stop", "run", "run"])
"""What a client wants of the life of a task."""

SHOWN = 120
"""Lines of the history that a failure shows."""


class Stage(RuleBasedStateMachine):
    """A cluster and its checks; the steps come on top."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        logging.disable(logging.CRITICAL)

    @initialize(
        workers=st.integers(2, MOST_WORKERS),
        apart_s=st.sampled_from([0.0, 0.0, 1.0]),
        schedule=st.integers(0, 1000),
        rate=st.sampled_from([1.0, 1.0, 0.9]),
        poison_after=st.sampled_from([0, POISON_AFTER]),
        is_scheduled=st.booleans(),
    )
    def begin(
        self,
        workers: int,
        apart_s: float,
        schedule: int,
        rate: float,
        poison_after: int,
        is_scheduled: bool,
    ) -> None:
        """All start at once, or one after another."""
        self.world = World(workers, schedule, rate, poison_after)
        self.checks = Checks(self.world)
        if is_scheduled:
            self.world.schedule()
        for host in self.world.hosts.values():
            self.world.start(host)
            if apart_s:
                self._pass(apart_s)
        self._pass(0.5)

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            if not self.world.history.violations:
                self._rest()
        finally:
            if self.world.history.violations:
                note("\n".join(self.world.history.trace[-SHOWN:]))
            self.world.close()
            self.world = None
            logging.disable(logging.NOTSET)

    # -- time ------------------------------------------------------------------------------------

    @rule(tenths=st.integers(1, 10))
    def moments_pass(self, tenths: int) -> None:
        self._pass(tenths / 10)

    @rule(seconds=st.integers(1, 2 * TTL_S))
    def seconds_pass(self, seconds: int) -> None:
        self._pass(float(seconds))

    @precondition(lambda self: self.world.timeline.now_s > 1020)
    @rule()
    def all_is_well_for_a_while(self) -> None:
        self._rest()

    # -- what each step ends with ----------------------------------------------------------------

    def _settle(self) -> None:
        self.world.settle(self.checks.moment)
        self.checks.step()

    def _pass(self, duration_s: float) -> None:
        self.world.advance(duration_s, self.checks.moment)
        self._settle()

    def _rest(self) -> None:
        self.world.heal()
        self._pass(4.0)  # who was about to stop has stopped now
        self.world.revive()
        self._pass(3.0 * TTL_S)
        self.world.pause_schedule(True)
        self._pass(1.0 * TTL_S)
        self.checks.rest()
        self.world.pause_schedule(False)

    def _host(self, name: str) -> Host:
        if name == LEADER:
            return self._leader() or self.world.masters[0]
        if name == OWNER:
            return self._owner() or self.world.workers[0]
        hosts: dict[str, Any] = self.world.hosts
        return hosts.get(name) or self.world.workers[-1]

    def _changed(self, name: str) -> Spec:
        """The task with other parameters, which mean another run."""
        resources = self.world.history.resources
        spec = resources.get(resources[name].spec.task, resources[name]).spec
        depth = int(spec.parameters.get("depth", 0)) + 1
        return dataclasses.replace(spec, parameters={"depth": depth})

    def _leader(self) -> Host | None:
        """Whoever leads by the store's word, if it lives."""
        leader = self.world.history.leader()
        process = leader[1] if leader else None
        if not isinstance(process, Process) or process.host.process is not process:
            return None
        return process.host

    def _owner(self) -> Host | None:
        """A worker with an unfinished task."""
        owners = (self._owner_of(name) for name in self.world.history.resources)
        return next((owner for owner in owners if owner is not None), None)

    def _owner_of(self, name: str) -> Host | None:
        resource = self.world.history.resources.get(name)
        if resource is None or resource.owner is None or resource.state.finished:
            return None
        return next(h for h in self.world.workers if h.node_id == resource.owner.node_id)

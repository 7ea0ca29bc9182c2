"""The steps hypothesis may take in the world, in any order, and what is checked after each.

A failing example prints its steps as a script: each line is a rule with its arguments. The history
of the run, everything that was written and by whom, is printed below it.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from crawler.records import Spec, State
from tests.model.checks import Checks
from tests.model.network import Fate
from tests.model.nodes import KEYS, RARE, TTL_S, Host, Process
from tests.model.world import World

MOST_WORKERS = 4
NAMES = st.sampled_from(["a", "b", "c", "d"])
SPECS = st.builds(
    Spec,
    NAMES,
    spider=st.sampled_from(["common", "common", RARE]),
    parameters=st.sampled_from([{}, {}, {"depth": 1}]),
)
LEADER, OWNER = "the leader", "an owner"
"""Whoever leads, or has an unfinished task, when the step is taken: there it hurts most."""

MASTERS = st.sampled_from([LEADER, LEADER, "m1", "m2", "m3"])
WORKERS = st.sampled_from([OWNER, OWNER, *(f"w{n}" for n in range(1, MOST_WORKERS + 1))])
HOSTS = MASTERS | WORKERS
PREFIXES = st.sampled_from(
    [KEYS.resources, KEYS.registrations("worker"), KEYS.registrations("master")]
)
ONES = st.sampled_from(["add", "add", "update", "delete"])
OTHERS = st.sampled_from(["delete", "delete", "update", "add"])
SHOWN = 120
"""Lines of the history that a failure shows."""


class ClusterMachine(RuleBasedStateMachine):
    """Anything that may happen to a cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        logging.disable(logging.CRITICAL)

    @initialize(
        workers=st.integers(2, MOST_WORKERS),
        apart_s=st.sampled_from([0.0, 0.0, 1.0]),
        schedule=st.integers(0, 1000),
        rate=st.sampled_from([1.0, 1.0, 0.9]),
    )
    def begin(self, workers: int, apart_s: float, schedule: int, rate: float) -> None:
        """All start at once, or one after another."""
        self.world = World(workers, schedule, rate)
        self.checks = Checks(self.world)
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

    # -- clients ---------------------------------------------------------------------------------

    @rule(spec=SPECS, via=MASTERS)
    def add(self, spec: Spec, via: str) -> None:
        self.world.request("add", spec, self._host(via))
        self._settle()

    @rule(spec=SPECS, one=MASTERS, other=MASTERS)
    def add_twice(self, spec: Spec, one: str, other: str) -> None:
        """The same task through two masters at once."""
        self.world.request("add", spec, self._host(one))
        self.world.request("add", spec, self._host(other))
        self._settle()

    @rule(spec=SPECS, via=MASTERS)
    def update(self, spec: Spec, via: str) -> None:
        self.world.request("update", spec, self._host(via))
        self._settle()

    @rule(name=NAMES, via=MASTERS)
    def delete(self, name: str, via: str) -> None:
        self.world.request("delete", Spec(name), self._host(via))
        self._settle()

    @rule(first=NAMES, spec=SPECS, via=MASTERS)
    def delete_and_add(self, first: str, spec: Spec, via: str) -> None:
        """Both wait for the same pass of the leader."""
        self.world.request("delete", Spec(first), self._host(via))
        self.world.request("add", spec, self._host(via))
        self._settle()

    @rule()
    def next_request_is_repeated(self) -> None:
        self.world.repeat_next_request()

    @rule()
    def next_answer_to_a_request_is_lost(self) -> None:
        self.world.transport.faults.lost_answers += 1

    # -- crawls ----------------------------------------------------------------------------------

    @rule(name=NAMES, outcome=st.sampled_from([State.DONE, State.FAILED]))
    def crawl_ends(self, name: str, outcome: State) -> None:
        """Wherever it runs."""
        for host in self.world.workers:
            engine = host.process.engine if host.process and not host.process.paused else None
            for record, crawl in list(engine.active.items()) if engine else []:
                if record.task == name:
                    crawl.finish(outcome)
        self._settle()

    # -- nodes -----------------------------------------------------------------------------------

    @rule(name=HOSTS)
    def crash_or_restart(self, name: str) -> None:
        host = self._host(name)
        if host.process is None:
            self.world.start(host)
        else:
            self.world.crash(host)
        self._settle()

    @rule(name=HOSTS)
    def crash_and_restart_at_once(self, name: str) -> None:
        host = self._host(name)
        if host.process is not None:
            self.world.crash(host)
        self.world.start(host)
        self._settle()

    @rule(name=HOSTS)
    def stop(self, name: str) -> None:
        host = self._host(name)
        if host.process is not None and not host.process.paused and not host.process.stopping:
            self.world.stop(host)
        self._settle()

    @rule(name=HOSTS)
    def pause_or_resume(self, name: str) -> None:
        host = self._host(name)
        if host.process is None:
            return
        if host.process.paused:
            self.world.resume(host)
        else:
            self.world.pause(host)
        self._settle()

    @rule(name=HOSTS, seconds=st.integers(1, 3 * TTL_S))
    def pause_for(self, name: str, seconds: int) -> None:
        host = self._host(name)
        if host.process is None or host.process.paused:
            return
        process = host.process
        self.world.pause(host)
        self._pass(float(seconds))
        if host.process is process:
            self.world.resume(host)
        self._settle()

    @rule(tenths=st.integers(0, 30))
    def the_leader_dies(self, tenths: int) -> None:
        """Twice within one time to live, when hypothesis says so."""
        leader = self._leader()
        if leader is not None:
            self.world.crash(leader)
        self._pass(tenths / 10)

    @rule(spec=SPECS, seconds=st.integers(0, 2 * TTL_S), paused=st.booleans())
    def a_write_of_the_leader_is_late(self, spec: Spec, seconds: int, paused: bool) -> None:
        """It is on its way while the leader is cut off or paused, perhaps until another leads."""
        leader = self._leader()
        if leader is None or leader.process is None:
            return
        leader.wire.requests.clear()
        self.world.request("add", spec, leader)
        self.world.timeline.settle()
        if paused:
            self.world.pause(leader)
        self._pass(float(seconds))
        if leader.process is not None and leader.process.paused:
            self.world.resume(leader)
        self.world.mend(leader)
        self._settle()

    @rule(kind=ONES, then=OTHERS, spec=SPECS)
    def a_write_in_doubt_arrives_late(self, kind: str, then: str, spec: Spec) -> None:
        """When the leader has settled what became of it, and has acted upon that."""
        leader = self._host(LEADER)
        leader.wire.fates[:] = [Fate.LATE]
        self.world.request(kind, spec, leader)
        self._pass(0.1)
        self.world.request(then, spec, leader)
        self._pass(0.1)
        leader.wire.land()
        self._settle()

    @rule(index=st.integers(0, 4), outcome=st.sampled_from([State.DONE, State.FAILED]))
    def a_run_ends_that_is_out_of_date(self, index: int, outcome: State) -> None:
        """Its worker has not heard yet that the task was changed."""
        owned = [name for name in self.world.history.resources if self._owner_of(name)]
        if not owned:
            return
        name = owned[index % len(owned)]
        owner = self._owner_of(name)
        owner.wire.hold(KEYS.resources)
        self.world.request("update", self._changed(name), self._host(LEADER))
        self._pass(0.1)
        self.crawl_ends(name, outcome)
        self._pass(0.1)
        self.world.mend(owner)
        self._settle()

    @rule(name=HOSTS)
    def lease_is_revoked(self, name: str) -> None:
        self.world.revoke_lease(self._host(name))
        self._settle()

    @rule(name=HOSTS)
    def registration_is_deleted(self, name: str) -> None:
        self.world.delete_registration(self._host(name))
        self._settle()

    @rule()
    def candidacy_of_the_leader_is_deleted(self) -> None:
        self.world.delete_candidate()
        self._settle()

    @rule(name=MASTERS, hours=st.integers(-2, 2))
    def wall_clock_jumps(self, name: str, hours: int) -> None:
        host = self._host(name)
        host.wall_offset_ns = hours * 3600 * 10**9
        if host.process is not None:
            host.process.clock.wall_offset_ns = host.wall_offset_ns

    # -- networks --------------------------------------------------------------------------------

    @rule(name=HOSTS)
    def cut_or_mend(self, name: str) -> None:
        """The store cannot be reached, and the node is told so at once."""
        host = self._host(name)
        if host.wire.refused:
            self.world.mend(host)
        else:
            host.wire.refused = True
            if host.process is not None:
                host.process.link.lose()
        self._settle()

    @rule(name=HOSTS)
    def hold_requests(self, name: str) -> None:
        self._host(name).wire.requests.clear()

    @rule(name=HOSTS)
    def hold_answers(self, name: str) -> None:
        self._host(name).wire.answers.clear()

    @rule(name=HOSTS, prefix=PREFIXES)
    def hold_a_watch(self, name: str, prefix: str) -> None:
        self._host(name).wire.hold(prefix)

    @rule(name=HOSTS)
    def deliver(self, name: str) -> None:
        self.world.mend(self._host(name))
        self._settle()

    @rule(name=HOSTS)
    def lose_what_is_held(self, name: str) -> None:
        host = self._host(name)
        if host.process is not None:
            host.process.link.lose()
        self.world.mend(host)
        self._settle()

    @rule(name=HOSTS)
    def watches_break(self, name: str) -> None:
        host = self._host(name)
        host.disturbed_s = self.world.timeline.now_s
        if host.process is not None:
            host.process.link.break_watches()
        self._settle()

    @rule(name=MASTERS, fates=st.lists(st.sampled_from(Fate), min_size=1, max_size=2))
    def next_writes_are_in_doubt(self, name: str, fates: list[Fate]) -> None:
        self._host(name).wire.fates.extend(fates)

    @rule(name=MASTERS)
    def a_late_write_arrives(self, name: str) -> None:
        self._host(name).wire.land()
        self._settle()

    @rule(name=HOSTS)
    def cut_off_from_nodes(self, name: str) -> None:
        host = self._host(name)
        host.deaf = not host.deaf

    # -- the store -------------------------------------------------------------------------------

    @rule()
    def compact(self) -> None:
        self.world.compact()
        self._settle()

    @rule(name=NAMES)
    def another_program_touches(self, name: str) -> None:
        self.world.foreign_touch(name)
        self._settle()

    @rule(name=NAMES)
    def another_program_deletes(self, name: str) -> None:
        self.world.foreign_delete(name)
        self._settle()

    @rule(index=st.integers(0, 4), deletes=st.booleans())
    def another_program_is_faster(self, index: int, deletes: bool) -> None:
        """It writes what the leader is about to change, and the leader has not heard of it."""
        names = list(self.world.history.resources)
        if not names:
            return
        name = names[index % len(names)]
        leader = self._host(LEADER)
        spec = self._changed(name)
        leader.wire.hold(KEYS.resources)
        if deletes:
            self.world.foreign_delete(name)
        else:
            self.world.foreign_touch(name)
        self.world.request("update", spec, leader)
        self._pass(0.1)
        self.world.mend(leader)
        self._settle()

    @rule(name=NAMES, back=st.integers(0, 5))
    def another_program_restores(self, name: str, back: int) -> None:
        """A backup, say: an old value of the task, with an epoch of the past."""
        self.world.foreign_restore(name, back)
        self._settle()

    @rule()
    def another_program_adds(self) -> None:
        self.world.foreign_add("foreign")
        self._settle()

    # -- what each step ends with --------------------------------------------------------------

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
        self._pass(4.0 * TTL_S)
        self.checks.rest()

    def _host(self, name: str) -> Host:
        if name == LEADER:
            return self._leader() or self.world.masters[0]
        if name == OWNER:
            return self._owner() or self.world.workers[0]
        hosts: dict[str, Any] = self.world.hosts
        return hosts.get(name) or self.world.workers[-1]

    def _changed(self, name: str) -> Spec:
        """The task with other parameters, which mean another run."""
        spec = self.world.history.resources[name].spec
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

"""Steps of faults: nodes that die, stop or stand still, and networks that hold, lose or break."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from crawler.model.records import Spec, State
from tests.model.client_steps import ClientSteps
from tests.model.network import Fate
from tests.model.nodes import KEYS, TTL_S
from tests.model.stage import HOSTS, LEADER, MASTERS, ONES, OTHERS, PREFIXES, SPECS


class FaultSteps(ClientSteps):
    """Whatever may go wrong."""

    # -- nodes ---

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

    @rule(index=st.integers(0, 4), writes=st.integers(1, 6), deleted=st.booleans())
    def the_leader_hears_all_at_once(self, index: int, writes: int, deleted: bool) -> None:
        """A worker is gone, and its task was written by others, while the leader stood still."""
        leader = self._leader()
        owned = [name for name in self.world.history.resources if self._owner_of(name)]
        if leader is None or leader.process.paused or not owned:
            return
        name = owned[index % len(owned)]
        self.world.pause(leader)
        for _ in range(writes):
            self.world.foreign_touch(name)
        if deleted:
            self.world.foreign_delete(name)
        self.world.revoke_lease(self._owner_of(name))
        self._settle()
        self.world.resume(leader)
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

    # -- networks ---

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

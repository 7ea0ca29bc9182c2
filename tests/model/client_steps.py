"""Steps of clients, crawls and other programs: what the cluster is for, and its neighbours."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st
from hypothesis.stateful import rule

from crawler.model.records import Spec, State
from crawler.model.shards import shard_name, shard_names
from tests.model.nodes import KEYS
from tests.model.stage import CRAWLS, LEADER, LIVES, MASTERS, NAMES, SPECS, Stage


class ClientSteps(Stage):
    """What is asked for, how crawls end, and who else writes into the store."""

    # -- clients ---

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

    @rule(name=NAMES, workers=st.integers(1, 3), via=MASTERS)
    def change_workers(self, name: str, workers: int, via: str) -> None:
        """More or fewer of them, while the task runs."""
        resource = self.world.history.resources.get(name)
        if resource is not None:
            spec = dataclasses.replace(resource.spec, workers=workers)
            self.world.request("update", spec, self._host(via))
        self._settle()

    @rule(name=NAMES, via=MASTERS)
    def delete(self, name: str, via: str) -> None:
        self.world.request("delete", Spec(name), self._host(via))
        self._settle()

    @rule(name=NAMES, wish=LIVES, via=MASTERS)
    def ask_of_its_life(self, name: str, wish: str, via: str) -> None:
        """Whatever the task does just now."""
        self.world.request(wish, Spec(name), self._host(via))
        self._settle()

    @rule(name=NAMES, first=LIVES, second=LIVES, via=MASTERS)
    def ask_two_things_of_its_life(self, name: str, first: str, second: str, via: str) -> None:
        """Both wait for the same pass of the leader."""
        self.world.request(first, Spec(name), self._host(via))
        self.world.request(second, Spec(name), self._host(via))
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

    # -- crawls ---

    @rule(name=NAMES, outcome=st.sampled_from([State.DONE, State.FAILED]))
    def crawl_ends(self, name: str, outcome: State) -> None:
        """Wherever it runs."""
        self._end_crawls(name, outcome)
        self._settle()

    @rule(name=NAMES, number=st.integers(1, 2))
    def shard_fails(self, name: str, number: int) -> None:
        """The others of its task go on."""
        self._end_crawls(shard_name(name, number), State.FAILED)
        self._settle()

    @rule(name=NAMES, outcome=st.sampled_from([State.DONE, State.FAILED]))
    def all_crawls_of_a_task_end(self, name: str, outcome: State) -> None:
        """It is over, and its shards have heard of it."""
        for shard in shard_names(name, 3):
            self._end_crawls(shard, State.DONE)
        self._end_crawls(name, outcome)
        self._settle()

    def _end_crawls(self, name: str, outcome: State) -> None:
        for host in self.world.workers:
            engine = host.process.engine if host.process and not host.process.paused else None
            for record, crawl in list(engine.active.items()) if engine else []:
                if record.task == name:
                    crawl.finish(outcome)

    @rule(name=CRAWLS, charged=st.booleans())
    def process_of_a_crawl_is_gone(self, name: str, charged: bool) -> None:
        """Wherever it runs; its worker lives."""
        self.world.interrupt(name, charged)
        self._settle()

    @rule(name=CRAWLS, times=st.integers(2, 6), charged=st.booleans())
    def process_is_gone_again_and_again(self, name: str, times: int, charged: bool) -> None:
        for _ in range(times):
            self.world.interrupt(name, charged)
            self._pass(2.0)

    # -- the store ---

    @rule()
    def compact(self) -> None:
        self.world.compact()
        self._settle()

    @rule(name=NAMES)
    def another_program_touches(self, name: str) -> None:
        self.world.foreign_touch(name)
        self._settle()

    @rule(name=CRAWLS)
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

    @rule(index=st.integers(0, 3))
    def another_program_stores_an_odd_value(self, index: int) -> None:
        """The leader goes on, whatever it is."""
        self.world.foreign_odd(index)
        self._settle()

    @rule()
    def another_program_adds(self) -> None:
        self.world.foreign_add("foreign")
        self._settle()

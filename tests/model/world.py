"""A cluster of real masters and workers in a world that does just what it is told."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import gevent
from gevent import Greenlet

from crawler.api.backend import Call
from crawler.coordination.codec import decode_resource
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Compare, Delete, Put, TxnResult
from crawler.coordination.store import Operation as Write
from crawler.errors import CrawlerError, OutcomeUnknown
from crawler.model.records import Spec
from tests.model.engine import RunRecord
from tests.model.history import FOREIGN, History
from tests.model.network import Record
from tests.model.nodes import KEYS, MASTER, RARE, SPIDERS, TTL_S, WORKER, Host, Process, on_spawn
from tests.model.operations import Fare, Operation
from tests.model.schedules import TASK, stored, with_pause
from tests.model.states import AllStates
from tests.model.timeline import NodeClock, Timeline
from tests.model.transport import ModelPeers, Transport

TIMEOUT_S = 3.0
"""Deadline of a client's request."""


AT_THE_BOUNDS = b'{"CreationTime":9223372036854775807,'
ODD = [
    AT_THE_BOUNDS + b'"Kills":2147483647,"Priority":-2147483648,"Spider":"common"}',
    b'{"State":"pending","FailedOn":[%s]}' % b",".join([b'"w"'] * 1100),
    b'{"Spider":"\xed\xa0\x80"}',
    b'{"Parameters":{"a":1e999}}',
]
"""What other programs may store. The first can be read; it must be placed like any other."""


class World:
    """Hosts, their network, the store, the clients; every method is something that happens."""

    def __init__(
        self, workers: int, schedule: int = 0, rate: float = 1.0, poison_after: int = 0
    ) -> None:
        """`schedule` chooses how calls interleave (0: none overtakes another); `rate` is how fast
        the nodes' clocks run against the store's; `poison_after` is the setting of the leader."""
        self._poison_after = poison_after
        self._patches = [
            mock.patch("crawler.clock.TURN_S", 0),  # turns without looking at real time
            # No plugins from elsewhere; looking for them takes longer than anything else here.
            mock.patch("pluggy.PluginManager.load_setuptools_entrypoints"),
        ]
        for patch in self._patches:
            patch.start()
        Greenlet.add_spawn_callback(on_spawn)
        self.timeline = Timeline()
        self.masters = [Host(MASTER, str(n)) for n in (1, 2, 3)]
        self.workers = [Host(WORKER, str(n)) for n in range(1, workers + 1)]
        self.workers[-1].spiders = SPIDERS | {RARE}
        self.hosts = {str(host): host for host in [*self.masters, *self.workers]}
        for host in self.hosts.values():
            host.rate = rate
        self._dice = random.Random(schedule)
        self._most_turns = 3 if schedule else 0
        self.runs: list[RunRecord] = []
        self.history = History(self.timeline, self.runs)
        self.transport = Transport(self.timeline, list(self.hosts.values()), self.runs)
        self.store = MemoryStore(NodeClock(self.timeline))
        self.store.lease_grant(10**9)  # the store's own greenlet begins here, in no node
        self._client_clock = NodeClock(self.timeline)
        self._greenlets = [gevent.spawn(self.history.follow, self.store)]
        self._notes = 0
        self.states = AllStates(self)

    # -- nodes -----------------------------------------------------------------------------------

    def start(self, host: Host) -> None:
        self.history.note(f"{host} starts")
        host.process = Process(
            host,
            self.timeline,
            self.store,
            lambda process, forwards: ModelPeers(self.transport, process, forwards),
            self._record_write,
            self._record_run,
            lambda: self._dice.randint(0, self._most_turns),
            self.states.of,
            self._poison_after,
        )
        host.disturbed_s = self.timeline.now_s
        host.process.spawn(host.process.start)

    def stop(self, host: Host) -> None:
        """A clean end."""
        process = self._living(host)
        self.history.note(f"{host} stops")

        def stop() -> None:
            process.stop()
            if host.process is process:
                self._end_life(host, process)

        host.disturbed_s = self.timeline.now_s
        process.spawn(stop)

    def crash(self, host: Host) -> None:
        self.history.note(f"{host} crashes")
        self._end_life(host, self._living(host))

    def pause(self, host: Host) -> None:
        self.history.note(f"{host} is paused")
        self._living(host).clock.running.clear()

    def resume(self, host: Host) -> None:
        self.history.note(f"{host} goes on")
        host.disturbed_s = self.timeline.now_s
        self._living(host).clock.running.set()

    def _end_life(self, host: Host, process: Process) -> None:
        host.process = None
        process.die()
        self.transport.died(process)

    def _living(self, host: Host) -> Process:
        assert host.process is not None
        return host.process

    def interrupt(self, name: str, charged: bool) -> bool:
        """The processes that crawl a task are gone, wherever it runs. Whether there was any."""
        found = False
        for host in self.workers:
            engine = host.process.engine if host.process and not host.process.paused else None
            for record, crawl in list(engine.active.items()) if engine else []:
                if record.task == name:
                    blame = "its task is to blame" if charged else "no task is to blame"
                    self.history.note(f"the process of {record} is gone; {blame}")
                    crawl.interrupt(charged)
                    found = True
        return found

    # -- clients ---------------------------------------------------------------------------------

    def request(self, kind: str, spec: Spec, via: Host) -> Operation:
        """A client asks a master for something; it is answered when it is answered."""
        operation = self.history.began(kind, spec)
        self.history.note(f"client: {kind} {spec.name} through {via}")
        backend = self.transport.backend(self._client_clock, via.address, False, None)
        call = Call(TIMEOUT_S)
        asked: dict[str, Callable[[], Any]] = {
            "add": lambda: backend.submit(spec, call),
            "update": lambda: backend.update(spec, call),
            "delete": lambda: backend.delete(spec.name, call),
            "pause": lambda: backend.pause(spec.name, call),
            "resume": lambda: backend.resume(spec.name, call),
            "stop": lambda: backend.stop(spec.name, call),
            "run": lambda: backend.run(spec.name, call),
        }

        def ask() -> None:
            try:
                asked[kind]()
            except OutcomeUnknown as error:
                self.history.ended(operation, Fare.UNKNOWN, str(error))
            except CrawlerError as error:
                fare = self._fare(operation)
                self.history.ended(operation, fare, f"{type(error).__name__}: {error}")
            else:
                self.history.ended(operation, Fare.DONE)

        self._greenlets.append(gevent.spawn(ask))
        return operation

    def _fare(self, operation: Operation) -> Fare:
        """A refusal; but a task that was deleted right after looks as if it had never been there,
        to the leader that settles a lost write, and to the read that makes the answer."""
        versions = self.history.versions[operation.spec.name]
        deleted = any(r > operation.began and version is None for r, version in versions)
        return Fare.UNKNOWN if deleted else Fare.REFUSED

    def repeat_next_request(self) -> None:
        self.transport.faults.duplicates += 1
        for operation in self.history.operations:
            operation.tainted = operation.tainted or operation.ended is None

    # -- other programs ------------------------------------------------------------------------

    def foreign_touch(self, name: str) -> None:
        """Another program writes a resource again, with a field of its own."""
        kv = self.store.get(KEYS.resource(name))
        if kv is not None:
            self._notes += 1
            value = json.loads(kv.value) | {"Note": self._notes}
            self._foreign(Put(kv.key, json.dumps(value).encode()))

    def schedule(self) -> None:
        """A schedule stands in the store before any node lives."""
        self._foreign(stored(self.timeline.wall_ns))

    def pause_schedule(self, is_paused: bool) -> None:
        """At rest nothing begins."""
        kv = self.store.get(KEYS.schedule(TASK))
        write = kv and with_pause(kv, is_paused)
        if write:
            self._foreign(write)

    def foreign_add(self, name: str) -> None:
        value = {"ID": "", "Name": name, "AssignedNode": "", "CreationTime": 0, "Spider": "common"}
        self._foreign(Put(KEYS.resource(name), json.dumps(value).encode()))

    def foreign_odd(self, index: int) -> None:
        """Another program stores a value at the bounds of what is allowed, or beyond them."""
        value = ODD[index % len(ODD)]
        name = "foreign" if value.startswith(AT_THE_BOUNDS) else "odd"
        self._foreign(Put(KEYS.resource(name), value))

    def foreign_delete(self, name: str) -> None:
        self._foreign(Delete(KEYS.resource(name)))

    def foreign_restore(self, name: str, back: int) -> None:
        """Another program puts an old value back, of the same task."""
        present = self.history.resources.get(name)
        values = [
            value
            for value in self.history.values[name]
            if present is not None and _id_in(name, value) == present.id
        ]
        if values:
            self._foreign(Put(KEYS.resource(name), values[-1 - back % len(values)]))

    def _foreign(self, write: Put | Delete) -> None:
        result = self.store.txn([], [write])
        self.history.authors[result.revision] = FOREIGN

    def compact(self) -> None:
        """The store forgets its past; who is behind must list anew."""
        for host in self.hosts.values():
            host.disturbed_s = self.timeline.now_s
        self.store.compact(self.history.revision)

    def delete_registration(self, host: Host) -> None:
        """By hand, under a node that relies on it."""
        session = host.process.membership.session if host.process else None
        if session is not None:
            self.history.forced[(session.node.id, session.node.incarnation)] = self.timeline.now_s
            self._foreign(Delete(KEYS.registration(host.role, session.node.id)))

    def delete_candidate(self) -> None:
        """By hand, under the leader."""
        candidates = self.store.range(KEYS.election).items
        if candidates:
            self._foreign(Delete(min(candidates, key=lambda kv: kv.create_revision).key))

    def revoke_lease(self, host: Host) -> bool:
        """An operator ends the lease of a node that relies on it."""
        session = host.process.membership.session if host.process else None
        if session is None:
            return False
        self.history.note(f"the lease of {host} is revoked by hand")
        self.history.forced[(session.node.id, session.node.incarnation)] = self.timeline.now_s
        self.store.lease_revoke(session.lease.id)
        return True

    # -- time ------------------------------------------------------------------------------------

    def settle(self, check: Callable[[], None]) -> None:
        self.timeline.settle()
        check()

    def advance(self, duration_s: float, check: Callable[[], None]) -> None:
        self.timeline.advance(duration_s, check)

    def heal(self) -> None:
        """All is well from now on: nobody is paused, every wire is whole."""
        self.history.note("all is healed")
        self.transport.faults.duplicates = self.transport.faults.lost_answers = 0
        for host in self.hosts.values():
            host.deaf = False
            self.mend(host)
            host.wire.land()
            if host.process is not None and host.process.paused:
                self.resume(host)

    def revive(self) -> None:
        """Start whoever does not live."""
        for host in self.hosts.values():
            if host.process is None:
                self.start(host)

    def mend(self, host: Host) -> None:
        """The wire of a node is whole again; what was held on it arrives."""
        wire = host.wire
        host.disturbed_s = self.timeline.now_s
        wire.refused = False
        wire.fates.clear()
        wire.requests.set()
        wire.answers.set()
        held, wire.held_watches = wire.held_watches, {}
        for valve in held.values():
            valve.set()
        if host.process is not None:
            host.process.link.pump()

    def close(self) -> None:
        """End everything that still runs."""
        for host in self.hosts.values():
            if host.process is not None:
                self._end_life(host, host.process)
        gevent.killall(self._greenlets, block=False)
        self.timeline.settle()
        self.store.close()
        self.timeline.settle()
        Greenlet.remove_spawn_callback(on_spawn)
        for patch in self._patches:
            patch.stop()

    # -- records -----------------------------------------------------------------------------------

    def _record_write(self, process: Process) -> Record:
        def record(result: TxnResult, _: Sequence[Compare], carried_out: Sequence[Write]) -> None:
            if any(isinstance(operation, Put | Delete) for operation in carried_out):
                self.history.authors[result.revision] = process

        return record

    def _record_run(self, process: Process) -> Callable[[str, str, int], RunRecord]:
        def record(task: str, id: str, epoch: int) -> RunRecord:
            run = RunRecord(
                task, id, epoch, process.host.node_id, process.incarnation, self.timeline.now_s
            )
            self.runs.append(run)
            self.history.note(f"run of {run} starts")
            return run

        return record


__all__ = ["TTL_S", "World"]


def _id_in(name: str, value: bytes) -> str | None:
    try:
        return decode_resource(name, value, 0).id
    except ValueError:
        return None

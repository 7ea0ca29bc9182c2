"""What must hold at each moment, and what must hold once all has been well for a while."""

from __future__ import annotations

from collections import Counter
from typing import Any

from crawler.api.backend import Call
from crawler.coordination.mirror import Mirror
from crawler.model.records import Resource
from crawler.model.shards import shard_names, shard_spec
from crawler.node.master.interruptions import pause_before
from crawler.node.master.master import Master
from tests.model.nodes import KEYS, POISON_AFTER, TTL_S, WELL_AGAIN_S, Host, Process
from tests.model.world import World


class Checks:
    """Compares what the nodes do and believe with the history."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._history = world.history
        self._seen: dict[tuple[Process, str], int] = {}
        """Revision that a mirror of a master showed last of a resource."""

    # -- at each moment ------------------------------------------------------------------------

    def moment(self) -> None:
        """After every turn of events. Raises AssertionError with all that is wrong."""
        for host in self._world.hosts.values():
            process = host.process
            if process is None:
                continue
            if process.failure:
                self._history.blame(f"{process} failed: {process.failure}")
            if process.engine is not None and not process.paused:
                self._check_runs(process)
        self.raise_violations()

    def step(self) -> None:
        """After every step: what is too dear to look at each moment."""
        for host in self._world.masters:
            if host.process is not None:
                self._check_mirror(host.process)
        for host in self._world.workers:
            if host.process is not None:
                self._check_obedience(host.process)
        self.moment()

    def raise_violations(self) -> None:
        if self._history.violations:
            raise AssertionError("\n".join(self._history.violations))

    def _check_runs(self, process: Process) -> None:
        """A worker that runs has no run under a registration that is gone."""
        assert process.engine is not None
        for run in process.engine.active:
            registration = (run.node, run.incarnation)
            # What was ended by hand is found out by asking: within a renewal while etcd answers,
            # and when the lease is over by the node's clock if it ceases to.
            forced_s = self._history.forced.get(registration)
            if forced_s is not None and self._world.timeline.now_s < forced_s + 2 * TTL_S:
                continue
            if self._history.workers.get(registration, 0.0) is not None:
                self._history.blame(f"{run} goes on though its worker is not registered")

    def _check_mirror(self, process: Process) -> None:
        """What a master sees of a resource only ever becomes newer."""
        values = _resources(process)
        names = set(values) | {name for owner, name in self._seen if owner is process}
        for name in sorted(names):
            last = self._seen.get((process, name), 0)
            resource = values.get(name)
            shown = self._gone_after(name, last) if resource is None else resource.mod_revision
            if shown is None or shown < last:
                self._history.blame(
                    f"the mirror of {process} went back on {name!r} from r{last} to "
                    f"{'before it was there' if shown is None else f'r{shown}'}"
                )
                continue
            self._seen[(process, name)] = shown

    def _gone_after(self, name: str, last: int) -> int | None:
        """The first revision since the last seen at which the resource was not there."""
        versions = self._history.versions[name]
        if last == 0:
            return 0
        gone = (r for r, version in versions if version is None and r >= last)
        return next(gone, None)

    def _check_obedience(self, process: Process) -> None:
        """A worker whom nothing disturbs runs just what it is assigned."""
        world, host = self._world, process.host
        now_s = world.timeline.now_s
        if not process.undisturbed or now_s < host.disturbed_s + WELL_AGAIN_S or process.stopping:
            return
        assert process.engine is not None
        running = {run.task: (run.id, run.epoch) for run in process.engine.active}
        ended = {
            (r.task, r.id, r.epoch) for r in world.runs if r.outcome and r.node == host.node_id
        }
        mine = {
            name: (r.id, r.epoch)
            for name, r in self._history.resources.items()
            if self._is_of(r, process) and not r.state.finished
        }
        for name in sorted(running.keys() | mine.keys()):
            if now_s < self._history.changed_s.get(name, 0.0) + WELL_AGAIN_S:
                continue
            has_ended = name in mine and (
                (name, *mine[name]) in ended or self._is_refused(process, name, *mine[name])
            )
            if running.get(name) != mine.get(name) and not has_ended:
                self._history.blame(
                    f"{process} runs {running.get(name)} of {name!r}, not {mine.get(name)}"
                )

    def _is_refused(self, process: Process, name: str, id: str, epoch: int) -> bool:
        """Whether the worker, or the state, refuses a run, because another program put an old epoch
        back. The leader, who may be disturbed, is told so."""
        protested = {(each.name, each.id) for each in process.role._epochs.protests()}
        is_told = (name, id) in protested
        return is_told or (process, f"{name}/{id}", epoch) in self._world.states.refused

    def _is_of(self, resource: Resource, process: Process) -> bool:
        owner = resource.owner
        return owner is not None and (owner.node_id, owner.incarnation) == (
            process.host.node_id,
            process.incarnation,
        )

    # -- at rest -------------------------------------------------------------------------------

    def rest(self) -> None:
        """All has been well for long enough: everything must be as it should be."""
        self.step()
        leader = self._check_leader()
        for name, resource in self._history.resources.items():
            self._check_at_work(name, resource)
        self._check_shards()
        self._check_nothing_else_runs()
        self._check_mirrors()
        if leader is not None:
            self._check_loads(leader)
        for fault in self._history.firings.at_rest(self._history.versions):
            self._history.blame(fault)
        for operation in self._history.operations:
            if operation.ended is None:
                self._history.blame(f"never answered: {operation}")
        self.raise_violations()

    def _check_leader(self) -> Process | None:
        leading = [m.process for m in self._world.masters if m.process and _backend(m.process)]
        if len(leading) != 1:
            self._history.blame(f"{len(leading)} masters lead: {', '.join(map(str, leading))}")
            return None
        leader: Process = leading[0]
        for host in self._world.hosts.values():
            seen = host.process.role._observer.leader if host.process else None
            if seen is None or seen.address != leader.host.address:
                self._history.blame(f"{host} takes {seen} for the leader, which is {leader}")
        return leader

    def _check_at_work(self, name: str, resource: Resource) -> None:
        if resource.state.finished:
            return
        owner = resource.owner
        if resource.paused and owner is None:
            return
        if owner is None and self._may_wait(name, resource):
            return
        if owner is None:
            self._history.blame(f"{name!r} has no owner: {resource.state.value} {resource.reason}")
            return
        host = self._host_of(owner.node_id)
        process = host.process if host else None
        if process is None or process.incarnation != owner.incarnation:
            self._history.blame(f"{name!r} belongs to {owner}@{owner.incarnation}, which is gone")
        elif not any(self._is_run_of(run, resource) for run in process.engine.active):  # type: ignore[union-attr]
            self._history.blame(f"{name!r} is assigned to {host} and does not run there")

    def _check_shards(self) -> None:
        """Each task has just the shards that it asks for, and has ended with all of them."""
        tasks = self._history.resources
        for name, resource in tasks.items():
            head = tasks.get(resource.spec.task)
            if resource.spec.shard and (head is None or head.id != resource.id):
                self._history.blame(f"{name!r} (id {resource.id}) has no task of that id")
            if resource.spec.shard:
                continue
            shards = {each: tasks[each] for each in shard_names(name) if each in tasks}
            wanted = {*shard_names(name, resource.spec.workers)}
            at_work = [each for each in shards.values() if not each.state.finished]
            if resource.has_ended:
                left = [each for each, shard in shards.items() if not shard.state.finished]
                if left or set(shards) - wanted:
                    self._history.blame(f"{name!r} has ended, and of its shards {left} have not")
            elif set(shards) != wanted:
                self._history.blame(f"{name!r} has the shards {[*shards]}, not {sorted(wanted)}")
            elif any(bool(s.paused) is not bool(resource.paused) for s in at_work):
                self._history.blame(f"a shard of {name!r} rests though its task does not, or works")
            elif any(s.spec != shard_spec(resource.spec, s.spec.shard) for s in shards.values()):
                self._history.blame(f"a shard of {name!r} does not do what its task is")

    def _may_wait(self, name: str, resource: Resource) -> bool:
        """Whether a task waits because its processes are gone again and again, or died of it."""
        if resource.reason.startswith("parked: "):
            return resource.kills >= POISON_AFTER
        since_s = self._history.changed_s.get(name, 0.0)
        paused_s = pause_before(resource) + WELL_AGAIN_S
        return (
            bool(resource.interruption.reason) and self._world.timeline.now_s < since_s + paused_s
        )

    def _is_run_of(self, run: Any, resource: Resource) -> bool:
        return (run.task, run.id, run.epoch) == (resource.name, resource.id, resource.epoch)

    def _check_nothing_else_runs(self) -> None:
        running = Counter(
            run.task
            for host in self._world.workers
            if host.process and host.process.engine
            for run in host.process.engine.active
        )
        for task, count in sorted(running.items()):
            resource = self._history.resources.get(task)
            if count != 1 or resource is None:
                self._history.blame(f"{task!r} runs {count} times")
            elif resource.paused or resource.state.finished:
                self._history.blame(f"{task!r} runs though it is {resource.told_state}")

    def _check_mirrors(self) -> None:
        for host in self._world.masters:
            assert host.process is not None
            cluster = host.process.role._mirrors
            for mirror in (cluster.resources, cluster.workers, cluster.masters):
                self._check_equal(host, mirror)

    def _check_equal(self, host: Host, mirror: Mirror[Any]) -> None:
        stored = self._world.store.range(mirror._prefix).items
        decoded = {kv.key: mirror._decoded(kv) for kv in stored}
        expected = {key: value for key, value in decoded.items() if value is not None}
        if expected != dict(mirror.values):
            differing = sorted(
                key
                for key in expected.keys() | mirror.values.keys()
                if expected.get(key) != mirror.values.get(key)
            )
            self._history.blame(f"a mirror of {host} differs from the store in {differing}")

    def _check_loads(self, leader: Process) -> None:
        backend = _backend(leader)
        loads = {each.node.id: each for each in backend.nodes(Call(1.0)) if each.role == "worker"}
        for host in self._world.workers:
            assert host.process is not None
            mine = [r for r in self._history.resources.values() if self._is_of(r, host.process)]
            load = loads.get(host.node_id)
            counts = (sum(not r.state.finished for r in mine), len(mine))
            told = (load.unfinished, load.resources) if load else None
            if told != counts:
                self._history.blame(f"the load of {host} is said to be {told}, and is {counts}")

    def _host_of(self, node_id: str) -> Host | None:
        return next((h for h in self._world.workers if h.node_id == node_id), None)


def _backend(process: Process) -> Any:
    role = process.role
    return role.local_backend() if isinstance(role, Master) else None


def _resources(process: Process) -> dict[str, Resource]:
    mirrored = process.role._mirrors.resources.values
    return {KEYS.resource_name(key) or "": resource for key, resource in mirrored.items()}

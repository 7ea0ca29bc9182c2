"""Nodes of the model: real roles and memberships, on a link, clock and engine of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent import Greenlet

from crawler.coordination.keys import MASTER, WORKER, Keys
from crawler.coordination.memory import MemoryStore
from crawler.engine.items.sinks.factory import Sinks
from crawler.node.crew.in_process import InProcess
from crawler.node.master.master import Master
from crawler.node.membership.membership import Membership
from crawler.node.membership.names import NodeNames
from crawler.node.run.states import TaskStates
from crawler.node.worker.worker import Worker
from crawler.settings.scheduler import SchedulerSettings
from crawler.settings.sections import CoordinationSettings, NodeSettings, Settings
from crawler.settings.worker import IN_PROCESS, FrontierSettings, WorkerSettings
from crawler.supervision import OnEnd, Supervisor
from tests.model.engine import ModelEngine, RunRecord
from tests.model.network import Link, Record, Wire
from tests.model.states import NoFiles
from tests.model.timeline import NodeClock, Timeline

TTL_S = 5
DRAIN_S = 5.0
"""How long a node that stops waits for what is under way."""

WELL_AGAIN_S = 2.0
"""How long a node may need to be as if nothing had been, once nothing disturbs it any more."""

KEYS = Keys(CoordinationSettings())
SPIDERS = frozenset({"common"})
RARE = "rare"
"""A spider that only the last worker has."""


POISON_AFTER = 5
"""More deaths than there are workers: processes have to be among them."""


def settings_for(name: str, poison_after: int) -> Settings:
    return Settings(
        node=NodeSettings(id=name),
        coordination=CoordinationSettings(lease_ttl_s=TTL_S),
        # Workers die of everything here but their tasks.
        scheduler=SchedulerSettings(check_s=10.0, poison_after=poison_after, poison_pause_s=2.0),
        frontier=FrontierSettings(url="redis://127.0.0.1:1/0"),  # which the model stands in for
        worker=WorkerSettings(report_s=1.0, processes=IN_PROCESS),
    )


class Host:
    """A machine of the cluster: its network, and the process that runs on it, if one does."""

    def __init__(self, role: str, name: str, spiders: frozenset[str] = SPIDERS) -> None:
        self.role = role
        self.name = name
        self.spiders = spiders
        self.wire = Wire()
        self.deaf = False
        """Whether other nodes cannot reach it, nor it them; the store is another matter."""
        self.rate = 1.0
        self.wall_offset_ns = 0
        self.process: Process | None = None
        self.lives = 0
        self.disturbed_s = 0.0
        """When something last went wrong with it or its network."""

    def __str__(self) -> str:
        return f"{self.role[0]}{self.name}"

    @property
    def node_id(self) -> str:
        return KEYS.node_id(self.role, self.name)

    @property
    def address(self) -> str:
        return f"{self}:9091"


class Process:
    """One life of a node, from its start to its stop or crash."""

    def __init__(
        self,
        host: Host,
        timeline: Timeline,
        store: MemoryStore,
        peers: Callable[[Process, bool], Any],
        record_write: Callable[[Process], Record],
        record_run: Callable[[Process], Callable[[str, str, int], RunRecord]],
        latency: Callable[[], int],
        states: Callable[[Process], TaskStates],
        poison_after: int,
    ) -> None:
        host.lives += 1
        self.host = host
        self._timeline = timeline
        self.life = host.lives
        self.clock = NodeClock(timeline, host.rate)
        self.clock.wall_offset_ns = host.wall_offset_ns
        self.link = Link(store, host.wire, self.clock, record_write(self), latency)
        self.greenlets: dict[Greenlet, None] = {}
        self.failure = ""
        self.stopping = False
        self.engine: ModelEngine | None = None
        settings = settings_for(host.name, poison_after)
        on_fatal = self._on_fatal
        self._supervisor = Supervisor(str(host), on_fatal=on_fatal, clock=self.clock)
        self._members = Supervisor(str(host), on_fatal=on_fatal, clock=self.clock)
        names = NodeNames(host.name, False, 3 * TTL_S, self.clock)
        self.membership = Membership(self.link, KEYS, host.role, TTL_S, names, self.clock)
        own: dict[str, Any] = {"peers": peers(self, host.role == MASTER)}
        self.role: Any
        if host.role == MASTER:
            self.role = Master(self.link, settings, self.clock, **own)
        else:
            self.engine = ModelEngine(
                host.spiders, self.clock, record_run(self), lambda: timeline.now_s
            )
            kept = states(self)
            items = Path(settings.folder, settings.worker.items)
            crew = InProcess(self.engine, Sinks({}), items, kept, NoFiles())
            self.role = Worker(self.link, settings, crew, kept, self.clock, **own)

    def __str__(self) -> str:
        return f"{self.host} (life {self.life})"

    @property
    def paused(self) -> bool:
        return not self.clock.running.is_set()

    @property
    def undisturbed(self) -> bool:
        """Whether at present nothing keeps it from knowing all."""
        return self.host.wire.whole and not self.paused and not self.link.dead

    def informed_since(self, moment_s: float) -> bool:
        """Whether it must know by now what happened at that moment."""
        return self.undisturbed and self.host.disturbed_s + WELL_AGAIN_S <= moment_s < self.now_s

    @property
    def now_s(self) -> float:
        return self._timeline.now_s

    @property
    def incarnation(self) -> int:
        """That of its present registration; 0 while it is no member."""
        session = self.membership.session
        return session.node.incarnation if session else 0

    def spawn(self, function: Callable[..., Any], *args: Any) -> Greenlet:
        """Run something in this process: it ends with it, and pauses with it."""
        greenlet = Greenlet(function, *args)
        greenlet.spawn_tree_locals = {"process": self}
        greenlet.start()
        return greenlet

    def start(self) -> None:
        self.role.start(self._supervisor)
        join, address = self.membership.run, lambda: self.host.address
        self._members.spawn("membership", join, self.role, address, on_end=OnEnd.FATAL)

    def stop(self) -> None:
        """Leave cleanly, as `crawler.node.node.Node.stop` does."""
        self.stopping = True
        self.membership.drain(self.role, DRAIN_S)
        self._members.stop()
        self.membership.leave(self.role)
        self._supervisor.stop()
        self.role.stop()

    def die(self) -> None:
        """End without a word: nothing of it runs any more, and what it says is not heard."""
        self.link.abandon()
        gevent.killall(list(self.greenlets), block=False)

    def _on_fatal(self, greenlet: str, error: BaseException | None) -> None:
        self.failure = f"{greenlet} ended: {error!r}"


def on_spawn(greenlet: Greenlet) -> None:
    """Remember to which process a greenlet belongs: to that of the greenlet that started it."""
    process = (greenlet.spawn_tree_locals or {}).get("process")
    if process is not None:
        process.greenlets[greenlet] = None
        greenlet.rawlink(lambda ended: process.greenlets.pop(ended, None))


__all__ = ["KEYS", "MASTER", "RARE", "TTL_S", "WORKER", "Host", "Process", "on_spawn"]

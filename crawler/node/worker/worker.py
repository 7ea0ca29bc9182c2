"""The role of a worker: it runs exactly what is assigned to its incarnation, and reports about it.

It learns its assignments from etcd, through a mirror that keeps only its own resources. After each
change it starts and stops runs until they match the assignments. It writes nothing to etcd: its
reports go to the leader.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import gevent
from gevent.event import Event

from crawler.api.backend import Call
from crawler.api.rpc.peers import Peers
from crawler.clock import Clock
from crawler.coordination.election import Election
from crawler.coordination.keys import MASTER, WORKER, Keys
from crawler.coordination.mirror import Mirror
from crawler.coordination.registry import Registry, decode_registration
from crawler.coordination.sealing import Seals
from crawler.coordination.secrets import Secrets
from crawler.coordination.store import Store
from crawler.errors import CrawlerError, NotFound, Retryable, Unavailable
from crawler.hub import HubWatch
from crawler.items.names import DELETED, STOPPED
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.model.constraints import Taint
from crawler.model.projects import BUNDLES
from crawler.model.records import Node, Resource
from crawler.model.spiders import OfferedSpider
from crawler.node.crew.crew import Crew
from crawler.node.membership.leader_observer import LeaderObserver
from crawler.node.membership.membership import Session
from crawler.node.run.naming import RunKey
from crawler.node.run.run import Run
from crawler.node.run.run_logs import RunLogs
from crawler.node.run.shared_items import SharedItems
from crawler.node.run.states import END_S, TaskStates
from crawler.node.worker.assignments import Assignments
from crawler.node.worker.bundles import WorkerBundles
from crawler.node.worker.disk import Disk
from crawler.node.worker.epochs import Epochs
from crawler.node.worker.fates import Fate
from crawler.node.worker.measures import measure_worker
from crawler.node.worker.own_load import OwnLoad
from crawler.node.worker.past import Past
from crawler.node.worker.reconcile import is_rolled, reconcile
from crawler.node.worker.reporter import Reporter
from crawler.node.worker.run_secrets import RunSecrets
from crawler.node.worker.runs import Runs
from crawler.settings.sections import Settings
from crawler.supervision import OnEnd, Supervisor
from crawler.tracing.tracing import Tracing

AGAIN_S = 0.5
"""The pause before another try to stop a run that did not stop, or to start one in its place."""

LOOK_S = 1.0
"""How often it is looked whether the states of tasks can be used."""

DROP_S = 3600.0
"""How often the states that nobody has used are removed, in seconds."""

CLEAR_S = 5.0
"""How many seconds a state that is to be removed may be in use by a run that ends."""

log = get_logger(__name__)

FETCH_S = 300.0
"""How many seconds a master has to give a bundle."""

LAST_WORD_S = 1.0
"""How many seconds a worker that leaves waits for a leader to accept its last reports."""
NO_SPIDER = (
    "this worker offers no spider, so each task fails here: list your spiders' files under spiders:"
    " in the settings file (as spiders: [shop.py]; `crawler new spider shop URL` writes one)"
)
"""What a worker without spiders says when it starts."""


class Worker:
    """The role of a worker."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        crew: Crew,
        states: TaskStates,
        clock: Clock,
        peers: Peers | None = None,
        hub: HubWatch | None = None,
        bundles: WorkerBundles | None = None,
        logs: RunLogs | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """The crew runs the crawls of tasks from `states`, and loads projects from `bundles`, if it
        can. `peers` replaces the gRPC clients of the leader, for tests. `hub` tells which callback
        kept this worker from renewing its lease. `logs` are those of its runs, `tracing` makes
        their spans."""
        self._store = store
        self._keys = keys = Keys(settings.coordination)
        self._settings = settings
        self._crew = crew
        self._clock = clock
        self._masters: Mirror[Node] = Mirror(
            store, keys.registrations(MASTER), decode_registration, clock
        )
        self._peers = peers or Peers(forwards=False)
        self._observer = LeaderObserver(
            Election(store, keys, clock),
            self._master_names,
            lambda _: self._reporter.soon(),
            peers=self._peers,
        )
        self._states = states
        secrets = RunSecrets(Secrets(store, keys, Seals(settings.secrets.key)), clock)
        most = settings.worker.max_running
        self._logs = logs or RunLogs(settings.logs, settings.folder, clock)
        self._runs = Runs(
            *(crew, clock, self._on_run_end, most, secrets.given, self._logs, tracing),
            on_over=lambda run: self._reporter.over(run),
        )
        items, url = Path(settings.folder, settings.worker.items), settings.items.url
        self.shared_items = SharedItems(items, url, clock) if url else None
        """Where finished items go; None if they stay here."""
        self._clearing = Supervisor("states", clock=clock)
        self._epochs = Epochs()
        self._disk = Disk(Path(settings.folder, settings.worker.items), clock)
        load = OwnLoad(clock, crew.load, lambda: self._disk.used)
        self._reporter = Reporter(self._observer, self._runs, self._epochs, clock, settings, load)
        self._past = Past(clock, hub, settings.coordination.lease_ttl_s)
        self._bundles = bundles
        self._registry = Registry(store, keys, WORKER)
        self._has_offer = Event()
        """Set when this worker offers spiders that its registration does not tell."""
        self._draining = False
        self._held: Collection[str] = ()
        """Tasks whose runs go on until another bundle is ready."""
        self._session: Session | None = None
        self._assignments: Assignments | None = None
        self._changed = Event()

    def start(self, supervisor: Supervisor) -> None:
        """Start the crew, and observe who leads."""
        self._logs.start(supervisor)
        if self.shared_items is not None:
            self.shared_items.start(supervisor)
        self._crew.start()
        self._masters.start(supervisor)
        self._observer.start(supervisor)
        supervisor.spawn("disk", self._disk.watch, on_end=OnEnd.RESTART)
        supervisor.spawn("reconcile", self._reconcile_forever, on_end=OnEnd.FATAL)
        supervisor.spawn("report", self._reporter.report_forever, on_end=OnEnd.FATAL)
        supervisor.spawn("states", self._drop_forever, on_end=OnEnd.RESTART)
        supervisor.spawn("look", self._look_forever, on_end=OnEnd.RESTART)
        if self._bundles is not None:
            self._bundles.fetch = self._fetch
            self._bundles.on_offer = self._has_offer.set
            self._bundles.on_ready = self._changed.set
            self._bundles.used = self._used
            self._bundles.start(supervisor)
            supervisor.spawn("offer", self._offer_forever, on_end=OnEnd.RESTART)

    def stop(self) -> None:
        """Stop the crew. `leave` has stopped the runs."""
        self._crew.stop()
        if self.shared_items is not None:
            self.shared_items.stop()
        self._logs.stop()
        self._clearing.stop()
        self._states.close()
        self._observer.close()

    def describe(self, node_id: str, address: str) -> Node:
        """Return the registration of this worker, with its labels, spiders, capacity and taints."""
        given = self._settings.node
        node = Node(
            node_id,
            address,
            metadata=self._past.metadata(),
            labels=dict(given.labels),
            spiders=self._crew.spider_names(),
            capacity=dict(given.capacity),
            taints=tuple(map(Taint.parse, given.taints)),
        )
        return self._with_bundles(node)

    def offered(self) -> Sequence[OfferedSpider]:
        """Return the spiders that this worker offers, with what their classes show."""
        described = self._crew.described()
        own = [
            OfferedSpider(name, about=described.get(name))
            for name in sorted(self._crew.spider_names())
        ]
        return [*own, *(self._bundles.offered() if self._bundles is not None else ())]

    def _with_bundles(self, node: Node) -> Node:
        """Return the registration with what this worker offers of projects by now."""
        if self._bundles is None:
            return node
        others = {key: value for key, value in node.metadata.items() if key != BUNDLES}
        return replace(
            node,
            spiders=self._crew.spider_names() | self._bundles.spiders(),
            metadata={**others, **self._bundles.metadata()},
        )

    def join(self, session: Session) -> None:
        """Mirror what is assigned to this incarnation, and run it."""
        self._session = session
        self._past.joined(session.node.incarnation)
        self._reporter.node_id = session.node.id
        self._assignments = Assignments(
            self._store, self._keys, self._clock, session.node, self._on_assignment
        )
        self._assignments.start(session.supervisor)
        if self._with_bundles(session.node) != session.node:  # ready while it registered
            self._has_offer.set()

    def drain(self, patience_s: float) -> None:
        """Start nothing more, let the runs reach a safe point, and report them a last time."""
        self._draining = True
        self._runs.halt(patience_s)
        self._reporter.report(LAST_WORD_S)
        recorded = [run.resource for run in self._runs.all() if run.is_recorded]
        clearing = [
            self._clearing.spawn("clear", self._states.clear, resource) for resource in recorded
        ]
        gevent.joinall(clearing, timeout=LAST_WORD_S)  # Redis may be away; then it stays a while

    def hurry(self) -> None:
        """Cut the runs off: no longer wait for their callbacks."""
        self._runs.cut_off()
        self._runs.cut_off_current(self._crew.task_in_callback())

    def leave(self) -> None:
        """Stop all runs before another worker may start them."""
        self._session = None
        self._assignments = None
        self._reporter.node_id = ""
        self._runs.stop_all()
        self._changed.set()  # stops those again that have not ended

    def load(self) -> None:
        """Wait for the crew, and say so if it has no spider. Raises ConfigError if its spiders
        cannot be loaded."""
        self._crew.prepare()
        if not self._settings.spiders:
            log.warning(NO_SPIDER)

    def prepare(self) -> None:
        """Wait for the states of tasks: no task could run without them. Raises ConfigError."""
        self._states.prepare()

    def unready_reason(self) -> str:
        """Return why no task can run here at present, or an empty text if one can."""
        unregistered = "not registered in etcd" if self._session is None else ""
        return self._states.unready_reason() or self._crew.unready_reason() or unregistered

    def measure(self, metrics: Metrics) -> None:
        """Export how many tasks run here, and what their crawls have done."""
        self._observer.measure(metrics)
        measure_worker(metrics, self._crew, self._runs, self._states, self._epochs)
        self._disk.measure(metrics)

    def labels_of(self, name: str, id: str) -> Mapping[str, str] | None:
        """Return the labels of a task, or of a shard, that is here; None of another one."""
        return None if self._assignments is None else self._assignments.labels_of(name, id)

    def _desired(self) -> dict[str, Resource]:
        assignments = self._assignments
        return {} if assignments is None else self._epochs.admit(assignments.unfinished())

    def _reconcile_forever(self) -> None:
        while True:
            self._changed.clear()
            settled = self._reconcile()
            self._clock.wait(self._changed, None if settled else AGAIN_S)

    def _reconcile(self) -> bool:
        """Stop and start what differs. Return whether everything now matches.

        Raises RunGoesOn, which ends this node: nobody else may believe that the run has ended.
        """
        if self._draining:
            return True
        desired = self._desired()
        known = self._runs.known()
        self._held = {name for name, each in desired.items() if self._awaits_bundle(each)}
        wanted = {
            name: known[name] if name in self._held else RunKey(each.id, each.epoch)
            for name, each in desired.items()
        }
        actions = reconcile(wanted, known)
        self._stop(actions.stop)
        ending = self._runs.tend()
        self._runs.check()
        self._runs.adjust(desired.values())
        for name in actions.start:
            # The lease may have been lost while runs stopped, and a run may not have stopped.
            free = name not in self._runs.known() and not self._draining
            if self._session is not None and free:
                self._runs.start(desired[name])
        self._reporter.soon()
        return self._runs.known() == wanted and not ending

    def _awaits_bundle(self, resource: Resource) -> bool:
        """Whether the present run of a task goes on for now, as the bundle with which the next one
        is to go on is not ready here."""
        if self._bundles is None or resource.name not in self._runs.known():
            return False
        run = self._runs.of(resource.name)
        return (
            is_rolled(run.resource, resource)
            and not (run.waits or run.ended or run.stops)
            and self._bundles.awaits(resource.digest)
        )

    def _stop(self, names: Sequence[str]) -> None:
        """Stop runs. Those of tasks that went elsewhere, or begin again here, may end in order."""
        assignments = self._assignments  # a lease that is lost meanwhile takes it away
        if assignments is None:
            return self._runs.stop_all()
        runs = [self._runs.of(name) for name in names]
        late = {run.name for run in runs if run.stops}  # they have outlived their lease
        fates = {run: assignments.fate(run) for run in runs if run.name not in late}
        over = [run for run, fate in fates.items() if fate in (Fate.OVER, Fate.DELETED)]
        at_once = late.union(run.name for run in over)
        before = self._runs.ending({run.name for run in over})
        self._runs.cut_short(at_once)
        self._runs.stop(set(names) - at_once)
        deleted = {run.name for run, fate in fates.items() if fate is Fate.DELETED}
        for run in [*before, *over]:
            run.end_files(DELETED if run.name in deleted else STOPPED)
        for run in over:
            self._clearing.spawn("clear", self._states.clear, run.resource, CLEAR_S)
        for run in (run for run, fate in fates.items() if fate is Fate.SHED):
            self._clearing.spawn("clear", self._states.clear, run.resource, END_S + CLEAR_S)
        for run in (run for run, fate in fates.items() if fate is Fate.STOPPED):
            self._clearing.spawn("end", self._end_stopped, run)

    def _end_stopped(self, run: Run) -> None:
        """Wait until a run has ended whose task was stopped, and tidy up after it."""
        self._runs.wait(run, END_S + CLEAR_S)
        run.end_files(STOPPED)
        self._states.clear(run.resource, CLEAR_S)

    def _offer_forever(self) -> None:
        """Tell what this worker offers, whenever that has changed."""
        while True:
            self._has_offer.wait()
            self._has_offer.clear()
            session = self._session
            if session is None or self._draining:
                continue  # the next registration tells it
            try:
                self._registry.announce(self._with_bundles(session.node), session.lease)
            except Retryable as error:
                log.warning("cannot tell which spiders this worker offers", error=str(error))
                self._has_offer.set()
                self._clock.sleep(LOOK_S)

    def _fetch(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of a bundle, from any master. Raises NotFound, Retryable."""
        error: CrawlerError = Unavailable("no master is registered")
        addresses = list(self._master_names().values())
        random.shuffle(addresses)  # so that one whose copy is damaged is not asked again for ever
        for address in addresses:
            chunks = iter(self._peers.backend(address).bundle(digest, Call(FETCH_S)))
            try:
                first = next(chunks, b"")
            except (NotFound, Retryable) as refused:
                error = refused
                continue
            yield first
            yield from chunks
            return
        raise error

    def _used(self) -> Iterator[str]:
        """Yield the digests of the bundles that runs have here."""
        return (run.resource.digest for run in self._runs.all() if run.resource.digest)

    def _drop_forever(self) -> None:
        """Remove the states that nobody has used."""
        while True:
            self._states.drop_unused(self._settings.frontier.keep_s)
            self._clock.sleep(DROP_S)

    def _look_forever(self) -> None:
        """Find out whether states can be used: the processes that crawl ask by themselves."""
        while True:
            self._states.look()
            self._clock.sleep(LOOK_S)

    def _master_names(self) -> dict[str, str]:
        prefix = self._keys.node_id(MASTER, "")
        return {n.id.removeprefix(prefix): n.address for n in self._masters.values.values()}

    def _on_assignment(self, _: object) -> None:
        self._changed.set()

    def _on_run_end(self) -> None:
        if self._held:
            self._changed.set()
        self._reporter.soon()

"""The node of a process: it builds its parts from the settings, starts them, and stops them in
reverse order.

This is the composition root. Nodes share nothing, so that a test can run several in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from flask import Flask
from gevent.event import Event
from gevent.lock import RLock

from crawler.alerts.channels import Channels
from crawler.api.health import Health
from crawler.api.rpc.server import SERVICE_NAME
from crawler.api.tls import Certificates
from crawler.clock import Backoff, Clock, SystemClock
from crawler.coordination.cluster_id import cluster_id
from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.etcd.version import objection
from crawler.coordination.keys import MASTER, WORKER, Keys
from crawler.coordination.store import Store
from crawler.errors import ConfigError, CrawlerError, Retryable
from crawler.history.make import history_of
from crawler.hub import HubWatch
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.node.faces import Faces
from crawler.node.guard.guard import GuardProcess, NoGuard, guard_of
from crawler.node.master.master import Master
from crawler.node.measures import measure_node
from crawler.node.membership.addresses import Listen, parse_listen
from crawler.node.membership.membership import Membership
from crawler.node.membership.names import NodeNames
from crawler.node.role import NodeRole
from crawler.settings.sections import Settings
from crawler.supervision import OnEnd, Supervisor
from crawler.tracing.make import tracing_of

log = get_logger(__name__)

DEFAULT_PORTS = {MASTER: (":8081", ":9091"), WORKER: (":8080", ":9090")}
"""Where HTTP and gRPC listen, by role."""

READY_CHECK_S = 0.1
"""How often readiness is checked for /readyz and gRPC's health, in seconds."""

LEAST_SILENCE_S = 1.0
"""The least time for which a watch may receive nothing from etcd, in seconds. Otherwise it is half
of the lease's time."""

PATIENCE = 3
"""How many times to live a node waits for an id that another node still holds."""


class Node:
    """A master or a worker in this process."""

    def __init__(
        self,
        role_name: str,
        settings: Settings,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        serve_http: bool = True,
        several: bool = False,
    ) -> None:
        """Build all parts; nothing listens yet. Raises ConfigError.

        `store` replaces etcd. With `several`, other processes share this configuration (gunicorn's
        workers): if an id or gRPC port is taken, this one takes another.
        """
        self.failure = ""
        """What made the node fail; empty if nothing did."""
        self.stopped = Event()
        self._settings = settings
        self._several = several
        self._clock = clock or SystemClock()
        self._supervisor = Supervisor(role_name, on_fatal=self._on_fatal, clock=self._clock)
        self._members = Supervisor(role_name, on_fatal=self._on_fatal, clock=self._clock)
        silence_s = max(LEAST_SILENCE_S, settings.coordination.lease_ttl_s / 2)
        self._store = store or EtcdStore.open(settings.etcd, settings.folder, silence_s)
        self._keys = Keys(settings.coordination)
        self._health = Health(*([SERVICE_NAME] if role_name == MASTER else []))
        self._metrics = Metrics()
        self._tracing = tracing_of(settings.tracing, role_name, self._metrics, self._clock)
        self._faces = Faces(
            settings,
            *_listens(role_name, settings),
            store=self._store,
            keys=self._keys,
            clock=self._clock,
            health=self._health,
            metrics=self._metrics,
            tracing=self._tracing,
        )
        self._hub = HubWatch(settings.node.hub_limit_s)
        # A store in this process ends with it, and a guard cannot follow a clock of a test.
        is_alone = store is None and clock is None
        self._guard: GuardProcess | NoGuard = (
            guard_of(settings, self._clock) if is_alone else NoGuard()
        )
        self._stop_once = RLock()
        self._hurried = False
        self._membership = self._build_membership(role_name)
        self._role: NodeRole
        if role_name == MASTER:
            self._build_master()
        else:
            self._build_worker()
        self._role.measure(self._metrics)
        measure_node(
            self._metrics,
            self._membership,
            self._hub,
            self._store,
            lambda: self._supervisor.count + self._members.count,
        )
        if serve_http:
            self._faces.serve_http()

    @property
    def app(self) -> Flask:
        """The WSGI application: a master's API, or the statistics of a worker's crawls; health and
        metrics."""
        return self._faces.app

    @property
    def certificates(self) -> Certificates | None:
        """Those of its servers; None without TLS."""
        return self._faces.certificates

    @property
    def address(self) -> str:
        """The host:port at which others reach the gRPC server, after `start`."""
        return self._faces.address

    def secret(self) -> str:
        """Return the secret by which nodes know each other; empty until it has been read."""
        return self._faces.access.secret()

    @property
    def http_address(self) -> str:
        """The host:port at which others reach the HTTP server; empty if there is none."""
        return self._faces.http_address

    def start(self) -> None:
        """Listen, load the spiders, and join the cluster in the background. Raises ConfigError;
        then nothing goes on. A `stop` meanwhile ends it soon."""
        with self._stop_once:
            if self.stopped.is_set():
                return
            self._begin()
        self._load()
        with self._stop_once:  # so a stop that is under way ends first
            if self.stopped.is_set():
                return
            self._members.spawn("membership", self._join, on_end=OnEnd.FATAL)
            log.info("node started", grpc=self.address, http=self.http_address)

    def _begin(self) -> None:
        """Start all that needs no membership."""
        self._faces.listen(several=self._several)
        self._tracing.start()
        self._hub.start()
        self._supervisor.spawn("readiness", self._watch_readiness, on_end=OnEnd.FATAL)
        if isinstance(self._store, EtcdStore):
            self._supervisor.spawn("etcd version", self._judge_etcd, self._store)
        self._guard.start(self._supervisor)
        self._faces.start(self._supervisor)
        self._role.start(self._supervisor)

    def _load(self) -> None:
        try:
            self._role.load()
        except ConfigError:
            self.stop()
            raise

    def stop(self) -> None:
        """Leave in order: accept nothing more, stop the role, deregister, stop. It may be called
        again."""
        with self._stop_once:
            if self.stopped.is_set():
                return
            for step in self._last_steps():
                try:
                    step()
                except Exception:  # one part's defect must not keep the others alive
                    log.error("a part of the node did not stop in order", exc_info=True)
            self.stopped.set()
            log.info("node stopped")

    def _join(self) -> None:
        self._role.prepare()
        self._membership.run(self._role, lambda: self.address)

    def _last_steps(self) -> Sequence[Callable[[], object]]:
        """Return the steps, with those that other nodes wait for first: the tasks and the
        leadership of this node."""
        settings = self._settings.node
        return (
            self._health.shut_down,
            lambda: self._membership.drain(self._role, self._patience_s(settings.drain_s)),
            self._members.stop,
            lambda: self._membership.leave(self._role),
            lambda: self._supervisor.stop(settings.stop_s),
            *self._faces.last_steps(lambda: self._patience_s(1.0)),
            lambda: self._tracing.close(self._patience_s(1.0)),
            self._role.stop,
            self._guard.stop,
            self._store.close,
            self._hub.stop,
        )

    def hurry(self) -> None:
        """Shorten a `stop` in progress: wait only for what the other nodes must know."""
        self._hurried = True
        self._role.hurry()

    def _patience_s(self, usual_s: float) -> float:
        return 0.0 if self._hurried else usual_s

    def _build_membership(self, role_name: str) -> Membership:
        ttl_s = self._settings.coordination.lease_ttl_s
        names = NodeNames(self._settings.node.id, self._several, PATIENCE * ttl_s, self._clock)
        return Membership(
            self._store,
            self._keys,
            role_name,
            ttl_s,
            names,
            self._clock,
            hub=self._hub,
            guard=self._guard,
        )

    def _build_master(self) -> None:
        faces = self._faces
        settings, clock = self._settings, self._clock
        peers, tokens = faces.peers(forwards=True), faces.access.tokens
        cluster = partial(cluster_id, self._store, self._keys)
        history = history_of(settings.history, settings.folder, self._metrics, clock, cluster)
        channels = Channels(settings.alerts, clock, self._metrics)
        master = self._role = Master(
            self._store,
            settings,
            clock,
            peers,
            tokens,
            faces.trail,
            history,
            channels,
            self._tracing,
        )
        faces.serve_master(master.service)

    def _build_worker(self) -> None:
        # A master needs none of this: it takes a third of its start and of its memory.
        from crawler.node.crew.crews import crew_of
        from crawler.node.crew.spawner import secrets_of
        from crawler.node.run.item_shelf import ItemShelf
        from crawler.node.run.run_logs import RunLogs
        from crawler.node.run.sharing import Sharing
        from crawler.node.run.states import States
        from crawler.node.worker.bundles import WorkerBundles
        from crawler.node.worker.environments import Environments
        from crawler.node.worker.worker import Worker

        settings = self._settings
        sharing = Sharing.of(settings, self._clock)
        folder = Path(settings.folder, settings.frontier.folder)
        states = sharing.states or States(folder, self._clock)
        environments = Environments(
            Path(settings.folder, settings.deploy.folder),
            settings.deploy.max_mb,
            self._clock,
            secrets_of(settings),
            only_wheels=bool(settings.worker.run_as),  # else its code would run as this user
        )
        bundles = WorkerBundles(self._store, self._keys, environments, self._clock)
        logs = RunLogs(settings.logs, settings.folder, self._clock)
        crew = crew_of(settings, self._clock, sharing, states, self._guard, bundles, logs)
        self._hub.task_of = logs.task_in_callback = crew.task_in_callback
        worker = self._role = Worker(
            self._store,
            settings,
            crew,
            states,
            self._clock,
            peers=self._faces.peers(forwards=False),
            hub=self._hub,
            bundles=bundles if crew.has_processes else None,
            logs=logs,
            tracing=self._tracing,
        )
        looks = self._faces.looks
        looks.of_process = crew.look
        looks.processes = lambda: [each.number for each in crew.crawls.processes()]
        items = ItemShelf(Path(settings.folder, settings.worker.items), worker.shared_items)
        self._faces.serve_worker(crew.crawls, worker.labels_of, logs, items, worker.offered)

    def _watch_readiness(self) -> None:
        known: str | None = None
        while True:
            reason = self._role.unready_reason()
            if reason != known:
                self._health.set_ready(not reason, reason)
                known = reason
            self._clock.sleep(READY_CHECK_S)

    def _judge_etcd(self, store: EtcdStore) -> None:
        """Warn once if etcd is older than it should be."""
        backoff = Backoff(most_s=5.0)
        while True:
            try:
                told = objection(store.version())
            except Retryable:
                self._clock.sleep(backoff.next_s())
            except CrawlerError as error:  # this user may not ask
                return log.debug("cannot ask etcd for its version", error=str(error))
            else:
                return log.warning(told) if told else None

    def _on_fatal(self, greenlet: str, error: BaseException | None) -> None:
        """Leave the cluster because a necessary part has ended, and let the owner of the process
        know."""
        if self.failure:
            return
        self.failure = str(error) if error else f"{greenlet} ended unexpectedly"
        log.error("the node fails; leaving the cluster", greenlet=greenlet, reason=self.failure)
        Supervisor("last").spawn("stop", self.stop)


def _listens(role_name: str, settings: Settings) -> Sequence[Listen]:
    http, grpc = DEFAULT_PORTS[role_name]
    given = (settings.node.http or http, settings.node.grpc or grpc)
    return [parse_listen(text) for text in given]

"""The role of a master: it stands in the election, leads or follows, and answers the API.

It reacts when it wins the election, when its campaign fails, when the leader changes, and when the
workers change. While it leads, its `Term` also checks regularly that etcd still calls it the
leader.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gevent import Greenlet

from crawler.alerts.channels import Channels
from crawler.alerts.rules import Rules
from crawler.api.backend import Backend
from crawler.api.rpc.peers import Peers
from crawler.api.service import NO_LEADER, Service
from crawler.api.trail import Trail
from crawler.clock import Clock
from crawler.coordination.alerts import Alerts
from crawler.coordination.election import Election, leader_value
from crawler.coordination.keys import Keys
from crawler.coordination.ledger import Ledger
from crawler.coordination.projects import Projects
from crawler.coordination.registry import number_of
from crawler.coordination.schedules import Schedules
from crawler.coordination.sealing import Seals
from crawler.coordination.secrets import Secrets
from crawler.coordination.store import Store
from crawler.coordination.tokens import Tokens
from crawler.coordination.tombstones import Tombstones
from crawler.errors import CrawlerError, Lost, Retryable, Unavailable
from crawler.history.history import History, NoHistory
from crawler.logs import get_logger
from crawler.metrics import Metrics, Total
from crawler.model.records import Leader, Leadership, Node, State
from crawler.node.master.bundles import MasterBundles, shared_place
from crawler.node.master.command_queue import MOST_WAITING
from crawler.node.master.leader_context import LeaderContext, Refusals
from crawler.node.master.leaderless import Leaderless
from crawler.node.master.mirrors import Mirrors
from crawler.node.master.placement import Placer
from crawler.node.master.term import Term
from crawler.node.membership.leader_observer import LeaderObserver
from crawler.node.membership.membership import Session
from crawler.scheduler.framework import Framework
from crawler.settings.sections import Settings
from crawler.supervision import OnEnd, Supervisor
from crawler.tracing.tracing import NoTracing, Tracing

log = get_logger(__name__)

TAKING_OVER = "nobody leads yet: this master is taking over as the leader; try again in 1 s"

AGAIN_S = 0.5
"""Pause between the end of a term and the next campaign."""


class Master:
    """The role of a master. It also tells the API who leads."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Clock,
        peers: Peers | None = None,
        tokens: Tokens | None = None,
        trail: Trail | None = None,
        history: History | None = None,
        channels: Channels | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """`peers` are the gRPC clients of the leader, `tokens` those of the cluster as this node
        mirrors them, `trail` its audit, `history` that of the tasks, `channels` are told of alerts,
        `tracing` makes its spans. Tests leave them out."""
        self._tracing = tracing or NoTracing()
        self._history = history or NoHistory()
        self._trail = trail or Trail(clock=clock)
        peers = peers or Peers(forwards=True)
        self._settings = settings
        self._clock = clock
        keys = Keys(settings.coordination)
        self._ledger = Ledger(store, keys)
        self._tombstones = Tombstones(store, keys)
        self._tokens = Tokens(store, keys, clock) if tokens is None else tokens
        self._secrets = Secrets(store, keys, Seals(settings.secrets.key))
        self._schedules = Schedules(store, keys, clock)
        self._projects = Projects(store, keys, clock)
        self._alerts = Alerts(store, keys, clock)
        self._alert_rules = Rules(settings.alerts)
        self._channels = channels or Channels(settings.alerts, clock)
        self._election = Election(store, keys, clock)
        scheduler = settings.scheduler
        self._framework = Framework(
            scheduler.strategy,
            scheduler.plugins,
            disabled=scheduler.disabled,
            weights=scheduler.weights,
        )
        self._mirrors = Mirrors(store, keys, clock, self._on_cluster_change, scheduler.group_label)
        self._observer = LeaderObserver(
            self._election,
            self._mirrors.master_names,
            self._on_leader_change,
            peers=peers,
        )
        self._session: Session | None = None
        self._campaigner: Greenlet | None = None
        self._draining = False
        self._term: Term | None = None
        self._refusals = Refusals()
        self._bundles = MasterBundles(
            settings.deploy,
            Path(settings.folder, settings.deploy.folder),
            self._projects,
            self._other_masters,
            peers,
            shared_place(settings),
        )
        self.service = Service(self, self._trail, self._bundles)
        self._leaderless = Leaderless(
            self._alerts,
            self._alert_rules,
            self._channels,
            clock,
            self._leaderless_reason,
            lambda: self._election.seen_revision,
        )

    def start(self, supervisor: Supervisor) -> None:
        """Mirror the cluster and observe the election, also while this node is not a member."""
        self._mirrors.start(supervisor)
        self._schedules.mirror.start(supervisor)
        self._projects.mirror.start(supervisor)
        self._alerts.mirror.start(supervisor)
        self._leaderless.start(supervisor)
        self._observer.start(supervisor)
        supervisor.spawn("bundles", self._bundles.keep_forever, on_end=OnEnd.RESTART)
        self._history.start(supervisor)

    def stop(self) -> None:
        """Close the connection to the leader, and write the last of the history."""
        self._observer.close()
        self._history.close()

    def describe(self, node_id: str, address: str) -> Node:
        """Return the registration of this master."""
        return Node(node_id, address)

    def join(self, session: Session) -> None:
        """Stand in the election for as long as the session lives."""
        self._session = session
        self._campaigner = session.supervisor.spawn(
            "campaign", self._campaign, session, on_end=OnEnd.RESTART
        )

    def drain(self, patience_s: float) -> None:
        """Accept no more requests, answer those that wait, and let another master lead.

        Waits for at most `patience_s` seconds.
        """
        self._draining = True
        term, campaigner = self._term, self._campaigner
        if term is not None and campaigner is not None:
            term.finish()
            campaigner.join(patience_s)

    def hurry(self) -> None:
        """Stop the campaign and the term now. Only a write in progress is finished."""
        if self._campaigner is not None:
            self._campaigner.kill(block=False)

    def leave(self) -> None:
        """Stop leading. The candidacy in etcd ends with the lease."""
        self._session = None
        self._term = None

    def load(self) -> None:
        """A master needs nothing of its machine."""

    def prepare(self) -> None:
        """A master needs nothing but etcd."""

    def unready_reason(self) -> str:
        """Return why this master cannot answer requests at present, or an empty text if it can."""
        if self._session is None:
            return "not registered in etcd; is etcd up, and the id free?"
        if self.local_backend() is not None:
            return ""
        leader = self.leader()
        if leader is None:
            return NO_LEADER
        if not leader.address:
            return f"the leader {leader.id!r} gives no address"
        return TAKING_OVER if self._is_me(leader) else self._observer.trouble(leader)

    def _leaderless_reason(self) -> str:
        """Return why this master knows of no leader that answers; empty if it knows one."""
        leader = self.leader()
        if self._draining or self.local_backend() is not None:
            return ""
        if leader is None:
            return "nobody leads"
        if self._session is None and not self._alerts.answers():
            return "etcd does not answer, so nobody can lead"
        if not leader.address:
            return f"the leader {leader.id!r} gives no address"
        return "nobody leads yet" if self._is_me(leader) else self._observer.trouble(leader)

    def measure(self, metrics: Metrics) -> None:
        """Export whether this master leads, how many requests wait, and its view of the cluster."""
        self._observer.measure(metrics)
        metrics.queue("writes", MOST_WAITING, self._waiting)
        self._refusals.on_full = metrics.refusals("writes").inc
        metrics.gauge_of(
            "crawler_leading",
            "1 while this master leads.",
            lambda: self.local_backend() is not None,
        )
        metrics.gauge_of(
            "crawler_workers", "Registered workers.", lambda: len(self._mirrors.workers.values)
        )
        metrics.counter_of(
            "crawler_reports_refused",
            "Refused reports of an outdated assignment.",
            lambda: self._refusals.reports,
        )
        metrics.gauge_of(
            "crawler_alerts_firing",
            "Alerts that fire, as each master knows them.",
            lambda: sum(each.fires for each in self._alerts.found().values()),
        )
        self._measure_scheduler(metrics)
        tasks = metrics.gauge("crawler_tasks", "Tasks by state.", "state")
        for state in State:
            tasks.labels(state.value).set_function(partial(self._mirrors.counts.of, state))

    def _measure_scheduler(self, metrics: Metrics) -> None:
        def placer() -> Placer | None:
            return self._term.writer.placer if self._term else None

        metrics.gauge_of(
            "crawler_backlog",
            "On the leader: tasks that wait for a worker.",
            lambda: found.count_waiting() if (found := placer()) else 0,
        )
        metrics.gauge_of(
            "crawler_parked",
            "On the leader: tasks that no worker suits, or of which workers died.",
            lambda: found.count_parked() if (found := placer()) else 0,
        )
        metrics.gauge_of(
            "crawler_set_aside",
            "On the leader: tasks whose placement failed; the reason of each names the error.",
            lambda: found.count_set_aside() if (found := placer()) else 0,
        )
        metrics.totals_of("crawler_plugin", self._plugin_totals)

    def _plugin_totals(self) -> Iterator[Total]:
        for what, help in (
            ("seconds", "Time that the calls of a placement plugin took."),
            ("failures", "Calls in which a placement plugin failed."),
            ("slow", "Calls of a placement plugin that took too long."),
        ):
            by_plugin = {plugin.name: getattr(plugin, what) for plugin in self._framework.plugins}
            yield Total(f"crawler_plugin_{what}", help, by_plugin, label="plugin")

    def _waiting(self) -> int:
        return self._term.writer.waiting if self._term else 0

    def leader(self) -> Leader | None:
        """The leader that this master observed last."""
        return self._observer.leader

    def local_backend(self) -> Backend | None:
        """Return the backend of this master's own term while the term is ready, else None."""
        term, session = self._term, self._session
        if term is None or session is None or not term.ready or not session.lease.remaining_s:
            return None
        return term.backend

    def remote_backend(self, leader: Leader) -> Backend:
        """Return a client of another master, the leader.

        Raises Unavailable if this master has no session, or is itself becoming the leader.
        """
        if self._session is None:
            raise Unavailable("this master is not connected to etcd; try again in a second")
        if self._is_me(leader):
            raise Unavailable(TAKING_OVER)
        return self._observer.backend(leader)

    def _campaign(self, session: Session) -> None:
        """Stand for election, lead, and stand again, until the session ends."""
        value = leader_value(session.name, session.node.address)
        while True:
            try:
                leadership = self._election.campaign(session.lease, value)
                log.info("elected", leader=value, revision=leadership.revision)
                self._lead(session, leadership)
            except Lost as error:
                log.warning("this master does not lead any more", reason=str(error))
            except Retryable as error:
                log.warning("taking over failed; this master resigns", error=str(error))
            if self._draining or self._session is not session:
                return
            self._clock.sleep(AGAIN_S)

    def _lead(self, session: Session, leadership: Leadership) -> None:
        """Run a term until it ends. However it ends, resign afterwards."""
        try:
            self._term = self._make_term(session, leadership)
            self._term.run(self._settings.tasks if self._settings.scheduler.seed else ())
        finally:
            self._term = None
            self._resign(leadership)

    def _make_term(self, session: Session, leadership: Leadership) -> Term:
        return Term(
            LeaderContext(
                leadership=leadership,
                lease=session.lease,
                number=number_of(session.node) or 0,
                mirrors=self._mirrors,
                ledger=self._ledger,
                tombstones=self._tombstones,
                tokens=self._tokens,
                secrets=self._secrets,
                schedules=self._schedules,
                projects=self._projects,
                alerts=self._alerts,
                alert_rules=self._alert_rules,
                channels=self._channels,
                election=self._election,
                framework=self._framework,
                clock=self._clock,
                settings=self._settings.scheduler,
                refusals=self._refusals,
                trail=self._trail,
                keep_versions=self._settings.deploy.keep,
                history=self._history,
                tracing=self._tracing,
                shares_states=bool(self._settings.frontier.url),
            )
        )

    def _resign(self, leadership: Leadership) -> None:
        """Resign, so that another master may lead at once. If that fails, the end of the lease does
        it."""
        try:
            self._election.resign(leadership)
        except CrawlerError as error:
            log.warning("resigning failed; the leadership ends with the lease", error=str(error))

    def _other_masters(self) -> list[str]:
        """Return the addresses of the other masters."""
        own = self._session.node.id if self._session is not None else ""
        masters = self._mirrors.live_masters().values()
        return [node.address for node in masters if node.id != own and node.address]

    def _on_cluster_change(self) -> None:
        if self._term is not None:
            self._term.writer.wake()

    def _on_leader_change(self, leader: Leader | None) -> None:
        """Let the term ask etcd if nobody leads, or another master. The term may be newer than this
        observation."""
        if self._term is not None and (leader is None or not self._is_me(leader)):
            self._term.doubt()

    def _is_me(self, leader: Leader) -> bool:
        session = self._session
        if session is None:
            return False
        return leader.id == leader_value(session.name, session.node.address)

"""The role of a worker: it runs exactly what is assigned to its incarnation, and reports about it.

It learns its assignments from etcd, through a mirror that keeps only its own resources. After each
change it starts and stops runs until they match the assignments. It writes nothing to etcd: its
reports go to the leader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gevent
from gevent.event import Event

from crawler.api.rpc.peers import Peers
from crawler.api.service import Call
from crawler.clock import Clock
from crawler.coordination.codec import decode_stored
from crawler.coordination.election import Election
from crawler.coordination.keys import MASTER, Keys
from crawler.coordination.mirror import Mirror
from crawler.coordination.registry import decode_registration
from crawler.coordination.store import KeyValue, Store
from crawler.engine.stats.registry import Totals
from crawler.errors import CrawlerError
from crawler.hub import HubWatch
from crawler.items.names import DELETED, STOPPED
from crawler.logs import get_logger
from crawler.metrics import Metrics, Total
from crawler.model.constraints import Taint
from crawler.model.records import Leader, Node, Report, Resource
from crawler.node.crew.crew import Crew
from crawler.node.membership.leader_observer import LeaderObserver
from crawler.node.membership.membership import Session
from crawler.node.run.naming import RunKey
from crawler.node.run.run import Run
from crawler.node.run.states import END_S, TaskStates
from crawler.node.worker.epochs import Epochs
from crawler.node.worker.fates import Fate, fate_of, others_go_on
from crawler.node.worker.own_load import OwnLoad
from crawler.node.worker.past import Past
from crawler.node.worker.reconcile import reconcile
from crawler.node.worker.runs import Runs
from crawler.settings.sections import Settings
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

AGAIN_S = 0.5
"""The pause before another try to stop a run that did not stop, or to start one in its place."""

CALL_BYTES = 50_000
"""The largest size of one call with reports, in bytes; api.max_request_bytes is at least that."""

REPORT_BYTES = 150
"""The size of a report without its name, its reason and its shards, in bytes."""

SHARD_BYTES = 45
"""The largest size of the counts of one shard in a report, in bytes."""

DROP_S = 3600.0
"""How often the states that nobody has used are removed, in seconds."""

CLEAR_S = 5.0
"""How many seconds a state that is to be removed may be in use by a run that ends."""

LAST_WORD_S = 1.0
"""How many seconds a worker that leaves waits for a leader to accept its last reports."""

RunReport = tuple[Run | None, Report]
"""A report and its run. For a refused assignment there is no run."""


class Worker:
    """The role of a worker."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        settings: Settings,
        crew: Crew,
        states: TaskStates,
        clock: Clock,
        peers: Peers | None = None,
        hub: HubWatch | None = None,
    ) -> None:
        """The crew runs the crawls of tasks from `states`. `peers` replaces the gRPC clients of the
        leader, for tests. `hub` tells which callback kept this worker from renewing its lease."""
        self._store = store
        self._keys = keys
        self._settings = settings
        self._crew = crew
        self._clock = clock
        self._masters: Mirror[Node] = Mirror(
            store, keys.registrations(MASTER), decode_registration, clock
        )
        self._observer = LeaderObserver(
            Election(store, keys, clock),
            self._master_names,
            self._on_leader_change,
            peers=peers or Peers(forwards=False),
        )
        self._states = states
        self._runs = Runs(crew, clock, self._on_run_end, settings.worker.max_running)
        self._elsewhere: set[str] = set()
        """The keys of the tasks that were here and have another owner, or none, by now."""
        self._clearing = Supervisor("states", clock=clock)
        self._epochs = Epochs()
        self._own_load = OwnLoad(clock)
        self._past = Past(clock, hub, settings.coordination.lease_ttl_s)
        self._draining = False
        self._session: Session | None = None
        self._mine: Mirror[Resource] | None = None
        self._changed = Event()
        self._report_now = Event()

    def start(self, supervisor: Supervisor) -> None:
        """Start the crew, and observe who leads."""
        self._crew.start()
        self._masters.start(supervisor)
        self._observer.start(supervisor)
        supervisor.spawn("reconcile", self._reconcile_forever, on_end=OnEnd.FATAL)
        supervisor.spawn("report", self._report_forever, on_end=OnEnd.FATAL)
        supervisor.spawn("states", self._drop_forever, on_end=OnEnd.RESTART)

    def stop(self) -> None:
        """Stop the crew. `leave` has stopped the runs."""
        self._crew.stop()
        self._clearing.stop()
        self._states.close()
        self._observer.close()

    def describe(self, node_id: str, address: str) -> Node:
        """Return the registration of this worker, with its labels, spiders, capacity and taints."""
        given = self._settings.node
        return Node(
            node_id,
            address,
            metadata=self._past.metadata(),
            labels=dict(given.labels),
            spiders=self._crew.spider_names(),
            capacity=dict(given.capacity),
            taints=tuple(map(Taint.parse, given.taints)),
        )

    def join(self, session: Session) -> None:
        """Mirror what is assigned to this incarnation, and run it."""
        self._session = session
        self._past.joined(session.node.incarnation)
        self._elsewhere.clear()
        self._mine = Mirror(
            self._store, self._keys.resources, self._decode, self._clock, self._on_assignment
        )
        self._mine.start(session.supervisor)

    def drain(self, patience_s: float) -> None:
        """Start nothing more, let the runs reach a safe point, and report them a last time."""
        self._draining = True
        self._runs.halt(patience_s)
        self._report(LAST_WORD_S)
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
        self._mine = None
        self._runs.stop_all()
        self._changed.set()  # stops those again that have not ended

    def prepare(self) -> None:
        """Wait for the crew and for the states of tasks: no task could run without them. Raises
        ConfigError."""
        self._crew.prepare()
        self._states.prepare()

    def unready_reason(self) -> str:
        """Return why no task can run here at present, or an empty text if one can."""
        unregistered = "not registered in etcd" if self._session is None else ""
        return self._states.unready_reason() or unregistered

    def measure(self, metrics: Metrics) -> None:
        """Export how many tasks run here, and what their crawls have done."""
        self._observer.measure(metrics)
        runs, figures = self._runs, self._crew.figures
        metrics.gauge_of("crawler_runs", "Tasks that run on this worker.", lambda: runs.running)
        metrics.gauge_of(
            "crawler_runs_waiting", "Tasks that wait until others end.", lambda: runs.waiting
        )
        metrics.gauge_of(
            "crawler_response_bytes",
            "Bytes of responses held in memory.",
            lambda: figures().held_bytes,
        )
        metrics.gauge_of(
            "crawler_frontier_away",
            "1 while the Redis of frontier.url does not answer, else 0.",
            lambda: int(bool(self._states.unready_reason())),
        )
        metrics.gauge_of(
            "crawler_hosts_owned",
            "Hosts to which this worker alone may send, if workers share hosts.",
            lambda: figures().hosts_owned,
        )
        metrics.gauge_of(
            "crawler_hosts_waited_for",
            "Hosts that other workers own, and for which this one waits.",
            lambda: figures().hosts_waited_for,
        )
        metrics.counter_of(
            "crawler_assignments_refused",
            "Refused assignments that are older than an earlier one.",
            lambda: self._epochs.refusals,
        )
        metrics.totals_of("crawler_crawl", lambda: crawl_totals(self._crew.totals()))

    # -- what should run ------------------------------------------------------------------------

    def _decode_mine(self, kv: KeyValue) -> Resource | None:
        """Decode a resource that this incarnation owns; None for all others."""
        session = self._session
        # Most resources belong to others, and decoding them all would cost more than all other work
        # here.
        if session is None or session.node.id.encode() not in kv.value:
            return None
        resource = decode_stored(self._keys, kv)
        if resource is None or resource.owner is None:
            return None
        return resource if session.node.owns(resource.owner) else None

    def _decode(self, kv: KeyValue) -> Resource | None:
        """Decode a resource that this incarnation owns. Note one that it owned: that has not been
        deleted."""
        mine = self._decode_mine(kv)
        if mine is not None:
            self._elsewhere.discard(kv.key)
        elif self._mine is not None and kv.key in self._mine.values:
            self._elsewhere.add(kv.key)
        return mine

    def _desired(self) -> dict[str, Resource]:
        if self._session is None or self._mine is None:
            return {}
        return self._epochs.admit(r for r in self._mine.values.values() if not r.state.finished)

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
        wanted = {name: RunKey(r.id, r.epoch) for name, r in desired.items()}
        actions = reconcile(wanted, self._runs.known())
        self._stop(actions.stop)
        ending = self._runs.tend()
        self._runs.check()
        self._runs.adjust(desired.values())
        for name in actions.start:
            # The lease may have been lost while runs stopped, and a run may not have stopped.
            free = name not in self._runs.known() and not self._draining
            if self._session is not None and free:
                self._runs.start(desired[name])
        self._report_now.set()
        return self._runs.known() == wanted and not ending

    def _stop(self, names: Sequence[str]) -> None:
        """Stop runs. Those of tasks that went elsewhere, or begin again here, may end in order."""
        if self._session is None:
            return self._runs.stop_all()
        runs = [self._runs.of(name) for name in names]
        late = {run.name for run in runs if run.stops}  # they have outlived their lease
        fates = {run: self._fate(run) for run in runs if run.name not in late}
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

    def _fate(self, run: Run) -> Fate:
        """What becomes of a run that stops. Nothing tells that of one that outlived its lease."""
        key = self._keys.resource(run.name)
        here = self._mine.values.get(key) if self._mine is not None else None
        is_elsewhere = here is None and key in self._elsewhere
        self._elsewhere.discard(key)
        is_gone = here is None and not is_elsewhere
        others = is_gone and others_go_on(self._store, self._keys, run.resource)
        return fate_of(run.resource, here, is_elsewhere, others, run.can_go_on)

    def _drop_forever(self) -> None:
        """Remove the states that nobody has used."""
        while True:
            self._states.drop_unused(self._settings.frontier.keep_s)
            self._clock.sleep(DROP_S)

    # -- reports ---------------------------------------------------------------------------------

    def _report_forever(self) -> None:
        """Report at once which runs have ended, and report counts at intervals."""
        while True:
            self._clock.wait(self._report_now, self._settings.worker.report_s)
            self._report_now.clear()
            self._report(self._settings.api.timeout_s)
            self._own_load.sleep(min(0.05, self._settings.worker.report_s))

    def _report(self, timeout_s: float) -> None:
        leader, session = self._observer.leader, self._session
        reports = [told for told in map(_report_of, self._runs.all()) if told is not None]
        reports += [(None, protest) for protest in self._epochs.protests()]
        if session is None or leader is None or not leader.address:
            return
        if not reports and not self._own_load.due:
            return
        deadline_s = self._clock.monotonic() + timeout_s
        for part in _parts(reports) if reports else [[]]:
            left_s = deadline_s - self._clock.monotonic()
            if left_s > 0:
                self._send(leader, session.node.id, part, left_s)

    def _send(self, leader: Leader, node_id: str, sent: list[RunReport], timeout_s: float) -> None:
        """Send reports. A report that was not accepted is sent again next time, with newer counts.

        A refused run may have an assignment that the leader has not seen yet, so it is reported
        again. If the assignment is outdated, the mirror will learn that, and the run is stopped.
        """
        call = Call(timeout_s)
        reports = [report for _, report in sent]
        try:
            load = self._own_load.tell()
            refused = set(self._observer.backend(leader).report(node_id, reports, call, load))
        except CrawlerError as error:
            log.warning("reports not delivered; trying again", leader=leader.id, error=str(error))
            return
        for run, report in sent:
            if run is not None and run.name not in refused:
                run.told(report)

    def _master_names(self) -> dict[str, str]:
        prefix = self._keys.node_id(MASTER, "")
        return {n.id.removeprefix(prefix): n.address for n in self._masters.values.values()}

    def _on_assignment(self, _: object) -> None:
        self._changed.set()

    def _on_run_end(self) -> None:
        self._report_now.set()

    def _on_leader_change(self, leader: Leader | None) -> None:
        self._report_now.set()


def _report_of(run: Run) -> RunReport | None:
    report = run.report()
    return None if report is None else (run, report)


def _parts(reports: list[RunReport]) -> Iterator[list[RunReport]]:
    """Split reports into calls well below the size that a master accepts."""
    part: list[RunReport] = []
    size = 0
    for run, report in reports:
        more = REPORT_BYTES + 4 * (len(report.name) + len(report.reason))
        more += SHARD_BYTES * len(report.shard_counts)
        if part and size + more > CALL_BYTES:
            yield part
            part, size = [], 0
        part.append((run, report))
        size += more
    if part:
        yield part


def crawl_totals(totals: Totals) -> Iterator[Total]:
    """Yield the totals of all crawls of a worker, for its metrics."""
    for name, value in totals.sums.items():
        yield Total(f"crawler_crawl_{name}", f"Over all crawls: {name}.", value)
    for name, by_reason in (("failures", totals.failures), ("filtered", totals.filtered)):
        help = f"Over all crawls: {name}, by reason."
        yield Total(f"crawler_crawl_{name}", help, by_reason, label="reason")

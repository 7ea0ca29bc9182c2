"""One term of leadership: takes over, then handles all requests and placements until it ends.

One greenlet does every write of a task: it gathers what was asked for meanwhile, decides on a
draft, places what has no owner, commits the draft in fenced batches, and answers. So requests that
come together share a transaction, and no decision is made on a state that another is changing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gevent.event import Event

from crawler.api.service import Call
from crawler.clock import Backoff, Clock, give_turn
from crawler.coordination.election import Election
from crawler.coordination.lease import Lease
from crawler.coordination.ledger import Ledger, Outcome
from crawler.coordination.snowflake import IdGenerator
from crawler.errors import (
    CrawlerError,
    LeadershipLost,
    OutcomeUnknown,
    Retryable,
    StoreRefused,
    Unavailable,
)
from crawler.logs import get_logger
from crawler.model.records import Leadership, Resource, Spec
from crawler.node.master.backend import LeaderBackend
from crawler.node.master.command_queue import CommandQueue, QueuedCommand
from crawler.node.master.commands import Add, Command
from crawler.node.master.draft import Draft
from crawler.node.master.explain import explained
from crawler.node.master.grace import Grace, Incarnation, WorkerGrace
from crawler.node.master.mirrors import Mirrors
from crawler.node.master.placement import Placer
from crawler.node.master.policy import PolicyControl
from crawler.scheduler.framework import Framework
from crawler.settings.sections import SchedulerSettings

log = get_logger(__name__)

RECOVER_S = 0.3
MOST_RECOVER_S = 1.0
"""Pauses before the store is asked again after it did not answer, or refused."""


class Term:
    """A leader's work from its election to its end."""

    def __init__(
        self,
        leadership: Leadership,
        lease: Lease,
        *,
        number: int,
        cluster: Mirrors,
        ledger: Ledger,
        election: Election,
        framework: Framework,
        clock: Clock,
        settings: SchedulerSettings,
        on_refused: Callable[[int], None],
        on_full: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_refused` counts the reports refused as out of date, `on_full` is called for each
        request refused because too many wait.
        """
        self._leadership = leadership
        self._lease = lease
        self._number = number
        self._cluster = cluster
        self._ledger = ledger
        self._election = election
        self._clock = clock
        self._check_s = settings.check_s
        self._placer = Placer(cluster.cluster_state, framework, settings, give_turn)
        self._policy = PolicyControl(
            cluster.decisions,
            framework,
            cluster.cluster_state,
            ledger,
            leadership,
            clock,
            self.changed,
        )
        self._ids = IdGenerator(number, clock)
        self._command_queue = CommandQueue(clock, on_full)
        self._wake = Event()
        self._more = False
        """Whether the last pass left tasks that could be placed at once."""
        self._doubted = False
        self._leaving = False
        self._grace = Grace((), 0.0)
        self._recovery = Backoff(RECOVER_S, MOST_RECOVER_S)
        self._seeds: Sequence[Spec] = ()
        """Those that are still to be added."""
        self._buried: dict[str, int] = {}
        """The latest incarnation of each worker that this term has noted as dead."""
        self._bury_refused = False
        self._spared: frozenset[Incarnation] = frozenset()
        explain = partial(explained, self._placer, framework, cluster.cluster_state, clock)
        self.backend = LeaderBackend(cluster, self.submit, on_refused, self._policy, explain)
        """Handles the requests from outside."""
        self.ready = False

    def run(self, seeds: Sequence[Spec]) -> None:
        """Lead until `finish`. Raises LeadershipLost, LeaseLost; Retryable from the take-over."""
        try:
            self._take_over(seeds)
            next_check_s = self._clock.monotonic() + self._check_s
            while self._command_queue or not self._leaving:
                self._clock.wait(self._wake, self._idle_s(next_check_s))
                self._wake.clear()
                if self._doubted or self._clock.monotonic() >= next_check_s:
                    self._check()
                    next_check_s = self._clock.monotonic() + self._check_s
                self._lease.check()
                self._pass()
        finally:
            self._end()

    def finish(self) -> None:
        """Take no more requests, answer those that wait, and let `run` return.

        Those include what came while the last pass was under way.
        """
        self._leaving = True
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many requests wait for the writing greenlet."""
        return len(self._command_queue)

    @property
    def placer(self) -> Placer:
        """What it knows of the tasks that wait for a worker."""
        return self._placer

    def doubt(self) -> None:
        """Something speaks against this leadership: ask etcd at the next turn."""
        self._doubted = True
        self._wake.set()

    def changed(self) -> None:
        """Workers or resources changed by others' hands: look for what needs an owner."""
        self._wake.set()

    def _take_over(self, seeds: Sequence[Spec]) -> None:
        """Read everything at one revision, add the seed tasks, place, and only then be ready."""
        self._cluster.refresh()
        self._grace = Grace.begin(
            self._cluster.all_resources(),
            self._cluster.live_workers(),
            self._clock.monotonic() + self._lease.ttl_s,
        )
        self._ids = IdGenerator(self._number, self._clock, above=self._ledger.highest_id())
        self._seeds = [spec for spec in seeds if self._cluster.resource(spec.name) is None]
        missing = len(self._seeds)
        self._pass()
        self.ready = True
        log.info(
            "leading",
            seeds=missing,
            resources=len(self._cluster.resources.values),
            workers=len(self._cluster.workers.values),
        )

    def _idle_s(self, next_check_s: float) -> float:
        """How long there is nothing to do, unless somebody asks."""
        now_s = self._clock.monotonic()
        if self._more:
            return 0.0
        grace_s = self._grace.left_s(now_s)
        idle_s = min(max(0.0, next_check_s - now_s), self._placer.idle_s(now_s))
        return min(idle_s, grace_s) if grace_s else idle_s

    def _check(self) -> None:
        """Once in a while, and in doubt: ask etcd who leads, and try again what is parked."""
        self._doubted = False
        self.backend.forget_counts()
        try:
            self._election.confirm(self._leadership)
        except Retryable as error:
            log.warning("cannot confirm the leadership, the lease decides", error=str(error))
        self._placer.try_some()

    def _pass(self) -> None:
        """Decide all that waits on one draft, commit it, answer."""
        if self._policy.apply():
            self._placer.look_anew()
        cluster_state = self._cluster.cluster_state
        draft = Draft(
            self._cluster.resource, self._ids.next, self._clock.time_ns, cluster_state.see
        )
        decided: list[QueuedCommand] = []
        written: dict[str, Outcome] = {}
        try:
            for spec in self._seeds:
                if draft.get(spec.name) is None:
                    Add(spec).apply(draft)
            self._decide(draft, decided)
            self._place(draft)
            self._commit(draft, written)
        except Retryable as error:
            self._answer(decided, written, error)
            self._recover(error)
        except BaseException as error:
            self._answer(decided, written, error)
            raise
        else:
            self._seeds = ()
            self._recovery.reset()
            self._answer(decided, written, None)
        finally:
            self._take_back(draft, written)

    def _place(self, draft: Draft) -> None:
        """Give owners to what has none; whose tasks are taken is told that it is dead first."""
        cluster_state, now_s = self._cluster.cluster_state, self._clock.monotonic()
        missed = self._grace.spared(now_s)
        if missed != self._spared:
            cluster_state.suspect_all(life.node_id for life in self._spared - missed)
            self._spared = missed
        workforce = WorkerGrace(self._cluster.live_workers(), missed, cluster_state.cordoned)
        placed = self._placer.place(draft, workforce, now_s, self._clock.time_ns())
        self._more = placed.more
        news = {id: inc for id, inc in placed.dead.items() if inc > self._buried.get(id, 0)}
        if news:
            log.info("workers are gone, their tasks move", incarnations=news)
            self._bury(news)
            self._buried.update(news)

    def _take_back(self, draft: Draft, written: Mapping[str, Outcome]) -> None:
        """What was not committed is as it was before: the workers chosen for it are free again."""
        for name in draft.names:
            if name not in written or not written[name].committed:
                self._cluster.cluster_state.see(name, self._cluster.resource(name))

    def _bury(self, dead: Mapping[str, int]) -> None:
        """Note who is dead. Where the store takes no notes, the tasks move all the same: leases and
        epochs keep two owners apart but for a worker that was paused."""
        try:
            self._ledger.bury(self._leadership, dead)
        except StoreRefused as error:
            note = log.debug if self._bury_refused else log.error
            self._bury_refused = True
            note(
                "the store refuses notes on dead workers; "
                "let this user write below coordination.tombstones",
                error=str(error),
            )

    def _decide(self, draft: Draft, decided: list[QueuedCommand]) -> None:
        """Apply the waiting requests to the draft; a defect that one meets costs no other."""
        for queued in self._command_queue.take():
            try:
                queued.decide(draft)
            except Exception:
                kind = type(queued.request).__name__
                log.error("request meets a defect", request=kind, exc_info=True)
                queued.settle(CrawlerError("the leader met a defect; its log says which"))
            else:
                decided.append(queued)

    def _commit(self, draft: Draft, written: dict[str, Outcome]) -> None:
        """Commit the draft; fills in what became of each change as soon as it is known."""
        with self._cluster.resources.writing():
            for landed in self._ledger.commit(self._leadership, draft.changes()):
                self._cluster.take(landed)
                written.update([(outcome.name, outcome) for outcome in landed.outcomes])
                if not landed.revision:
                    self._note_conflicts(landed.outcomes)

    def _note_conflicts(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if not outcome.committed and outcome.refusal is None:
                log.info("task was changed by another meanwhile, deciding anew", task=outcome.name)
                self.changed()

    def _answer(
        self,
        decided: Sequence[QueuedCommand],
        written: Mapping[str, Outcome],
        error: BaseException | None,
    ) -> None:
        """Answer each request by what became of its changes; `error` ended the commit early."""
        for queued in decided:
            outcomes = [written[name] for name in queued.names if name in written]
            queued.outcomes = outcomes
            refusals = [outcome.refusal for outcome in outcomes if outcome.refusal]
            if refusals and queued.rejection is None:
                queued.settle(refusals[0])
            elif error is not None and any(name not in written for name in queued.names):
                queued.settle(_unanswered(error))
            elif all(outcome.committed for outcome in outcomes):
                queued.settle(queued.rejection)
            else:
                self._command_queue.put_back(queued)
                self._wake.set()

    def _recover(self, error: Retryable) -> None:
        """The store did not answer: nobody knows what was written, so read anew."""
        note = log.debug if self._recovery.attempts else log.warning
        note("writing failed, reading anew and trying again", error=str(error))
        while True:
            self._clock.wait(self._lease.lost, self._recovery.next_s())
            self._lease.check()
            try:
                self._cluster.refresh()
            except Retryable:
                continue
            return self.changed()

    def _end(self) -> None:
        self.ready = False
        self._cluster.cluster_state.end()
        self._command_queue.refuse_all(Unavailable("this master does not lead any more; try again"))

    def submit(self, request: Command, call: Call) -> Mapping[str, Resource]:
        """Hand a request to the writing greenlet and wait for its end; what stands there now."""
        if self._leaving:
            raise Unavailable("this master is leaving; try again")
        outcomes = self._command_queue.hand_in(request, call, self._wake)
        read = {outcome.name: self._ledger.read(outcome) for outcome in outcomes}
        return {name: resource for name, resource in read.items() if resource is not None}


def _unanswered(error: BaseException) -> CrawlerError:
    """What the caller of an unfinished request is told."""
    if isinstance(error, OutcomeUnknown):
        return OutcomeUnknown(f"it may have been done or not, read to see: {error}")
    if isinstance(error, Retryable | LeadershipLost):
        return Unavailable(f"not done: {error}; try again")
    return OutcomeUnknown("this master stopped leading meanwhile; read to see what was done")

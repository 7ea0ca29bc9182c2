"""The writer of the leader: it decides requests, places tasks, and commits both, pass by pass.

One greenlet makes all writes of tasks. In each pass it collects the waiting requests, decides them
on a draft, places the tasks without an owner, commits the draft in fenced batches, and answers.
Requests that arrive together share a transaction, and no two decisions work on the same state at
the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gevent.event import Event

from crawler.api.backend import Call
from crawler.clock import Backoff, give_turn
from crawler.coordination.ledger import Outcome, Unwritable
from crawler.coordination.snowflake import IdGenerator
from crawler.errors import CrawlerError, LeadershipLost, OutcomeUnknown, Retryable, Unavailable
from crawler.logs import get_logger
from crawler.model.records import Resource, Spec
from crawler.node.master.command_queue import CommandQueue, QueuedCommand
from crawler.node.master.commands import Add, Command
from crawler.node.master.deaths import Deaths
from crawler.node.master.draft import Draft
from crawler.node.master.grace import GracePeriod
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.placement import Placer
from crawler.node.master.policy import PolicyControl
from crawler.node.master.shards import Shards
from crawler.node.master.telling import Telling
from crawler.node.master.workers import Incarnation, WorkerSnapshot

log = get_logger(__name__)

RECOVER_S = 0.3
MOST_RECOVER_S = 1.0
"""Pauses before the writer asks the store again that did not answer, or refused."""


class TermWriter:
    """Changes tasks for one term. Any greenlet may call `submit`, `wake` and `finish`. All else
    runs in the greenlet of the term."""

    def __init__(self, ctx: LeaderContext) -> None:
        self._ctx = ctx
        self._mirrors = ctx.mirrors
        self._clock = ctx.clock
        self.placer = Placer(
            ctx.mirrors.cluster_state, ctx.framework, ctx.settings, give_turn, ctx.lease.ttl_s
        )
        """The tasks that wait for a worker."""
        self._policy = PolicyControl(ctx)
        self.shards = Shards(lambda: ctx.mirrors.resources.revision)
        """The shards of the tasks that run on several workers."""
        self._deaths = Deaths(ctx)
        self.telling = Telling(ctx.history, ctx.mirrors, ctx.clock, ctx.tracing)
        """Tells the history, and the traces, what was committed."""
        self.telling.strategy = lambda: ctx.framework.policy.strategy
        self._ids = IdGenerator(ctx.number, ctx.clock)
        self._commands = CommandQueue(ctx.clock, ctx.refusals.on_full)
        self._awake = Event()
        self._more = False
        """Whether the last pass left tasks that could be placed at once."""
        self._leaving = False
        self._grace = GracePeriod((), 0.0)
        self._spared: frozenset[Incarnation] = frozenset()
        self._recovery = Backoff(RECOVER_S, MOST_RECOVER_S)
        self._seeds: Sequence[Spec] = ()
        """The seed tasks that still have to be added."""

    # -- from any greenlet ---------------------------------------------------------------------

    def submit(self, command: Command, call: Call) -> Mapping[str, Resource]:
        """Submit a request and wait until it is committed. Return the resources as they were stored
        then, because the mirror may already show later changes.

        Raises Unavailable if this master is leaving, and the error with which the request was
        answered.
        """
        if self._leaving:
            raise Unavailable("this master is leaving; try again")
        outcomes = self._commands.hand_in(command, call, self._awake)
        read = {outcome.name: self._ctx.ledger.read(outcome) for outcome in outcomes}
        return {name: resource for name, resource in read.items() if resource is not None}

    def wake(self) -> None:
        """Look for tasks without an owner: something changed outside of this term."""
        self._awake.set()

    def finish(self) -> None:
        """Accept no more requests. Those that wait are still answered."""
        self._leaving = True
        self._awake.set()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._commands)

    # -- in the greenlet of the term -----------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether `finish` was called and all requests are answered."""
        return self._leaving and not self._commands

    def begin(self, seeds: Sequence[Spec]) -> None:
        """Run the first pass on what the mirrors have just read. Add the `seeds` that do not exist.

        Raises LeadershipLost, LeaseLost, Retryable.
        """
        self._grace = GracePeriod.begin(
            self._mirrors.all_resources(),
            self._mirrors.live_workers(),
            self._clock.monotonic() + self._ctx.lease.ttl_s,
        )
        highest = self._ctx.ledger.highest_id()
        self._ids = IdGenerator(self._ctx.number, self._clock, above=highest)
        self._seeds = [spec for spec in seeds if self._mirrors.resource(spec.name) is None]
        self.run_pass()

    def wait(self, most_s: float) -> None:
        """Wait until there is something to do, for at most `most_s` seconds."""
        self._clock.wait(self._awake, self._idle_s(most_s))
        self._awake.clear()

    def run_pass(self) -> None:
        """Decide all waiting requests on one draft, commit it, and answer."""
        self.telling.begin()
        if self._policy.apply():
            self.placer.look_anew()
        draft = Draft(
            self._mirrors.resource,
            self._ids.next,
            self._clock.time_ns,
            self._mirrors.cluster_state.see,
            self._ctx.projects.bundle_for,
        )
        decided: list[QueuedCommand] = []
        written: dict[str, Outcome] = {}
        try:
            self._add_seeds(draft)
            self._decide(draft, decided)
            self._mend(draft)
            self._place(draft)
            self._commit(draft, written, decided)
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

    def close(self) -> None:
        """Refuse all waiting requests: the term has ended."""
        self._mirrors.cluster_state.end()
        self._commands.refuse_all(Unavailable("this master does not lead any more; try again"))

    def _idle_s(self, most_s: float) -> float:
        """Return how many seconds there is nothing to do, unless a request arrives."""
        if self._more:
            return 0.0
        now_s = self._clock.monotonic()
        idle_s = min(max(0.0, most_s), self.placer.idle_s(now_s), self.shards.idle_s(now_s))
        grace_s = self._grace.left_s(now_s)
        return min(idle_s, grace_s) if grace_s else idle_s

    def _add_seeds(self, draft: Draft) -> None:
        for spec in self._seeds:
            if draft.get(spec.name) is None:
                Add(spec).apply(draft)

    def _decide(self, draft: Draft, decided: list[QueuedCommand]) -> None:
        """Apply the waiting requests to the draft. A bug that one request triggers does not affect
        the others."""
        for queued in self._commands.take():
            try:
                queued.decide(draft)
            except Exception:
                kind = type(queued.request).__name__
                log.error("a request failed because of a bug", request=kind, exc_info=True)
                queued.settle(CrawlerError("the leader has a bug; its log says which"))
            else:
                decided.append(queued)

    def _mend(self, draft: Draft) -> None:
        """Bring the shards of tasks in line with what became of the tasks."""
        changed = self._mirrors.cluster_state.changes.take_sharded()
        self.shards.mend(draft, changed, self._clock.monotonic(), self._clock.time_ns())

    def _place(self, draft: Draft) -> None:
        """Place the tasks without an owner. Before a dead worker's tasks move, its tombstone is
        written."""
        now_s = self._clock.monotonic()
        workers = self._snapshot(now_s)
        placed = self.placer.place(draft, workers, now_s, self._clock.time_ns())
        self._more = placed.more
        self._deaths.note(placed.dead)

    def _snapshot(self, now_s: float) -> WorkerSnapshot:
        """Return the workers at this moment. If a grace has ended, mark those workers' tasks for
        another look."""
        cluster_state, spared = self._mirrors.cluster_state, self._grace.spared(now_s)
        if spared != self._spared:
            cluster_state.workers.suspect_all(life.node_id for life in self._spared - spared)
            self._spared = spared
        return WorkerSnapshot(
            self._mirrors.live_workers(),
            spared,
            cluster_state.workers.cordoned,
            self._mirrors.hosts_lost,
        )

    def _commit(
        self, draft: Draft, written: dict[str, Outcome], decided: Sequence[QueuedCommand]
    ) -> None:
        """Commit the draft. Fill in `written` as soon as the outcome of each change is known."""
        asked = {name for queued in decided for name in queued.names}
        self.telling.asked(decided)
        with self._mirrors.resources.writing():
            for landed in self._ctx.ledger.commit(self._ctx.leadership, draft.changes()):
                self.telling.take(landed, draft.base)
                written.update([(outcome.name, outcome) for outcome in landed.outcomes])
                if not landed.revision:
                    self._note_conflicts(landed.outcomes, asked)

    def _note_conflicts(self, outcomes: Sequence[Outcome], asked: Collection[str]) -> None:
        """Note what was not written. If a request asked for a change that cannot be written, the
        fault is in the request, and the stored task may well be placed."""
        for outcome in outcomes:
            stored = self._mirrors.resource(outcome.name)
            refusal = outcome.refusal if outcome.name not in asked else None
            if isinstance(refusal, Unwritable) and stored is not None:
                self.placer.set_aside(stored, refusal, self._clock.monotonic())
            if not outcome.committed and outcome.refusal is None:
                log.info(
                    "another program changed the task meanwhile; deciding again", task=outcome.name
                )
                self.wake()

    def _take_back(self, draft: Draft, written: Mapping[str, Outcome]) -> None:
        """Restore the tasks that were not committed in the cluster state, so that the workers
        chosen for them are free again, and let the next pass look at them."""
        for name in draft.names:
            if name not in written or not written[name].committed:
                self._mirrors.cluster_state.see(name, self._mirrors.resource(name))
                self._mirrors.cluster_state.changes.suspect([name])

    def _answer(
        self,
        decided: Sequence[QueuedCommand],
        written: Mapping[str, Outcome],
        error: BaseException | None,
    ) -> None:
        """Answer each request by the outcome of its changes. `error` is what ended the commit
        early."""
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
                self._commands.put_back(queued)
                self.wake()

    def _recover(self, error: Retryable) -> None:
        """Read everything anew: the store did not answer, so nobody knows what it wrote."""
        note = log.debug if self._recovery.attempts else log.warning
        note("writing failed; reading and deciding again", error=str(error))
        while True:
            self._clock.wait(self._ctx.lease.lost, self._recovery.next_s())
            self._ctx.lease.check()
            try:
                self._mirrors.refresh()
            except Retryable:
                continue
            self._ctx.history.doubt()  # it looks at what was just read
            return self.wake()


def _unanswered(error: BaseException) -> CrawlerError:
    """Return the error for the caller of an unfinished request."""
    if isinstance(error, OutcomeUnknown):
        return OutcomeUnknown(f"it is unknown whether this was done; read the task to see: {error}")
    if isinstance(error, Retryable | LeadershipLost):
        return Unavailable(f"not done: {error}; try again")
    return OutcomeUnknown(
        "this master stopped leading meanwhile; read the task to see what was done"
    )

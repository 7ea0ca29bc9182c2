"""One term of leadership: the master takes over, then serves requests and places tasks."""

from __future__ import annotations

from collections.abc import Sequence

from crawler.errors import Retryable
from crawler.logs import get_logger
from crawler.model.records import Spec
from crawler.node.master.alerting import Alerting
from crawler.node.master.backend import ALONE, LeaderBackend
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.timekeeper import Timekeeper
from crawler.node.master.writer import TermWriter
from crawler.supervision import do_all

log = get_logger(__name__)


class Term:
    """The work of a leader, from its election to the end of its leadership."""

    def __init__(self, ctx: LeaderContext) -> None:
        self._ctx = ctx
        self._doubted = False
        self.ready = False
        self.writer = TermWriter(ctx)
        """Changes the tasks."""
        self.backend = LeaderBackend(ctx, self.writer)
        """Carries out the requests of the API."""
        self._timekeeper = Timekeeper(ctx, self.writer, "" if ctx.shares_states else ALONE)
        """Carries out the schedules."""
        self._alerting = Alerting(ctx, self.backend.live.of_task)
        """Carries out the rules of alerts."""
        self.writer.shards.with_counts = self.writer.telling.with_counts = self.backend.live.of_run

    def run(self, seeds: Sequence[Spec]) -> None:
        """Lead until `finish` is called.

        Raises LeadershipLost, LeaseLost; Retryable if taking over fails.
        """
        clock, check_s = self._ctx.clock, self._ctx.settings.check_s
        try:
            self._take_over(seeds)
            next_check_s = clock.monotonic() + check_s
            while not self.writer.finished:
                self.writer.wait(next_check_s - clock.monotonic())
                if self._doubted or clock.monotonic() >= next_check_s:
                    self._check()
                    next_check_s = clock.monotonic() + check_s
                self._ctx.lease.check()
                self.writer.run_pass()
        finally:
            self.ready = False
            self._ctx.history.follow()
            do_all(self._timekeeper.stop, self._alerting.stop, self.writer.close)

    def finish(self) -> None:
        """Accept no more requests, answer those that wait, and let `run` return.

        The answers include requests that arrived during the last pass.
        """
        self.writer.finish()

    def doubt(self) -> None:
        """Ask etcd at the next turn who leads, because something contradicts this leadership."""
        self._doubted = True
        self.writer.wake()

    def _take_over(self, seeds: Sequence[Spec]) -> None:
        """Read everything at one revision, add the seed tasks, run a pass, and only then be
        ready."""
        mirrors = self._ctx.mirrors
        mirrors.refresh()
        self._ctx.schedules.mirror.refresh()
        self._ctx.projects.mirror.refresh()
        self._ctx.alerts.mirror.refresh()
        missing = sum(mirrors.resource(spec.name) is None for spec in seeds)
        self.writer.begin(seeds)
        self.ready = True
        self._timekeeper.start()
        self._alerting.start()
        self._ctx.history.lead(lambda: (mirrors.all_resources(), mirrors.resources.revision))
        log.info(
            "leading",
            seeds=missing,
            resources=len(mirrors.resources.values),
            workers=len(mirrors.workers.values),
        )

    def _check(self) -> None:
        """Ask etcd who leads, and wake some parked tasks. Runs at intervals and after a doubt."""
        self._doubted = False
        self.backend.live.forget()
        try:
            self._ctx.election.confirm(self._ctx.leadership)
        except Retryable as error:
            log.warning(
                "cannot ask etcd who leads; this master leads until its lease ends",
                error=str(error),
            )
        self.writer.placer.try_some()

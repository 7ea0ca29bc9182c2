"""One term of leadership: takes over, then has requests and placements handled until it ends."""

from __future__ import annotations

from collections.abc import Sequence

from crawler.errors import Retryable
from crawler.logs import get_logger
from crawler.model.records import Spec
from crawler.node.master.backend import LeaderBackend
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.writer import TermWriter

log = get_logger(__name__)


class Term:
    """A leader's work from its election to its end."""

    def __init__(self, ctx: LeaderContext) -> None:
        self._ctx = ctx
        self._doubted = False
        self.ready = False
        self.writer = TermWriter(ctx)
        """Changes the tasks."""
        self.backend = LeaderBackend(ctx, self.writer)
        """Handles the requests from outside."""

    def run(self, seeds: Sequence[Spec]) -> None:
        """Lead until `finish`. Raises LeadershipLost, LeaseLost; Retryable from the take-over."""
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
            self.writer.close()

    def finish(self) -> None:
        """Take no more requests, answer those that wait, and let `run` return.

        Those include what came while the last pass was under way.
        """
        self.writer.finish()

    def doubt(self) -> None:
        """Something speaks against this leadership: ask etcd at the next turn."""
        self._doubted = True
        self.writer.wake()

    def _take_over(self, seeds: Sequence[Spec]) -> None:
        """Read everything at one revision, add the seed tasks, place, and only then be ready."""
        mirrors = self._ctx.mirrors
        mirrors.refresh()
        missing = sum(mirrors.resource(spec.name) is None for spec in seeds)
        self.writer.begin(seeds)
        self.ready = True
        log.info(
            "leading",
            seeds=missing,
            resources=len(mirrors.resources.values),
            workers=len(mirrors.workers.values),
        )

    def _check(self) -> None:
        """Once in a while, and in doubt: ask etcd who leads, and try again what is parked."""
        self._doubted = False
        self.backend.forget_counts()
        try:
            self._ctx.election.confirm(self._ctx.leadership)
        except Retryable as error:
            log.warning(
                "cannot ask etcd who leads; this master leads until its lease ends",
                error=str(error),
            )
        self.writer.placer.try_some()

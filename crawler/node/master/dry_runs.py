"""Tries a policy on a copy of what the leader knows. Nothing is stored."""

from __future__ import annotations

from crawler.clock import give_turn
from crawler.errors import Overloaded
from crawler.model.policy import DryRun, Policy
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.writer import TermWriter
from crawler.scheduler.dry_run import Trial

SLICE_S = 0.002
"""After how long other greenlets get a turn. The lease and the requests must not wait for it."""

SHARE = 0.8
"""Which part of the time of a call it may take. The rest brings the answer back."""


class DryRuns:
    """Makes one dry run at a time: each of them takes the leader's processor."""

    def __init__(self, ctx: LeaderContext, writer: TermWriter) -> None:
        self._ctx = ctx
        self._writer = writer
        self._busy = False

    def run(self, policy: Policy, most_s: float) -> DryRun:
        """Return what the scheduler would do under a policy that it can apply. Raises
        Overloaded."""
        if self._busy:
            raise Overloaded("another dry run goes on, and there is one at a time; try again soon")
        self._busy = True
        try:
            return self._run(policy, most_s)
        finally:
            self._busy = False

    def _run(self, policy: Policy, most_s: float) -> DryRun:
        ctx, placer = self._ctx, self._writer.placer
        slices = _Slices(ctx, SHARE * most_s)
        trial = Trial(
            ctx.framework.under(policy),
            ctx.mirrors.cluster_state.without_tasks(),
            placer.backlog.emptied(),
            slices.step,
        )
        return trial.run(ctx.mirrors.all_resources(), placer.waiting, ctx.clock.time_ns())


class _Slices:
    """Work in slices of time."""

    def __init__(self, ctx: LeaderContext, most_s: float) -> None:
        self._clock = ctx.clock
        self._began_s = ctx.clock.monotonic()
        self._until_s = self._began_s + most_s

    def step(self) -> bool:
        """Give others a turn if a slice is over. Return whether there is time left."""
        if self._clock.monotonic() - self._began_s >= SLICE_S:
            give_turn()
            self._began_s = self._clock.monotonic()
        return self._began_s < self._until_s

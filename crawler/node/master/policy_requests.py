"""Carries out requests about the scheduler: show or change its policy, cordon a worker.

The leader stores the decisions with a fence, in the greenlet of the request. The writer applies
them between two passes (`PolicyControl`).
"""

from __future__ import annotations

from crawler.api.backend import Call
from crawler.coordination.keys import WORKER
from crawler.errors import ConfigError, InvalidArgument, NotFound
from crawler.model.policy import Cordon, DryRun, Policy, PolicyChange, SchedulerView
from crawler.node.master.dry_runs import DryRuns
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.policy import fault_of, view
from crawler.node.master.writer import TermWriter


class PolicyRequests:
    """Carries out the requests about the scheduler for one term."""

    def __init__(self, ctx: LeaderContext, writer: TermWriter) -> None:
        self._leadership = ctx.leadership
        self._framework = ctx.framework
        self._clock = ctx.clock
        self._mirrors = ctx.mirrors
        self._decisions = ctx.mirrors.decisions
        self._writer = writer
        self._dry_runs = DryRuns(ctx, writer)

    def view(self) -> SchedulerView:
        """Return the scheduler as it will be from the next pass on."""
        stored = self._decisions.policy
        fault = fault_of(self._framework, stored)
        policy = self._framework.own if stored is None or fault else stored
        return view(self._framework, policy, switched=stored is not None, fault=fault)

    def change(self, change: PolicyChange) -> SchedulerView:
        """Change the policy, for this leader and those after it.

        Raises InvalidArgument, Conflict, LeadershipLost, Retryable.
        """
        self._check_named(change)
        self._decisions.switch(self._leadership, lambda: self._changed(change))
        self._writer.wake()
        return self.view()

    def dry_run(self, change: PolicyChange, call: Call) -> DryRun:
        """Return what the scheduler would do after a change. Raises InvalidArgument, Overloaded."""
        self._check_named(change)
        return self._dry_runs.run(self._changed(change), call.timeout_s)

    def _changed(self, change: PolicyChange) -> Policy:
        """Return the present policy with a change. Raises InvalidArgument."""
        policy = change.applied_to(self._known(self._decisions.policy or self._framework.own))
        try:
            self._framework.check(policy)
        except ConfigError as error:
            raise InvalidArgument(str(error).removeprefix("scheduler.")) from None
        return policy

    def reset(self) -> SchedulerView:
        """Return to the policy of the settings. Raises Conflict, LeadershipLost, Retryable."""
        self._decisions.switch(self._leadership, lambda: None)
        self._writer.wake()
        return self.view()

    def cordon(self, node: str) -> str:
        """Cordon a worker: its tasks move away, and it gets no others. Return its id.

        Raises NotFound, Conflict, LeadershipLost, Retryable.
        """
        node_id = self.worker_id(node)
        if node_id not in self._decisions.cordoned:
            self._decisions.cordon(self._leadership, Cordon(node_id, self._clock.time_ns()))
            self._writer.wake()
        return node_id

    def uncordon(self, node: str) -> str:
        """Let a worker take tasks again. Return its id. Raises as `cordon` does."""
        node_id = self.worker_id(node)
        self._decisions.uncordon(self._leadership, node_id)
        self._writer.wake()
        return node_id

    def worker_id(self, node: str) -> str:
        """Return the id of a worker, given its id or its name. Raises NotFound."""
        candidates = self._mirrors.cluster_state.candidates
        short = node.removeprefix(f"{WORKER}-")  # worker-2, as logs and tables have it
        for node_id in (node, self._mirrors.keys.node_id(WORKER, short)):
            if node_id in candidates or node_id in self._decisions.cordoned:
                return node_id
        raise NotFound(
            f"no worker {node!r} is registered; `crawler nodes`, or GET"
            " /crawler/node, lists those that are"
        )

    def _check_named(self, change: PolicyChange) -> None:
        """Raise InvalidArgument for a plugin that is not loaded, because the change would have no
        effect, and nobody would notice."""
        known = {plugin.name: None for plugin in self._framework.plugins}
        for field in ("disable", "enable", "weigh"):
            for name in sorted(set(getattr(change, field)) - known.keys()):
                raise InvalidArgument(
                    f"{field}: {name!r} is no plugin; allowed: {', '.join(known)}"
                )

    def _known(self, policy: Policy) -> Policy:
        """Return the part of a policy that this master can apply. Whoever changes it wants to keep
        that part."""
        names = {plugin.name for plugin in self._framework.plugins}
        return Policy(
            policy.strategy
            if policy.strategy in self._framework.strategies
            else self._framework.own.strategy,
            policy.disabled & names,
            {name: weight for name, weight in policy.weights.items() if name in names},
        )

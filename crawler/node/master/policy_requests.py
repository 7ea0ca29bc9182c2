"""What people ask of the scheduler: to show or change the policy, to keep tasks off a worker.

The leader stores what they decide, fenced, in the greenlet of whoever asks. The writer carries it
out between two passes (`PolicyControl`).
"""

from __future__ import annotations

from crawler.coordination.keys import WORKER
from crawler.errors import ConfigError, InvalidArgument, NotFound
from crawler.model.policy import Cordon, Policy, PolicyChange, SchedulerView
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.policy import fault_of, view
from crawler.node.master.writer import TermWriter


class PolicyRequests:
    """Answers them for one term."""

    def __init__(self, ctx: LeaderContext, writer: TermWriter) -> None:
        self._leadership = ctx.leadership
        self._framework = ctx.framework
        self._clock = ctx.clock
        self._mirrors = ctx.mirrors
        self._decisions = ctx.mirrors.decisions
        self._writer = writer

    def view(self) -> SchedulerView:
        """The scheduler as it is from the next pass on."""
        stored = self._decisions.policy
        fault = fault_of(self._framework, stored)
        policy = self._framework.own if stored is None or fault else stored
        return view(self._framework, policy, switched=stored is not None, fault=fault)

    def change(self, change: PolicyChange) -> SchedulerView:
        """Switch to another policy, for this leader and those after it.

        Raises InvalidArgument, Conflict, LeadershipLost, Retryable.
        """
        self._check_named(change)

        def changed() -> Policy:
            policy = change.applied_to(self._known(self._decisions.policy or self._framework.own))
            try:
                self._framework.check(policy)
            except ConfigError as error:
                raise InvalidArgument(str(error).removeprefix("scheduler.")) from None
            return policy

        self._decisions.switch(self._leadership, changed)
        self._writer.wake()
        return self.view()

    def reset(self) -> SchedulerView:
        """Go back to the policy of the settings. Raises Conflict, LeadershipLost, Retryable."""
        self._decisions.switch(self._leadership, lambda: None)
        self._writer.wake()
        return self.view()

    def cordon(self, node: str) -> str:
        """Have a worker give up its tasks and take no others; its id. Raises NotFound, and as
        `reset`."""
        node_id = self._worker(node)
        if node_id not in self._decisions.cordoned:
            self._decisions.cordon(self._leadership, Cordon(node_id, self._clock.time_ns()))
            self._writer.wake()
        return node_id

    def uncordon(self, node: str) -> str:
        """Let a worker take tasks again; its id. Raises NotFound, and as `reset`."""
        node_id = self._worker(node)
        self._decisions.uncordon(self._leadership, node_id)
        self._writer.wake()
        return node_id

    def _check_named(self, change: PolicyChange) -> None:
        """To turn on what there is not would do nothing, and nobody would know. Raises
        InvalidArgument."""
        known = {plugin.name: None for plugin in self._framework.plugins}
        for field in ("disable", "enable", "weigh"):
            for name in sorted(set(getattr(change, field)) - known.keys()):
                raise InvalidArgument(
                    f"{field}: {name!r} is no plugin; allowed: {', '.join(known)}"
                )

    def _known(self, policy: Policy) -> Policy:
        """What of a policy this master can carry out; whoever changes it wants to keep the rest."""
        names = {plugin.name for plugin in self._framework.plugins}
        return Policy(
            policy.strategy
            if policy.strategy in self._framework.strategies
            else self._framework.own.strategy,
            policy.disabled & names,
            {name: weight for name, weight in policy.weights.items() if name in names},
        )

    def _worker(self, node: str) -> str:
        """The id of a worker, of which the id or its name is given."""
        candidates = self._mirrors.cluster_state.candidates
        for node_id in (node, self._mirrors.keys.node_id(WORKER, node)):
            if node_id in candidates or node_id in self._decisions.cordoned:
                return node_id
        raise NotFound(f"no worker {node!r} is registered; GET /crawler/node lists those that are")

"""Applies people's decisions about the scheduler, between two passes of the leader."""

from __future__ import annotations

from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.model.policy import PluginView, Policy, SchedulerView
from crawler.node.master.leader_context import LeaderContext
from crawler.scheduler.framework import Framework

log = get_logger(__name__)

CANNOT = (
    "the stored policy cannot be applied, so that of the settings applies; install what is "
    "missing on this master, or choose another: crawler strategy NAME, crawler strategy --reset"
)


class PolicyControl:
    """Applies the decisions, in the writer's greenlet of one term."""

    def __init__(self, ctx: LeaderContext) -> None:
        self._decisions = ctx.mirrors.decisions
        self._framework = ctx.framework
        self._cluster_state = ctx.mirrors.cluster_state
        self._told: Policy | None = None
        """The impossible stored policy that was logged last, to log each only once."""

    def apply(self) -> bool:
        """Apply the decisions, and return whether the policy changed.

        A change of the policy moves no task. A cordon moves the tasks of its worker.
        """
        cordoned = self._decisions.cordoned
        if cordoned != self._cluster_state.workers.cordoned:
            log.info("workers take no tasks", cordoned=sorted(cordoned))
            self._cluster_state.workers.cordon(cordoned)
        wanted = self._wanted()
        if wanted == self._framework.policy:
            return False
        try:
            self._framework.switch(wanted)
        except ConfigError as error:  # the check passed, and the plugins fail now
            log.error(CANNOT, fault=str(error))
            return False
        log.info(
            "the policy of the scheduler changed",
            strategy=wanted.strategy,
            disabled=sorted(wanted.disabled),
            weights=dict(wanted.weights),
        )
        return True

    def _wanted(self) -> Policy:
        """Return the stored policy, or that of the settings if this master cannot apply the stored
        one."""
        stored = self._decisions.policy
        fault = fault_of(self._framework, stored)
        if fault and stored != self._told:
            log.error(CANNOT, fault=fault)
        self._told = stored if fault else None
        return self._framework.own if stored is None or fault else stored


def fault_of(framework: Framework, policy: Policy | None) -> str:
    """Return why the framework cannot apply the policy, or an empty text if it can."""
    try:
        if policy is not None:
            framework.check(policy)
    except ConfigError as error:
        return str(error)
    return ""


def view(
    framework: Framework, policy: Policy, *, switched: bool = False, fault: str = ""
) -> SchedulerView:
    """Return a framework as people see it, with a policy that it can apply."""
    plugins = [
        PluginView(
            name=plugin.name,
            source=plugin.source,
            order=order,
            on=plugin.name not in policy.disabled,
            weight=policy.weights.get(plugin.name, framework.default_weight(plugin.name)),
            hooks=sorted(plugin.hooks),
            calls=plugin.calls,
            failures=plugin.failures,
            seconds=plugin.seconds,
            slow=plugin.slow,
        )
        for order, plugin in enumerate(framework.plugins, 1)
    ]
    return SchedulerView(policy, framework.strategies, plugins, switched, fault)

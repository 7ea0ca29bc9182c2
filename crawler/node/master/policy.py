"""What people decided about the scheduler, carried out by the leader and kept for the next one.

Decisions lie in etcd, and every master mirrors them. The leader writes them, fenced, in the
greenlet of whoever asks; it carries them out in its own writing greenlet, between two passes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from crawler.clock import Clock
from crawler.coordination.decisions import (
    Decision,
    decode_decision,
    encode_cordon,
    encode_policy,
)
from crawler.coordination.keys import WORKER, Keys
from crawler.coordination.ledger import Ledger
from crawler.coordination.mirror import Mirror
from crawler.coordination.store import Store
from crawler.errors import ConfigError, Conflict, InvalidArgument, NotFound
from crawler.logs import get_logger
from crawler.model.policy import Cordon, PluginView, Policy, PolicyChange, SchedulerView
from crawler.model.records import Leadership
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.framework import Framework

log = get_logger(__name__)

MOST_TRIES = 5
"""How often a decision is made anew because another one was stored meanwhile."""

CANNOT = (
    "the stored policy cannot be carried out, going on with that of the settings; install what is "
    "missing on this master, or choose another: crawler strategy NAME, crawler strategy --reset"
)


class Decisions:
    """The mirror of what was decided."""

    def __init__(
        self, store: Store, keys: Keys, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self.keys = keys
        self.mirror: Mirror[Decision] = Mirror(
            store, keys.steering, partial(decode_decision, keys), clock, lambda _: on_change()
        )

    @property
    def policy(self) -> Policy | None:
        """The policy that somebody switched to, as it is stored."""
        found = self.mirror.values.get(self.keys.policy)
        return found if isinstance(found, Policy) else None

    @property
    def cordoned(self) -> frozenset[str]:
        """Ids of the workers that take no tasks."""
        values = self.mirror.values.values()
        return frozenset(each.node_id for each in values if isinstance(each, Cordon))


class PolicyControl:
    """One leader's view of the decisions: makes them, and carries them out."""

    def __init__(
        self,
        decisions: Decisions,
        framework: Framework,
        cluster_state: ClusterState,
        ledger: Ledger,
        leadership: Leadership,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        """`wake` has the writing greenlet `apply` what was decided."""
        self._decisions = decisions
        self._framework = framework
        self._cluster_state = cluster_state
        self._ledger = ledger
        self._leadership = leadership
        self._clock = clock
        self._wake = wake
        self._told: Policy | None = None
        """The stored policy that was last found impossible, and said so."""

    # -- in the writing greenlet ---------------------------------------------------------------

    def apply(self) -> bool:
        """Carry out what is decided; whether how tasks are placed has changed. No task moves for
        it, but those of workers that are cordoned."""
        cordoned = self._decisions.cordoned
        if cordoned != self._cluster_state.cordoned:
            log.info("workers take no tasks", cordoned=sorted(cordoned))
            self._cluster_state.cordon(cordoned)
        wanted = self._wanted()
        if wanted == self._framework.policy:
            return False
        try:
            self._framework.switch(wanted)
        except ConfigError as error:  # it could be made when it was checked
            log.error(CANNOT, fault=str(error))
            return False
        log.info(
            "placing by another policy",
            strategy=wanted.strategy,
            disabled=sorted(wanted.disabled),
            weights=dict(wanted.weights),
        )
        return True

    def _wanted(self) -> Policy:
        """What is stored, if this master can do it."""
        stored = self._decisions.policy
        fault = self._fault(stored)
        if fault and stored != self._told:
            log.error(CANNOT, fault=fault)
        self._told = stored if fault else None
        return self._framework.own if stored is None or fault else stored

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

    def _fault(self, policy: Policy | None) -> str:
        try:
            if policy is not None:
                self._framework.check(policy)
        except ConfigError as error:
            return str(error)
        return ""

    # -- for whoever asks ----------------------------------------------------------------------

    def view(self) -> SchedulerView:
        """The scheduler as it is from the next pass on."""
        stored = self._decisions.policy
        fault = self._fault(stored)
        policy = self._framework.own if stored is None or fault else stored
        return view(self._framework, policy, switched=stored is not None, fault=fault)

    def change(self, change: PolicyChange) -> SchedulerView:
        """Switch to another policy, for this leader and those after it.

        Raises InvalidArgument, LeadershipLost, Retryable.
        """

        self._check_named(change)

        def changed() -> bytes:
            policy = change.applied_to(self._known(self._decisions.policy or self._framework.own))
            try:
                self._framework.check(policy)
            except ConfigError as error:
                raise InvalidArgument(str(error).removeprefix("scheduler.")) from None
            return encode_policy(policy)

        self._decide(self._decisions.keys.policy, changed)
        return self.view()

    def _check_named(self, change: PolicyChange) -> None:
        """To turn on what there is not would do nothing, and nobody would know. Raises
        InvalidArgument."""
        known = {plugin.name: None for plugin in self._framework.plugins}
        for field in ("disable", "enable", "weigh"):
            for name in sorted(set(getattr(change, field)) - known.keys()):
                raise InvalidArgument(
                    f"{field}: {name!r} is no plugin; allowed: {', '.join(known)}"
                )

    def reset(self) -> SchedulerView:
        """Go back to the policy of the settings. Raises LeadershipLost, Retryable."""
        self._decide(self._decisions.keys.policy, lambda: None)
        return self.view()

    def cordon(self, node: str) -> str:
        """Have a worker give up its tasks and take no others; its id. Raises NotFound, and as
        `reset`."""
        node_id = self._worker(node)
        if node_id not in self._decisions.cordoned:
            cordon = Cordon(node_id, self._clock.time_ns())
            self._decide(self._decisions.keys.cordon(node_id), lambda: encode_cordon(cordon))
        return node_id

    def uncordon(self, node: str) -> str:
        """Let a worker take tasks again; its id. Raises NotFound, and as `reset`."""
        node_id = self._worker(node)
        self._decide(self._decisions.keys.cordon(node_id), lambda: None)
        return node_id

    def _worker(self, node: str) -> str:
        """The id of a worker, of which the id or its name is given."""
        for node_id in (node, self._decisions.keys.node_id(WORKER, node)):
            if node_id in self._cluster_state.candidates or node_id in self._decisions.cordoned:
                return node_id
        raise NotFound(f"no worker {node!r} is registered; GET /crawler/node lists those that are")

    def _decide(self, key: str, value: Callable[[], bytes | None]) -> None:
        """Store a decision, made anew when another one came in between."""
        based_on = 0
        for _ in range(MOST_TRIES):
            done, current, revision = self._ledger.steer(self._leadership, key, value(), based_on)
            based_on = current.mod_revision if current else 0
            self._decisions.mirror.apply(key, current, based_on or revision)
            if done:
                return self._wake()
        raise Conflict(f"others keep writing {key}: try again")


def view(
    framework: Framework, policy: Policy, *, switched: bool = False, fault: str = ""
) -> SchedulerView:
    """A framework as people see it, by a policy that it can carry out."""
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

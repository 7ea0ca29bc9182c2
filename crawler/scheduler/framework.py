"""The plugins behind a typed interface: what they answer about a task and its candidates.

Each master has one `Framework`.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Mapping, Sequence

from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.model.policy import Fault, Policy
from crawler.scheduler.faults import Faults
from crawler.scheduler.hookspecs import Candidate, Cluster, Rating, Strategy, Task
from crawler.scheduler.loader import Loaded, Plugin, load
from crawler.scheduler.plugin_run import PluginRun
from crawler.scheduler.relevant_labels import RelevantLabels
from crawler.scheduler.task import Shape

log = get_logger(__name__)

SLOW_S = 0.1
"""A call of a hook that takes longer than this many seconds is reported."""


class Framework:
    """The loaded plugins and the strategy in force."""

    def __init__(
        self,
        strategy: str,
        plugins: Sequence[str] = (),
        *,
        disabled: Iterable[str] = (),
        weights: Mapping[str, float] | None = None,
        seed: int | None = None,
        slow_s: float = SLOW_S,
    ) -> None:
        """Load the built-in, the installed and the named plugins. Raises ConfigError.

        `seed` makes strategies that use random numbers repeatable.
        """
        self._loaded: Loaded = load(plugins)
        self._defaults = {plugin.name: plugin.weight for plugin in self._loaded.plugins}
        self._random = random.Random(seed)
        self._slow_s = slow_s
        self._policy: Policy | None = None
        self._failed = Faults()
        self._strategy = Strategy(self._random)
        self.own = Policy(strategy, frozenset(disabled), weights or {})
        """The policy of the settings, with which it was made."""
        self.switch(self.own)

    @property
    def plugins(self) -> Sequence[Plugin]:
        """The loaded plugins, in the order in which they are asked."""
        return self._loaded.plugins

    @property
    def strategies(self) -> Sequence[str]:
        """The names of all strategies."""
        return sorted(self._loaded.authors)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        assert self._policy is not None  # set by the constructor
        return self._policy

    def default_weight(self, plugin: str) -> float:
        """Return the weight of a plugin, unless a policy sets another."""
        return self._defaults[plugin]

    @property
    def per_task(self) -> bool:
        """Whether the strategy rates the workers for each task anew."""
        return self._strategy.per_task

    def check(self, policy: Policy) -> None:
        """Raise ConfigError if a strategy or plugin of the policy does not exist."""
        if policy.strategy not in self._loaded.authors:
            known = ", ".join(self.strategies)
            raise ConfigError(
                f"scheduler.strategy: {policy.strategy!r} is unknown; allowed: {known}"
            )
        for setting, names in (("disabled", policy.disabled), ("weights", policy.weights)):
            unknown = sorted(set(names) - self._defaults.keys())
            if unknown:
                known = ", ".join(self._defaults)
                raise ConfigError(
                    f"scheduler.{setting}: {unknown[0]!r} is no plugin; allowed: {known}"
                )
        if self._policy is not None and policy.strategy != self._policy.strategy:
            self._made(policy.strategy, random.Random(0))  # raises if it cannot be made

    def switch(self, policy: Policy) -> None:
        """Use this policy from the next pass on. Raises ConfigError, and then changes nothing."""
        self.check(policy)
        if self._policy is None or policy.strategy != self._policy.strategy:
            self._strategy = self._made(policy.strategy, self._random)
        self._policy = policy
        for plugin in self._loaded.plugins:
            plugin.on = plugin.name not in policy.disabled
            plugin.weight = policy.weights.get(plugin.name, self._defaults[plugin.name])
        labels = [plugin.labels for plugin in self._loaded.plugins if plugin.on]
        self._labels = (
            None if None in labels else frozenset().union(*(each or () for each in labels))
        )

    def shape(self, task: Task, relevant_labels: RelevantLabels) -> Shape:
        """Return the shape of a task, given the labels and spiders that make a difference. A spider
        that no worker lists makes none."""
        spec = task.spec
        if not spec.labels:
            labels: tuple[tuple[str, str], ...] = ()
        elif self._labels is None:
            labels = tuple(sorted(spec.labels.items()))
        else:
            wanted = self._labels.union(_named(task), relevant_labels.labels)
            labels = tuple(sorted(pair for pair in spec.labels.items() if pair[0] in wanted))
        spider = spec.offered_as
        return (
            spider if spider in relevant_labels else "",
            bool(spec.project),
            labels,
            spec.constraints,
            task.failed_on,
            task.shard_of,
        )

    def begin_pass(self) -> None:
        """Ask again the plugins that failed in the last pass."""
        self._failed = Faults()

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults of this pass so far."""
        return self._failed.told

    def under(self, policy: Policy) -> Framework:
        """Return a copy of this framework with another policy. What it is asked counts nowhere
        here. Raises ConfigError."""
        other = copy.copy(self)
        other._loaded = self._loaded.copied()
        other._random = random.Random(0)
        other._failed = Faults()
        other._strategy = self._copied()  # stays if the policy names the same
        other.switch(policy)
        return other

    def plugin_run(self, task: Task, cluster: Cluster) -> PluginRun:
        """Return the run of the plugins for the shape of a task, for one pass."""
        on = [plugin for plugin in self._loaded.plugins if plugin.on]
        author = self._loaded.authors[self.policy.strategy]
        return PluginRun(task, cluster, on, self._strategy, author, self._slow_s, self._failed)

    def trial(self, task: Task, cluster: Cluster) -> PluginRun:
        """Return a plugin run for an explanation. It affects no choice, and its failures do not
        count as failures of the present pass."""
        on = [plugin for plugin in self._loaded.plugins if plugin.on]
        author = self._loaded.authors[self.policy.strategy]
        return PluginRun(task, cluster, on, self._copied(), author, self._slow_s, Faults())

    def _copied(self) -> Strategy:
        """Return a copy of the strategy, or a new one if it cannot be copied."""
        try:
            return copy.deepcopy(self._strategy)
        except Exception as error:
            log.warning("the strategy cannot be copied; trying a new one", error=str(error))
            return self._made(self.policy.strategy, random.Random(0))

    def _made(self, name: str, chance: random.Random) -> Strategy:
        strategy = self._loaded.authors[name].strategies[name]
        if not isinstance(strategy, type):
            return _Function(strategy, chance)
        try:
            made: Strategy = strategy(chance)
        except Exception as error:
            raise ConfigError(f"scheduler.strategy: {name!r} cannot be made: {error!r}") from error
        return made


class _Function(Strategy):
    """A strategy that consists of a rating function."""

    def __init__(self, rating: Rating, chance: random.Random) -> None:
        super().__init__(chance)
        self.rate = rating  # type: ignore[method-assign,assignment]  # one call less for each placement

    def chose(self, task: Task, node: Candidate) -> None:
        """Remember nothing."""


def _named(task: Task) -> set[str]:
    """Return the labels that the constraints of a task name. The task's own values of them
    count."""
    asked = task.constraints
    return {term.label for term in (*asked.near, *asked.apart)} | {t.label for t in asked.spread}

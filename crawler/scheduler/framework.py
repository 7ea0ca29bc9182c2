"""The typed face of the plugins: what they say of a task and its candidates.

One `Framework` per master.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Mapping, Sequence

from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.model.policy import Policy
from crawler.scheduler.hookspecs import Candidate, Cluster, Rating, Strategy, Task
from crawler.scheduler.loader import Loaded, Plugin, load
from crawler.scheduler.plugin_run import Faults, PluginRun
from crawler.scheduler.relevant_labels import RelevantLabels
from crawler.scheduler.task import Shape

log = get_logger(__name__)

SLOW_S = 0.1
"""A call of a hook that takes longer is reported."""


class Framework:
    """The loaded plugins and the chosen strategy."""

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

        `seed` makes strategies that take a chance repeatable.
        """
        self._loaded: Loaded = load(plugins)
        self._defaults = {plugin.name: plugin.weight for plugin in self._loaded.plugins}
        self._random = random.Random(seed)
        self._slow_s = slow_s
        self._policy: Policy | None = None
        self._failed: Faults = {}
        self._strategy = Strategy(self._random)
        self.own = Policy(strategy, frozenset(disabled), weights or {})
        """The policy that it was made with."""
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
        """What is in force."""
        assert self._policy is not None  # set by the constructor
        return self._policy

    def default_weight(self, plugin: str) -> float:
        """What the points of a plugin count where no policy says otherwise."""
        return self._defaults[plugin]

    @property
    def per_task(self) -> bool:
        """Whether the strategy rates for each task anew."""
        return self._strategy.per_task

    def check(self, policy: Policy) -> None:
        """Raises ConfigError when there is no such strategy or plugin."""
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
            self._made(policy.strategy, random.Random(0))  # one that cannot be made is no use

    def switch(self, policy: Policy) -> None:
        """Place by this from the next pass on. Raises ConfigError, and changes nothing then."""
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
        """What tasks have to have in common to be placed together, given the words that make a
        difference. A spider that no worker lists makes none."""
        spec = task.spec
        if not spec.labels:
            labels: tuple[tuple[str, str], ...] = ()
        elif self._labels is None:
            labels = tuple(sorted(spec.labels.items()))
        else:
            wanted = self._labels.union(_named(task), relevant_labels.labels)
            labels = tuple(sorted(pair for pair in spec.labels.items() if pair[0] in wanted))
        spider = spec.spider or spec.name
        return (
            spider if spider in relevant_labels else "",
            labels,
            spec.constraints,
            task.failed_on,
        )

    def begin_pass(self) -> None:
        """Give the plugins that failed in the last pass another chance."""
        self._failed = {}

    def plugin_run(self, task: Task, cluster: Cluster) -> PluginRun:
        """The plugins that have something to say about a task, for one pass."""
        on = [plugin for plugin in self._loaded.plugins if plugin.on]
        author = self._loaded.authors[self.policy.strategy]
        return PluginRun(task, cluster, on, self._strategy, author, self._slow_s, self._failed)

    def trial(self, task: Task, cluster: Cluster) -> PluginRun:
        """A plugin run to see what would be decided: what is chosen does not depend on it, nor does
        it count what fails as a failure of the pass under way."""
        on = [plugin for plugin in self._loaded.plugins if plugin.on]
        author = self._loaded.authors[self.policy.strategy]
        return PluginRun(task, cluster, on, self._copied(), author, self._slow_s, {})

    def _copied(self) -> Strategy:
        """The strategy as it is now, or a new one where it cannot be copied."""
        try:
            return copy.deepcopy(self._strategy)
        except Exception as error:
            log.warning("strategy cannot be copied, trying a new one", error=str(error))
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
    """A strategy that is a function alone."""

    def __init__(self, rating: Rating, chance: random.Random) -> None:
        super().__init__(chance)
        self.rate = rating  # type: ignore[method-assign,assignment]  # one call less for each placement

    def chose(self, task: Task, node: Candidate) -> None:
        """It remembers nothing."""


def _named(task: Task) -> set[str]:
    """The labels that the constraints of a task are about; its own value of them counts."""
    asked = task.constraints
    return {term.label for term in (*asked.near, *asked.apart)} | {t.label for t in asked.spread}

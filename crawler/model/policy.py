"""What people may change of the scheduler of a running cluster, and what they see of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Policy:
    """What of the scheduler can be switched while it runs."""

    strategy: str
    disabled: frozenset[str] = frozenset()
    """Names of the plugins that are off."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Plugin → what its points count, where that differs from its own default."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """What somebody wants to be otherwise; None leaves it as it is.

    What names a plugin alone leaves the others as they are when the leader carries it out, whoever
    else changed them meanwhile.
    """

    strategy: str | None = None
    disabled: frozenset[str] | None = None
    """All plugins that are to be off."""
    weights: Mapping[str, float] | None = None
    """All weights that are to differ from the plugins' own."""
    disable: frozenset[str] = frozenset()
    """Plugins to be turned off beside those that are off."""
    enable: frozenset[str] = frozenset()
    """Plugins to be turned on."""
    weigh: Mapping[str, float | None] = field(default_factory=dict)
    """Plugin → what its points are to count; None is its own weight."""

    def applied_to(self, policy: Policy) -> Policy:
        """The policy with this change."""
        disabled = policy.disabled if self.disabled is None else self.disabled
        weights = {**(policy.weights if self.weights is None else self.weights), **self.weigh}
        return Policy(
            policy.strategy if self.strategy is None else self.strategy,
            (disabled | self.disable) - self.enable,
            {name: weight for name, weight in weights.items() if weight is not None},
        )


@dataclass(frozen=True, slots=True)
class Cordon:
    """A worker that is given no tasks, and whose tasks move off, until somebody lifts it."""

    node_id: str
    since: int
    """Unix time in nanoseconds."""


@dataclass(frozen=True, slots=True)
class PluginView:
    """A plugin as the leader has it loaded."""

    name: str
    source: str
    """`built in`, `settings`, or the package that announced it."""
    order: int
    """Its place among those that are asked, from 1."""
    on: bool
    weight: float
    hooks: Sequence[str]
    """The hooks that it has."""
    calls: int = 0
    """How often it was asked since this master started."""
    failures: int = 0
    """How often it raised, or answered what is not allowed."""
    seconds: float = 0.0
    """Time it has taken in all."""
    slow: int = 0
    """How many of its calls took longer than they should."""


@dataclass(frozen=True, slots=True)
class SchedulerView:
    """The scheduler as the leader has it."""

    policy: Policy
    """What is in force from the next pass on."""
    strategies: Sequence[str]
    """The strategies that can be switched to."""
    plugins: Sequence[PluginView]
    switched: bool = False
    """Whether somebody switched the policy; else it is that of the leader's settings."""
    fault: str = ""
    """Why the policy that somebody switched to is not in force."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a plugin thinks of a worker."""

    plugin: str
    weight: float
    points: float
    """From 0 to 1; times the weight they are added to the rating of the strategy."""
    place: str = ""
    """The place of the worker that they are given for, as `zone=a`; empty for the worker itself."""


@dataclass(frozen=True, slots=True)
class WorkerVerdict:
    """What the scheduler would make of one worker for a task."""

    node_id: str
    unfinished: int
    """Its unfinished tasks, without the one in question."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """Plugin → why it must not get the task now; empty when it may."""
    rating: float = 0.0
    """The strategy's, of a worker that may get it; the highest total is chosen."""
    scores: Sequence[Score] = ()
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong in a plugin, which was skipped from then on."""

    plugin: str
    hook: str
    """The hook that failed, or `STRATEGY` for the strategy that the plugin brings."""
    error: str
    """What it raised, or what it answered that is not allowed."""


STRATEGY = "strategy"
"""Stands for the strategy among the hooks."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the scheduler would make of a task now."""

    strategy: str
    chosen: str
    """Id of the worker that would get it; empty for none."""
    workers: Sequence[WorkerVerdict]
    """All live workers, in the order of their ids."""
    faults: Sequence[Fault] = ()
    """What failed while it was judged, and had no say in it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task is where it is, or why it waits."""

    name: str
    state: str
    reason: str
    """As its resource says."""
    assigned_node: str
    """Id of its worker; empty without one."""
    group: str
    priority: int
    waits_for: str
    """What has to happen before it is placed, in words; empty for one that does not wait."""
    judgement: Judgement
    """What would be decided if it were placed now, without counting itself."""

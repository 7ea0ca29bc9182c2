"""What people can change in the scheduler of a running cluster, and what they see of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Policy:
    """What can be changed in the scheduler while it runs."""

    strategy: str
    disabled: frozenset[str] = frozenset()
    """The names of the plugins that are off."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Plugin → its weight, if that differs from its own default."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A requested change of the policy. None leaves a field as it is.

    A change that names single plugins leaves the others as they are when the leader applies it,
    even if somebody changed them meanwhile.
    """

    strategy: str | None = None
    disabled: frozenset[str] | None = None
    """All plugins that must be off."""
    weights: Mapping[str, float] | None = None
    """All weights that must differ from the plugins' own."""
    disable: frozenset[str] = frozenset()
    """Plugins to turn off, in addition to those that are off."""
    enable: frozenset[str] = frozenset()
    """Plugins to turn on."""
    weigh: Mapping[str, float | None] = field(default_factory=dict)
    """Plugin → its new weight; None means its own default."""

    def applied_to(self, policy: Policy) -> Policy:
        """Return the policy with this change."""
        disabled = policy.disabled if self.disabled is None else self.disabled
        weights = {**(policy.weights if self.weights is None else self.weights), **self.weigh}
        return Policy(
            policy.strategy if self.strategy is None else self.strategy,
            (disabled | self.disable) - self.enable,
            {name: weight for name, weight in weights.items() if weight is not None},
        )


@dataclass(frozen=True, slots=True)
class Cordon:
    """A worker that gets no tasks, and whose tasks move away, until somebody uncordons it."""

    node_id: str
    since: int
    """Unix time in nanoseconds."""


@dataclass(frozen=True, slots=True)
class PluginView:
    """A plugin as the leader has loaded it."""

    name: str
    source: str
    """`built in`, `settings`, or the package that announced it."""
    order: int
    """Its place in the order in which plugins are asked, from 1."""
    on: bool
    weight: float
    hooks: Sequence[str]
    """The hooks that it has."""
    calls: int = 0
    """How often it was asked since this master started."""
    failures: int = 0
    """How often it raised, or gave an answer that is not allowed."""
    seconds: float = 0.0
    """How many seconds its calls took in all."""
    slow: int = 0
    """How many of its calls took too long."""


@dataclass(frozen=True, slots=True)
class SchedulerView:
    """The scheduler as the leader has it."""

    policy: Policy
    """The policy in force from the next pass on."""
    strategies: Sequence[str]
    """The available strategies."""
    plugins: Sequence[PluginView]
    switched: bool = False
    """Whether somebody changed the policy. If not, it is that of the leader's settings."""
    fault: str = ""
    """Why the stored policy is not in force; empty if it is."""


@dataclass(frozen=True, slots=True)
class Score:
    """The points of a plugin for a worker."""

    plugin: str
    weight: float
    points: float
    """From 0 to 1. Times the weight they are added to the rating of the strategy."""
    place: str = ""
    """The domain of the worker that gets the points, as `zone=a`; empty for the worker itself."""


@dataclass(frozen=True, slots=True)
class WorkerVerdict:
    """The scheduler's judgement of one worker for a task."""

    node_id: str
    unfinished: int
    """The number of its unfinished tasks, without the task in question."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """Plugin → why it must not get the task now; empty if it may."""
    rating: float = 0.0
    """The strategy's rating of a worker that may get the task, or `LAST`. The highest total is
    chosen."""
    scores: Sequence[Score] = ()
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a plugin, which was skipped from then on: as a whole, or about one worker or
    domain."""

    plugin: str
    hook: str
    """The hook that failed, or `STRATEGY` for the strategy that the plugin brings."""
    error: str
    """What it raised, or its answer that is not allowed."""
    worker: str = ""
    """The id of the worker about which alone it failed, or the domain as `label=value`; empty if
    it failed as a whole."""


STRATEGY = "strategy"
"""The name of the strategy among the hooks."""

LAST = -1e300
"""The rating of a worker about which the strategy fails: it gets a task if no other can."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The scheduler's judgement of a task now."""

    strategy: str
    chosen: str
    """The id of the worker that would get it; empty for none."""
    workers: Sequence[WorkerVerdict]
    """All live workers, sorted by id."""
    faults: Sequence[Fault] = ()
    """The plugins that failed meanwhile, and had no influence."""


@dataclass(frozen=True, slots=True)
class Move:
    """A task that a policy would place elsewhere than it is."""

    name: str
    before: str
    """The id of its worker; empty if it waits for one."""
    after: str
    """The id of the worker that it would get; empty for none."""
    reason: str = ""
    """Why it would get none; empty if it would get one, or nobody has asked."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many unfinished tasks a worker has, and would have."""

    node_id: str
    now: int
    after_pass: int
    """With the waiting tasks that the next pass would place here."""
    anew: int
    """If its tasks and those of all other workers were placed again, too."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What the scheduler would do after a change of the policy. Nothing was changed.

    A change of the policy places waiting tasks, and moves no other. What `moves` tells would happen
    only if a task were placed again, for example after its worker was drained.
    """

    policy: Policy
    """The changed policy."""
    waiting: int
    """How many tasks wait for a worker, and were asked about."""
    placed: int
    """How many of them the next pass would place."""
    placements: Sequence[Move]
    """The first of these."""
    left: Sequence[Move]
    """The first of those that would wait on."""
    owned: int
    """How many unfinished tasks have a worker."""
    checked: int
    """How many of these were asked about before the time was over."""
    moved: int
    """How many of these would get another worker, or none, if they were placed again."""
    moves: Sequence[Move]
    """The first of these."""
    workers: Sequence[Share]
    """All live workers, sorted by id."""
    faults: Sequence[Fault] = ()
    """The plugins that failed meanwhile, and had no influence."""


@dataclass(frozen=True, slots=True)
class ShardStanding:
    """Where a shard of a task is, or why it waits."""

    name: str
    state: str
    reason: str
    assigned_node: str
    """The id of its worker; empty if it has none."""
    waits_for: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task is where it is, or why it waits."""

    name: str
    state: str
    reason: str
    """The reason in its resource."""
    assigned_node: str
    """The id of its worker; empty if it has none."""
    group: str
    priority: int
    waits_for: str
    """What has to happen before it is placed, in words; empty if it does not wait."""
    judgement: Judgement
    """The decision if it were placed now, without counting itself."""
    shards: Sequence[ShardStanding] = ()
    """Of a task on several workers: all its shards, beside the task itself."""

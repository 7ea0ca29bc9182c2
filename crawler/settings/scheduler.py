"""The section `scheduler` of the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.settings.setting import setting


@dataclass(frozen=True)
class SchedulerSettings:
    """How the leader places tasks."""

    strategy: str = setting("least-load", "Name of the placement strategy.")
    plugins: Sequence[str] = setting([], "Further plugins, given as Python modules.")
    disabled: Sequence[str] = setting(
        [],
        "Names of the plugins that are turned off; see `crawler plugins`.",
    )
    weights: Mapping[str, float] = setting(
        {},
        "Weight of a plugin's points, where it differs from the plugin's own default.",
        least=0,
        most=1_000_000_000,
    )
    ageing_s: float = setting(
        60.0,
        "A task that waits this long gains one priority. With 0 priorities do not grow.",
        unit="s",
        least=0,
        most=1_000_000,
    )
    group_label: str = setting(
        "group",
        "Label that divides tasks into groups, which share the workers. If empty, there are no "
        "groups.",
    )
    shares: Mapping[str, float] = setting(
        {},
        "Share of each group in the workers, relative to the other groups. `*` stands for all "
        "groups that are not named.",
        least=0.001,
        most=1_000_000,
    )
    most: Mapping[str, int] = setting(
        {},
        "Maximum number of unfinished tasks that a group may have on workers; 0 means no limit. "
        "`*` stands for all groups that are not named.",
        least=0,
        most=1_000_000_000,
    )
    poison_after: int = setting(
        3,
        "The leader parks a task once this many different workers died soon after they got it, or "
        "processes that crawled it; 0 means never.",
        least=0,
        most=1000,
    )
    poison_window_s: float = setting(
        300.0,
        "The leader blames a task for the death of a worker only if the worker died within this "
        "time after it got the task.",
        unit="s",
        least=1,
        most=1_000_000,
    )
    poison_pause_s: float = setting(
        60.0,
        "First pause of such a task. Then it is tried again. The pause doubles each time, up to an "
        "hour.",
        unit="s",
        least=0.1,
        most=1_000_000,
    )
    rebalance_moves: int = setting(
        0,
        "How many running tasks the leader may move at once to even out the load; 0 means none. A "
        "crawl that moves to another machine starts from its beginning, unless frontier.url is "
        "set.",
        least=0,
        most=100_000,
    )
    rebalance_s: float = setting(
        30.0,
        "How often the leader moves tasks to even out the load.",
        unit="s",
        least=1,
        most=86_400,
    )
    rebalance_band: float = setting(
        0.2,
        "How far a worker's load may differ from the mean, as a share of the mean, before the "
        "leader moves tasks.",
        least=0,
        most=10,
    )
    cooldown_s: float = setting(
        600.0,
        "After a worker got a task, the leader does not move the task to even out the load for "
        "this long.",
        unit="s",
        least=0,
        most=1_000_000,
    )
    seed: bool = setting(True, "Whether a new leader adds the tasks of the file.")
    check_s: float = setting(
        10.0,
        "How often the leader checks that it still leads and that all tasks are placed.",
        unit="s",
        least=0.5,
        most=3600,
    )

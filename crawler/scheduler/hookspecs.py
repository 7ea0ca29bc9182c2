"""The hooks by which plugins place tasks. Few and batched: one call for many nodes.

A plugin is a module or an object with functions named like the hooks, marked by `hookimpl`:

    from crawler.scheduler.hookspecs import hookimpl

    @hookimpl
    def filter_nodes(task, nodes):
        return {c.node.id: "in maintenance" for c in nodes if "maintenance" in c.node.labels}

A plugin must be quick and must do no input or output: a pass holds up all placements. If it raises,
it is named in the log and left out for that call; the placement goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pluggy

from crawler.records import Spec
from crawler.scheduler.snapshot import Candidate

__all__ = ["Candidate", "Spec", "Strategy", "hookimpl"]

PROJECT = "crawler"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Strategy = Callable[[Spec, Sequence[Candidate]], Sequence[float]]
"""Rates each candidate for a task, in their order; the highest is chosen. Equal ones are told apart
by who owns fewer resources, then by id."""


@hookspec
def strategies() -> Mapping[str, Strategy]:  # type: ignore[empty-body]
    """The strategies this plugin brings, by the name used in `scheduler.strategy`.

    Called once, when the plugin is loaded. A name that another plugin has already is an error.
    """


@hookspec
def filter_nodes(task: Spec, nodes: Sequence[Candidate]) -> Mapping[str, str]:  # type: ignore[empty-body]
    """The nodes that must not get the task: node id → why, for people.

    Called once for all tasks of a pass that differ in nothing but their name and parameters.
    """


@hookspec
def score_nodes(task: Spec, nodes: Sequence[Candidate]) -> Sequence[float]:  # type: ignore[empty-body]
    """Points to add to the strategy's rating, one for each node in their order.

    Called for all suitable nodes, then again for the one node just chosen, as its load has changed.
    """

"""The hooks by which plugins place tasks. One call serves all tasks of one shape and all workers.

A plugin is a module or an object with functions that have the names of the hooks and are marked by
`hookimpl`:

    from crawler.scheduler.hookspecs import hookimpl

    @hookimpl
    def filter_nodes(task, nodes):
        return {c.id: "in maintenance" for c in nodes if "maintenance" in c.labels}

A hook may leave out arguments that it does not need. If it returns None, it has no opinion about
tasks of that shape, and is not asked again while they are placed. A plugin must be quick and must
do no input or output, because a pass delays all placements. If it raises, or returns something that
is not described here, the log names it, the failure is counted, and the plugin is left out for the
rest of that pass. The placement goes on without it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar, Protocol

import pluggy

from crawler.scheduler.candidate import Candidate, Domain, Place
from crawler.scheduler.task import Task

__all__ = [
    "Candidate",
    "Cluster",
    "Domain",
    "Place",
    "Rating",
    "Strategy",
    "Task",
    "hookimpl",
    "hookspec",
]

PROJECT = "crawler"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Rating = Callable[[Task, Sequence[Candidate]], Sequence[float]]
"""Rates each candidate for a task, in their order. The highest is chosen. Of equal ones the one
with fewer tasks is chosen, then the one with the lower id."""


class Strategy:
    """A rating that keeps state, or that differs from task to task. Else a `Rating` is enough.

    Each master makes one, and makes another when somebody switches to it.
    """

    per_task: ClassVar[bool] = False
    """Whether the rating depends on the name of the task. Then a pass rates all candidates for each
    task, instead of once for each shape."""

    def __init__(self, random: random.Random) -> None:
        self.random = random
        """The only source of chance for a strategy: its seed makes a pass repeatable."""

    def rate(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """Like a `Rating`."""
        raise NotImplementedError

    def chose(self, task: Task, node: Candidate) -> None:
        """This worker gets the task; called before the worker is rated again."""


class Cluster(Protocol):
    """What a plugin may ask of the cluster as a whole."""

    def repelled_over(self, labels: Mapping[str, str]) -> set[str]:
        """The labels over whose domains some unfinished task, placed or waiting, wants to be apart
        from tasks with these labels."""
        ...

    def places(self, key: str) -> Sequence[Place]:
        """All domains of a label with a schedulable worker, whether or not it suits the task."""
        ...


@hookspec
def strategies() -> Mapping[str, Rating | type[Strategy]]:  # type: ignore[empty-body]
    """The strategies this plugin brings, by the name used in `scheduler.strategy`.

    A function is a `Rating`; a class derives from `Strategy`. Called once, when the plugin is
    loaded. A name that another plugin brings already is an error.
    """


@hookspec
def task_labels() -> Collection[str]:  # type: ignore[empty-body]
    """The labels of tasks that this plugin looks at, besides those in their constraints.

    Called once, when the plugin is loaded. Tasks that differ in no such label have one shape. A
    plugin without this hook counts as looking at all labels. That is correct, but slow if each task
    has a label of its own.
    """


@hookspec
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str] | None:
    """The workers that must not get the task, whatever their load: worker id → why.

    Called once in a pass for each shape.
    """


@hookspec
def score_nodes(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """How well each worker suits, whatever its load: from 0 to 1, in their order.

    The pass multiplies it by the weight of the plugin (`scheduler.weights`) and adds it to the
    rating of the strategy; under `least-load` 1 is one task. Called once in a pass for each shape,
    with the workers that `filter_nodes` left.
    """


@hookspec
def filter_room(
    task: Task, nodes: Sequence[Candidate], cluster: Cluster
) -> Mapping[str, str] | None:
    """The workers that have no room for the task now: worker id → why.

    Called for all workers that `filter_nodes` left, then again for each chosen worker, because its
    load has changed. So the answer for a worker must depend on that worker alone.
    """


@hookspec
def score_room(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """How well each worker suits with its present load: from 0 to 1, in their order.

    Counts like `score_nodes`, and is called like `filter_room`, after it.
    """


@hookspec
def topology(task: Task, cluster: Cluster) -> Collection[str] | None:
    """The labels that form domains for this plugin to judge; with `node` each worker is one.

    Called once in a pass for each shape. For each label that any plugin names, the pass calls the
    two hooks below before each placement. So name few labels with few values.
    """


@hookspec
def filter_domains(
    task: Task, key: str, domains: Sequence[Place], cluster: Cluster
) -> Mapping[str, str] | None:
    """The domains that must not get the task at present: value of the label `key` → why.

    The workers without the label are the domain with the value "". The pass asks only about domains
    with a worker that `filter_nodes` left. After None it does not ask again about that label.
    """


@hookspec
def score_domains(task: Task, key: str, domains: Sequence[Place]) -> Sequence[float] | None:
    """How well each domain suits, from 0 to 1, in their order; counts like `score_nodes`."""

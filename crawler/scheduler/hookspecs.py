"""The hooks by which plugins place tasks. Few and batched: one call for all tasks that ask the same
and all workers, never one for each.

A plugin is a module or an object with functions named like the hooks, marked by `hookimpl`:

    from crawler.scheduler.hookspecs import hookimpl

    @hookimpl
    def filter_nodes(task, nodes):
        return {c.id: "in maintenance" for c in nodes if "maintenance" in c.labels}

It may leave out arguments that it does not need. A hook that returns None has nothing to say about
tasks of that shape, and is not asked again while they are placed. A plugin must be quick and must
do no input or output: a pass holds up all placements. One that raises, or answers something else
than described, is named in the log, counted, and left out for the rest of that pass; the placement
goes on without it.
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
"""Rates each candidate for a task, in their order; the highest is chosen. Equal ones are told apart
by who owns fewer tasks, then by id."""


class Strategy:
    """A rating with a memory, or one that differs from task to task. A plain `Rating` needs none.

    One is made for each master, and again when somebody switches to it.
    """

    per_task: ClassVar[bool] = False
    """Whether the rating depends on the name of the task: then all candidates are rated for each
    task, instead of once for all that ask the same."""

    def __init__(self, random: random.Random) -> None:
        self.random = random
        """The only chance a strategy may take: its seed makes a pass repeatable."""

    def rate(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """As `Rating`."""
        raise NotImplementedError

    def chose(self, task: Task, node: Candidate) -> None:
        """This worker gets the task; called before it is rated anew."""


class Cluster(Protocol):
    """What a plugin may ask of the cluster as a whole."""

    def repelled_over(self, labels: Mapping[str, str]) -> set[str]:
        """The kinds of places over which some unfinished task, placed or waiting, wants to be apart
        from tasks so labelled."""
        ...

    def places(self, key: str) -> Sequence[Place]:
        """All places over a label of workers that have a worker which takes tasks, whether or not
        it suits the task in question."""
        ...


@hookspec
def strategies() -> Mapping[str, Rating | type[Strategy]]:  # type: ignore[empty-body]
    """The strategies this plugin brings, by the name used in `scheduler.strategy`.

    A function rates for itself; a class is a `Strategy`. Called once, when the plugin is loaded. A
    name that another plugin has already is an error.
    """


@hookspec
def task_labels() -> Collection[str]:  # type: ignore[empty-body]
    """The labels of tasks that this plugin looks at, beside those in their constraints.

    Called once, when the plugin is loaded. Tasks that differ in no such label are placed together.
    A plugin that does not say, but has hooks about tasks, is taken to look at all of them: right,
    but slow where each task has a label of its own.
    """


@hookspec
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str] | None:
    """The workers that must not get the task, whatever they have to do: worker id → why.

    Called once in a pass for all tasks that ask the same.
    """


@hookspec
def score_nodes(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """How well each worker suits, whatever it has to do: from 0 to 1, in their order.

    Multiplied by the weight of the plugin (`scheduler.weights`) and added to the rating of the
    strategy, where 1 is one task under `least-load`. Called once in a pass for all tasks that ask
    the same, with the workers that `filter_nodes` left over.
    """


@hookspec
def filter_room(
    task: Task, nodes: Sequence[Candidate], cluster: Cluster
) -> Mapping[str, str] | None:
    """The workers that have no room for the task now: worker id → why.

    Called for all workers that `filter_nodes` left over, then again for each one that was chosen,
    as its load has changed: so the answer for a worker must follow from that worker alone.
    """


@hookspec
def score_room(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """How well each worker suits with what it has to do now: from 0 to 1, in their order.

    Counts as `score_nodes` does, and is called as `filter_room` is, after it.
    """


@hookspec
def topology(task: Task, cluster: Cluster) -> Collection[str] | None:
    """The labels of workers over whose places this plugin judges the task; `node` is each alone.

    Called once in a pass for all tasks that ask the same. For each label named by any plugin the
    two hooks below are called, before each placement: so name few, with few values.
    """


@hookspec
def filter_domains(
    task: Task, key: str, domains: Sequence[Place], cluster: Cluster
) -> Mapping[str, str] | None:
    """The places that must not get the task at present: value of the label `key` → why.

    The workers without the label are the place with the value "". Only places with a worker that
    `filter_nodes` left over are asked for; who answers None is not asked again for that label.
    """


@hookspec
def score_domains(task: Task, key: str, domains: Sequence[Place]) -> Sequence[float] | None:
    """How well each place suits, from 0 to 1, in their order; otherwise as `score_nodes`."""

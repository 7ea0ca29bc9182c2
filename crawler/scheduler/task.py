"""A task as plugins see it, and its load."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from crawler.model.constraints import Constraints
from crawler.model.records import Resource, Spec
from crawler.model.shards import is_sharded


@dataclass(frozen=True, slots=True)
class Task:
    """A task to place, or one task that stands for many of the same shape."""

    spec: Spec
    failed_on: tuple[str, ...] = ()
    """The id of the worker on which this run failed last, if it failed. Only the last one counts:
    otherwise tasks that failed everywhere, for example because their site is down, would each have
    a shape of their own."""

    @classmethod
    def of(cls, resource: Resource) -> Task:
        """Return what the scheduler needs of a resource."""
        return cls(resource.spec, resource.failed_on[-1:])

    @property
    def name(self) -> str:
        """Its name. For tasks that are placed together, this is the name of any of them."""
        return self.spec.name

    @property
    def spider_name(self) -> str:
        """The spider that runs it, as workers list it: of a project, `project/spider`. Tasks placed
        together may differ in spiders that no worker lists."""
        return self.spec.offered_as

    @property
    def project(self) -> str:
        """The project that has its spider; empty if the workers themselves have it. Tasks placed
        together either all have one or none."""
        return self.spec.project

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the spider. Tasks placed together may differ in them."""
        return self.spec.parameters

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels. Tasks placed together may differ in labels that no plugin reads."""
        return self.spec.labels

    @property
    def priority(self) -> int:
        """Its priority; higher is placed first. Tasks placed together may differ in it."""
        return self.spec.priority

    @property
    def shard_of(self) -> str:
        """The task on several workers to which it belongs; empty for other tasks."""
        return self.spec.task if is_sharded(self.spec) else ""

    @property
    def constraints(self) -> Constraints:
        """The conditions of the task on its worker."""
        return self.spec.constraints


Shape = Hashable
"""Tasks of equal shapes get the same answers from all plugins, and are filtered and rated
together."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a task takes from its worker while it is unfinished."""

    requests: tuple[tuple[str, float], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    repels: tuple[tuple[str, str, str], ...] = ()
    """The tasks that it must be apart from: (over, label, value)."""
    shard_of: str = ""
    """The task on several workers to which it belongs, as its head too; empty for other tasks."""


PLAIN = Load()
"""The load of a task that has no labels and requests nothing."""


def load_of(spec: Spec) -> Load:
    """Return the load of a task."""
    asked = spec.constraints
    shard_of = spec.task if is_sharded(spec) else ""
    if not spec.labels and not asked.requests and not asked.apart and not shard_of:
        return PLAIN
    repels = tuple(
        (term.over, term.label, value)
        for term in asked.apart
        if not term.weight and (value := term.value or spec.labels.get(term.label, ""))
    )
    return Load(asked.requests, tuple(spec.labels.items()), repels, shard_of)

"""A task as plugins see it, and what of it makes a difference to its placement."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from crawler.model.constraints import Constraints
from crawler.model.records import Resource, Spec


@dataclass(frozen=True, slots=True)
class Task:
    """A task that is to be placed, or one of many alike."""

    spec: Spec
    failed_on: tuple[str, ...] = ()
    """Id of the worker on which this run failed last, if it did. Only that one: tasks that failed
    everywhere, as those of a site that is down, would each be of a kind of their own."""

    @classmethod
    def of(cls, resource: Resource) -> Task:
        """What there is to know of a resource."""
        return cls(resource.spec, resource.failed_on[-1:])

    @property
    def name(self) -> str:
        """Its name; of tasks placed together, that of any one of them."""
        return self.spec.name

    @property
    def spider_name(self) -> str:
        """The spider that runs it. Tasks placed together may differ in those no worker lists."""
        return self.spec.spider_name

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Given to the spider. Tasks placed together may differ in them."""
        return self.spec.parameters

    @property
    def labels(self) -> Mapping[str, str]:
        """Tasks placed together may differ in labels that no plugin reads."""
        return self.spec.labels

    @property
    def priority(self) -> int:
        """Higher is placed first. Tasks placed together may differ in it."""
        return self.spec.priority

    @property
    def constraints(self) -> Constraints:
        """What it asks of its worker."""
        return self.spec.constraints


Shape = Hashable
"""What tasks have to have in common to be filtered and rated as one."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a task takes of the worker that has it, while it is unfinished."""

    requests: tuple[tuple[str, float], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    repels: tuple[tuple[str, str, str], ...] = ()
    """Tasks it does not stand near it: (over, label, value)."""


PLAIN = Load()
"""Of a task that has no labels and asks for nothing."""


def load_of(spec: Spec) -> Load:
    """What a task takes."""
    asked = spec.constraints
    if not spec.labels and not asked.requests and not asked.apart:
        return PLAIN
    repels = tuple(
        (term.over, term.label, value)
        for term in asked.apart
        if not term.weight and (value := term.value or spec.labels.get(term.label, ""))
    )
    return Load(asked.requests, tuple(spec.labels.items()), repels)

"""Filter and score: spreads tasks of a kind evenly over domains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.model.constraints import Spread
from crawler.scheduler.hookspecs import Cluster, Place, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks only at labels in constraints."""
    return ()


@hookimpl
def topology(task: Task, cluster: Cluster) -> Collection[str]:
    """Name the labels in the task's constraints."""
    return {term.over for term in _terms(task)}


@hookimpl
def filter_domains(
    task: Task, key: str, domains: Sequence[Place], cluster: Cluster
) -> Mapping[str, str] | None:
    """Refuse domains that would exceed the emptiest by too much, and workers in no domain."""
    terms = [term for term in _terms(task) if term.over == key and not term.weight]
    if not terms:
        return None
    refused: dict[str, str] = {p.value: f"has no label {key}" for p in domains if not p.value}
    for term in terms:
        value = _value(task, term)
        mine = task.labels.get(term.label) == value
        counts = {place.value: place.count(term.label, value) for place in domains if place.value}
        most = min(counts.values(), default=0) + term.max_skew - mine
        for place, count in counts.items():
            if count > most:
                refused[place] = (
                    f"is in {key} {place}, which has {count} task{'s' if count > 1 else ''} with "
                    f"{term.label}={value}; "
                    f"at most {term.max_skew} more than the fewest are allowed"
                )
    return refused


@hookimpl
def score_domains(task: Task, key: str, domains: Sequence[Place]) -> Sequence[float] | None:
    """Score each domain from 1 for the fewest tasks of the kind to 0 for the most. Several
    preferences count by their weights."""
    preferred = [term for term in _terms(task) if term.weight]
    terms = [term for term in preferred if term.over == key]
    if not terms:
        return None
    totals = [0.0] * len(domains)
    for term in terms:
        share = term.weight / sum(each.weight for each in preferred)
        points = _evenness(domains, term.label, _value(task, term))
        totals = [total + share * point for total, point in zip(totals, points)]
    return [min(1.0, total) for total in totals]  # rounding may make the sum slightly more than 1


def _evenness(domains: Sequence[Place], label: str, value: str) -> Sequence[float]:
    counts = [place.count(label, value) for place in domains]
    known = [count for count, place in zip(counts, domains) if place.value]
    fewest, most = min(known, default=0), max(known, default=0)
    apart = max(1, most - fewest)
    return [
        1.0 - (count - fewest) / apart if place.value else 0.0
        for count, place in zip(counts, domains)
    ]


def _terms(task: Task) -> Sequence[Spread]:
    """Return the terms of the task, without those whose value neither the term nor the task has."""
    return [term for term in task.constraints.spread if _value(task, term)]


def _value(task: Task, term: Spread) -> str:
    return term.value or task.labels.get(term.label, "")

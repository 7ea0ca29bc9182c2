"""Filter and score: tasks that want to be near to, or apart from, tasks with a label.

`apart` holds in both directions: a task does not go where an unfinished task wants to be apart from
its labels. A worker without the label of the domains is near to no task, and apart from all.

Single workers (`over: node`) are judged by `filter_room`, so that only the worker just chosen is
judged again. But `near` excludes all other workers, so for `near` single workers are judged as
domains too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from crawler.model.constraints import NODE, Neighbour
from crawler.scheduler.hookspecs import Candidate, Cluster, Place, Task, hookimpl

Pair = tuple[str, str]
"""A label of tasks and its value."""


@hookimpl
def task_labels() -> Collection[str]:
    """It looks only at labels in constraints."""
    return ()


@hookimpl
def filter_room(
    task: Task, nodes: Sequence[Candidate], cluster: Cluster
) -> Mapping[str, str] | None:
    """Refuse workers with a task that this one must be apart from, or that must be apart from
    it."""
    apart = _required(task, task.constraints.apart, NODE)
    labels = task.labels.items() if NODE in cluster.repelled_over(task.labels) else ()
    if not apart and not labels:
        return None
    return _disliked(NODE, nodes, apart, labels)


@hookimpl
def score_room(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """Score each worker by the share, by weight, of the preferences over `node` that it fulfils."""
    return _preferred(task, NODE, nodes)


@hookimpl
def topology(task: Task, cluster: Cluster) -> Collection[str]:
    """Name the labels in the task's constraints, and those over which others want to be apart from
    it."""
    asked = task.constraints
    keys = {term.over for term in (*asked.near, *asked.apart)} | cluster.repelled_over(task.labels)
    return keys if _required(task, asked.near, NODE) else keys - {NODE}


@hookimpl
def filter_domains(
    task: Task, key: str, domains: Sequence[Place], cluster: Cluster
) -> Mapping[str, str] | None:
    """Refuse domains that lack a task to be near to, or have one to be apart from."""
    near = _required(task, task.constraints.near, key)
    apart = [] if key == NODE else _required(task, task.constraints.apart, key)
    repelled = key != NODE and key in cluster.repelled_over(task.labels)
    labels = task.labels.items() if repelled else ()
    if not near and not apart and not labels:
        return None
    refused = _disliked(key, domains, apart, labels)
    for pair in near:
        refused |= _lonely(task, pair, key, domains, cluster)
    return refused


@hookimpl
def score_domains(task: Task, key: str, domains: Sequence[Place]) -> Sequence[float] | None:
    """Score each domain by the share, by weight, of the preferences that it fulfils."""
    return None if key == NODE else _preferred(task, key, domains)


def _disliked(
    key: str, places: Sequence[Place], apart: Iterable[Pair], labels: Collection[Pair]
) -> dict[str, str]:
    refused: dict[str, str] = {}
    for place in places:
        if not place.value:
            continue
        for label, value in labels:
            if place.repels(key, label, value):
                why = f"has a task that stays apart from {label}={value}"
                refused[place.value] = _tell(key, place, why)
        for label, value in apart:
            if place.count(label, value):
                refused[place.value] = _tell(key, place, f"has a task with {label}={value}")
    return refused


def _lonely(
    task: Task, pair: Pair, key: str, places: Sequence[Place], cluster: Cluster
) -> dict[str, str]:
    """Return why domains without such a task are refused. The first task of its kind may go to any
    domain."""
    label, value = pair
    met = {place.value for place in places if _meets(place, label, value)}
    if not met and task.labels.get(label) == value and not _present(pair, cluster.places(key)):
        met = {place.value for place in places if place.value}
    return {
        place.value: _tell(key, place, f"has no task with {label}={value}")
        for place in places
        if place.value not in met
    }


def _present(pair: Pair, places: Sequence[Place]) -> bool:
    return any(_meets(place, *pair) for place in places)


def _tell(key: str, place: Place, why: str) -> str:
    if key == NODE:
        return why
    return f"is in {key} {place.value}, which {why}" if place.value else f"has no label {key}"


def _preferred(task: Task, key: str, places: Sequence[Place]) -> Sequence[float] | None:
    asked = task.constraints
    wishes = [(term, True) for term in asked.near] + [(term, False) for term in asked.apart]
    wishes = [(term, near) for term, near in wishes if term.weight and _value(task, term)]
    total = sum(term.weight for term, _ in wishes)
    mine = [
        (term.weight / total, term.label, _value(task, term), near)
        for term, near in wishes
        if term.over == key
    ]
    if not mine:
        return None
    points = [
        sum(share for share, label, value, near in mine if _meets(place, label, value) is near)
        for place in places
    ]
    return [min(1.0, point) for point in points]  # rounding may make the sum slightly more than 1


def _meets(place: Place, label: str, value: str) -> bool:
    return bool(place.value and place.count(label, value))


def _required(task: Task, terms: Iterable[Neighbour], key: str) -> list[Pair]:
    return [
        (term.label, value)
        for term in terms
        if term.over == key and not term.weight and (value := _value(task, term))
    ]


def _value(task: Task, term: Neighbour) -> str:
    """Return the value that the term is about; empty if neither the term nor the task has one."""
    return term.value or task.labels.get(term.label, "")

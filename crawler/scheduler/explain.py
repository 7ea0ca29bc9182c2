"""Explains to people, worker by worker, what a pass would decide about one task now.

It asks the same plugins the same questions as a pass, on the same counts, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from crawler.model.constraints import NODE
from crawler.model.policy import Judgement, Score, WorkerVerdict
from crawler.scheduler.candidate import Candidate, Domain, Place, place_of
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.framework import Framework
from crawler.scheduler.plugin_run import PluginRun, Points
from crawler.scheduler.reasons import absences, lacking
from crawler.scheduler.task import Task

Verdicts = Mapping[str, Mapping[str, str]]
"""Plugin → worker id → why not."""


class Apart:
    """The cluster state without one task."""

    def __init__(self, cluster_state: ClusterState, name: str) -> None:
        self._cluster_state = cluster_state
        held = cluster_state.holdings.get(name)
        owner = held.owner if held is not None else None
        present = cluster_state.candidates.get(owner.node_id) if owner is not None else None
        self._load = held.load if held is not None and held.open else None
        self._own: Candidate | None = None
        if held is None or owner is None or present is None or not present.node.owns(owner):
            return
        self._own = present.without(held.load, held.state.finished)

    @property
    def candidates(self) -> Sequence[Candidate]:
        """All live workers, sorted by id."""
        found = sorted(self._cluster_state.candidates.values(), key=lambda each: each.id)
        return [self._seen(each) for each in found]

    @property
    def schedulable(self) -> Sequence[Candidate]:
        """The workers that take new tasks."""
        return [self._seen(each) for each in self._cluster_state.schedulable]

    def places(self, key: str) -> Sequence[Place]:
        """Return the domains of a label, as `ClusterState.places` does."""
        if key == NODE:
            return self.schedulable
        return [self._without(key, place) for place in self._cluster_state.places(key)]

    def repelled_over(self, labels: Mapping[str, str]) -> set[str]:
        """Return the same as `ClusterState.repelled_over`."""
        return self._cluster_state.repelled_over(labels)

    def _seen(self, candidate: Candidate) -> Candidate:
        own = self._own
        return own if own is not None and own.id == candidate.id else candidate

    def _without(self, key: str, place: Place) -> Place:
        own, load = self._own, self._load
        if own is None or load is None or not isinstance(place, Domain):
            return place
        if not any(each.id == own.id for each in self._cluster_state.schedulable):
            return place  # a domain counts no tasks of workers that take none
        return place.without(load) if place_of(own.node, key) == place.value else place


def judge(
    framework: Framework, cluster_state: ClusterState, task: Task, awaits_spider: bool = False
) -> Judgement:
    """Judge all workers as if the task were placed now, without counting the task itself. If it
    waits for its spider, only workers that have it may get it."""
    apart = Apart(cluster_state, task.name)
    found = {each.id: WorkerVerdict(each.id, each.unfinished) for each in apart.candidates}
    _refuse(found, absences(cluster_state))
    if awaits_spider:
        _refuse(found, lacking(cluster_state, task))
    plugin_run = framework.trial(task, apart)
    suitable = _ask_filters(plugin_run, apart, found)
    able = [each for each in suitable if not found[each.id].refusals]
    points = _scores(plugin_run.points(suitable), len(suitable))
    fixed = {each.id: scores for each, scores in zip(suitable, points)}
    _rate(plugin_run, task, able, found, fixed)
    bonuses: dict[str, list[float]] = {each.id: [] for each in suitable}
    for key in plugin_run.keys:
        _judge_places(plugin_run, key, _standing(apart, key, suitable), suitable, found, bonuses)
    for id, given in bonuses.items():
        found[id] = replace(found[id], total=found[id].total + sum(given))
    open = [each for each in able if not found[each.id].refusals]
    best = min(open, key=lambda c: (-found[c.id].total, c.owned, c.id), default=None)
    workers = [_scoreless(each) if each.refusals else each for each in found.values()]
    return Judgement(framework.policy.strategy, best.id if best else "", workers, plugin_run.faults)


def _ask_filters(
    plugin_run: PluginRun, apart: Apart, found: dict[str, WorkerVerdict]
) -> Sequence[Candidate]:
    """Return the suitable workers, whether or not they have room."""
    schedulable = apart.schedulable
    refusals = plugin_run.refusals(schedulable)
    _refuse(found, refusals)
    refused = {id for verdicts in refusals.values() for id in verdicts}
    suitable = [each for each in schedulable if each.id not in refused]
    _refuse(found, plugin_run.without_room(suitable))
    return suitable


def _rate(
    plugin_run: PluginRun,
    task: Task,
    able: Sequence[Candidate],
    found: dict[str, WorkerVerdict],
    fixed: Mapping[str, Sequence[Score]],
) -> None:
    """Rate the workers that have room. The sums are added in the same order as in a pass."""
    if not able:
        return
    changing = _scores(plugin_run.room_points(able), len(able))
    for each, rating, more in zip(able, plugin_run.rated(task, able), changing):
        total = rating + _sum(fixed[each.id])
        for score in more:
            total += score.weight * score.points
        scores = [*fixed[each.id], *more]
        found[each.id] = replace(found[each.id], rating=rating, total=total, scores=scores)


def _judge_places(
    plugin_run: PluginRun,
    key: str,
    places: Sequence[Place],
    suitable: Sequence[Candidate],
    found: dict[str, WorkerVerdict],
    bonuses: dict[str, list[float]],
) -> None:
    standing = {each.id: place_of(each.node, key) for each in suitable}
    closed = plugin_run.closed(key, places)
    _refuse(found, {name: _by_worker(why, standing) for name, why in closed.items()})
    given = _scores(plugin_run.place_points(key, places), len(places))
    at = {place.value: scores for place, scores in zip(places, given)}
    for id, value in standing.items():
        scores = [replace(score, place=f"{key}={value}") for score in at[value]]
        found[id] = replace(found[id], scores=[*found[id].scores, *scores])
        bonuses[id].append(_sum(scores))


def _by_worker(why: Mapping[str, str], standing: Mapping[str, str]) -> dict[str, str]:
    return {id: why[value] for id, value in standing.items() if value in why}


def _refuse(found: dict[str, WorkerVerdict], verdicts: Verdicts) -> None:
    """Add refusals. If a plugin has several reasons for one worker, keep them all."""
    for plugin, reasons in verdicts.items():
        for id, why in reasons.items():
            known = found.get(id)
            if known is not None:
                before = known.refusals.get(plugin)
                told = why if before is None or before == why else f"{before}; {why}"
                found[id] = replace(known, refusals={**known.refusals, plugin: told})


def _scoreless(verdict: WorkerVerdict) -> WorkerVerdict:
    """Return the verdict without scores: a worker that must not get the task is not compared."""
    return replace(verdict, rating=0.0, total=0.0, scores=())


def _standing(apart: Apart, key: str, suitable: Sequence[Candidate]) -> Sequence[Place]:
    """Return the domains of a label that the suitable workers belong to."""
    values = {place_of(candidate.node, key) for candidate in suitable}
    return [place for place in apart.places(key) if place.value in values]


def _scores(given: Sequence[Points], count: int) -> list[list[Score]]:
    """Return the scores of all plugins for each object in question."""
    return [
        [Score(name, weight, points[at]) for name, weight, points in given] for at in range(count)
    ]


def _sum(scores: Sequence[Score]) -> float:
    total = 0.0
    for score in scores:
        total += score.weight * score.points
    return total

"""A strategy that fills cheap workers first, and a filter that keeps a site to one region."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.scheduler.hookspecs import Candidate, Cluster, Place, Rating, Task, hookimpl

BLOCK = 10  # tasks that the cheapest worker gets before the next one gets any
SITE, REGION = "site", "region"  # label of tasks: what they crawl; of workers: where they stand


@hookimpl
def strategies() -> Mapping[str, Rating]:
    """The strategy by its name."""
    return {"cheapest": cheapest}


def cheapest(task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
    """Workers less busy by a whole block come first, of those the one with the lowest price.

    A rating depends on the worker alone, as only the one just chosen is rated anew.
    """
    return [-(each.unfinished // BLOCK) - _dearness(each) for each in nodes]


@hookimpl
def task_labels() -> Collection[str]:
    """Tasks that differ in other labels may be placed together."""
    return {SITE}


@hookimpl
def topology(task: Task) -> Collection[str] | None:
    """Tasks of a site are judged by region; all others are none of our business."""
    return {REGION} if SITE in task.labels else None


@hookimpl
def filter_domains(
    task: Task, key: str, domains: Sequence[Place], cluster: Cluster
) -> Mapping[str, str] | None:
    """A site sees us from one region: the one that has unfinished tasks of it already."""
    site = task.labels.get(SITE)
    if key != REGION or not site:
        return None
    used = [place.value for place in cluster.places(REGION) if place.count(SITE, site)]
    others = (place.value for place in domains if used and place.value not in used)
    return dict.fromkeys(others, f"tasks of {site} are crawled from {', '.join(used)}")


def _dearness(candidate: Candidate) -> float:
    """0 for a worker that costs nothing, towards 1 the more it costs; 1 if it names no price."""
    try:
        price = float(candidate.labels.get("price", ""))
    except ValueError:  # a label may be any text
        return 1.0
    return 1.0 - 1.0 / (1.0 + price) if price >= 0.0 else 1.0

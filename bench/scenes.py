"""Workers and tasks to measure with: plain ones, and such that ask for all that can be asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from crawler.model.constraints import Constraints, Expression, Neighbour, Operator, Spread
from crawler.model.records import Node, Resource, Spec
from crawler.scheduler.backlog import Backlog
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.framework import Framework
from crawler.scheduler.task import Task

Resources = Mapping[str, Resource]

CREATED_NS = 1_700_000_000_000_000_000
SHAPES = 50
ZONES = 20
GPU_EVERY = 10
"""Every tenth worker has GPUs."""


def worker_id(number: int) -> str:
    """As the id of a worker looks with the usual settings."""
    return f"go.micro.server.worker-{number:05}"


def plain_workers(count: int) -> list[Node]:
    """Workers that say nothing of themselves."""
    return [
        Node(worker_id(n), f"10.0.{n // 250}.{n % 250}:9090", incarnation=n + 1)
        for n in range(count)
    ]


def plain_tasks(count: int) -> dict[str, Resource]:
    """Tasks without an owner that ask for nothing, as the mirror has them."""
    return {f"task-{n:07}": _resource(Spec(f"task-{n:07}", "books"), n) for n in range(count)}


def rich_workers(count: int) -> list[Node]:
    """Twenty zones, every tenth worker with GPUs, every second with an SSD; capacity declared."""
    return [
        dataclasses.replace(worker, labels=_labels(n), capacity=_capacity(n))
        for n, worker in enumerate(plain_workers(count))
    ]


def rich_tasks(count: int) -> dict[str, Resource]:
    """Fifty shapes in turn: all request cpu and memory and are spread over the zones; a fifth needs
    a GPU, a fifth an SSD, two fifths have no two of their kind on one worker."""
    return {f"task-{n:07}": _resource(_rich_spec(n), n) for n in range(count)}


def _labels(number: int) -> dict[str, str]:
    labels = {"zone": f"z{number % ZONES:02}", "disk": "ssd" if number // ZONES % 2 else "hdd"}
    return labels | ({"gpu": "true"} if _has_gpu(number) else {})


def _capacity(number: int) -> dict[str, float]:
    return {"cpu": 64.0, "memory": 256.0} | ({"gpu": 64.0} if _has_gpu(number) else {})


def _has_gpu(number: int) -> bool:
    """Some in each zone."""
    return number // ZONES % GPU_EVERY == 0


def _rich_spec(number: int) -> Spec:
    kind = number % SHAPES
    app = f"app-{kind:02}"
    labels = {"app": app} | ({"gpu": "true"} if kind % 5 == 0 else {})
    return Spec(f"task-{number:07}", "books", labels=labels, constraints=_constraints(kind))


def _constraints(kind: int) -> Constraints:
    requests = {"cpu": 0.1, "memory": 0.25} | ({"gpu": 1.0} if kind % 5 == 0 else {})
    ssd = Expression("disk", Operator.IN, ("ssd",))
    return Constraints(
        requests=tuple(sorted(requests.items())),
        required=(ssd,) if kind % 5 == 3 else (),
        preferred=(ssd,) if kind % 5 == 4 else (),
        apart=(Neighbour("app"),) if kind % 5 in (1, 2) else (),
        spread=(Spread("zone", "app", max_skew=2),),
    )


def _resource(spec: Spec, number: int) -> Resource:
    return Resource(
        spec,
        id=str(1_000_000_000_000 + number),
        creation_time=CREATED_NS + number * 1000,
        mod_revision=number + 1_000_000,
    )


def state_of(workers: Sequence[Node], resources: Resources) -> ClusterState:
    """What the mirrors keep anyway: made before the time counts."""
    cluster_state = ClusterState("group")
    for worker in workers:
        cluster_state.workers.join(worker)
    for name, resource in resources.items():
        cluster_state.see(name, resource)
    return cluster_state


def offer_all(cluster_state: ClusterState, framework: Framework, resources: Resources) -> Backlog:
    """Put all that changed into a backlog, as a pass does."""
    backlog = Backlog(60.0)
    for name in cluster_state.changes.take().suspects:
        resource = resources[name]
        task = Task.of(resource)
        shape = framework.shape(task, cluster_state.relevant_labels)
        since_s = resource.creation_time / 1e9
        backlog.offer(name, task, shape, cluster_state.group_of(resource), since_s)
    return backlog

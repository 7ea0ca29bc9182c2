"""A cluster for tests of the scheduler: workers and tasks in a cluster state, and passes over
them."""

from __future__ import annotations

import functools

from crawler.model.constraints import Constraints
from crawler.model.records import Node, Owner, Resource, Spec, State
from crawler.scheduler.backlog import ENDLESS, Backlog
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.cycle import Cycle
from crawler.scheduler.framework import Framework, Policy
from crawler.scheduler.task import Task


def worker(name, **about):
    """A worker `w-NAME`."""
    return Node(f"w-{name}", f"h:{name}", **about)


def asks(**constraints):
    """The argument of `Spec` by which a task asks for something."""
    return {"constraints": Constraints(**constraints)}


def tasks(count, name="task", **about):
    """So many tasks that ask the same."""
    about = {"spider": "any"} | about  # otherwise each would ask for the spider named like itself
    return [Resource(Spec(f"{name}-{n}", **about)) for n in range(count)]


def task(name, failed_on=(), **about):
    return Resource(Spec(name, **about), failed_on=tuple(failed_on))


def on(node, resource, state=State.ASSIGNED):
    """A task that this worker has already."""
    return resource.replace(owner=owner_of(node), state=state)


def owner_of(node):
    return Owner(node.id, node.address, node.incarnation)


@functools.cache
def _loaded():
    return Framework("least-load")


def framework(strategy="least-load"):
    """A framework whose strategy remembers nothing; loaded once, as that takes time."""
    found = _loaded()
    found.switch(Policy("least-load" if strategy != "least-load" else "random"))
    found.switch(Policy(strategy))
    return found


class Cluster:
    """All that a master knows of its workers and tasks."""

    def __init__(
        self, workers=(), resources=(), judge=None, *, group_label="", ageing_s=0.0, groups=None
    ):
        self.framework = judge or framework()
        self.cluster_state = ClusterState(group_label)
        self.backlog = Backlog(ageing_s, groups)
        self.group_label = group_label
        self.resources = {}
        for node in workers:
            self.cluster_state.workers.join(node)
        self.see(*resources)

    def see(self, *resources):
        """Tasks are new, or changed."""
        for resource in resources:
            self.resources[resource.name] = resource
            self.cluster_state.see(resource.name, resource)

    def offer(self, resource, since_s):
        """Have a task wait."""
        task = Task.of(resource)
        shape = self.framework.shape(task, self.cluster_state.relevant_labels)
        group = resource.spec.labels.get(self.group_label, "") if self.group_label else ""
        self.backlog.offer(resource.name, task, shape, group, since_s)

    def run(self, most=ENDLESS, since_s=None):
        """Place what has no owner, the earlier the task came the sooner, and commit the plan."""
        for number, resource in enumerate(self.resources.values()):
            waits = resource.owner is None and not resource.state.finished
            if waits and resource.name not in self.backlog:
                self.offer(resource, number if since_s is None else since_s[resource.name])
        find = self.resources.get
        plan = Cycle(self.framework, self.cluster_state, self.backlog, find).run(most)
        for name, node in plan.placed.items():
            self.see(on(node, self.resources[name]))
        return plan

    def run_all(self):
        """Pass after pass, until nothing more can be placed: task → worker id, in their order."""
        placed = {}
        while True:
            plan = self.run()
            if not plan.placed:
                return placed
            placed |= ids(plan)
            for queue in self.backlog.parked:
                self.backlog.wake(queue)


def run(workers, resources, judge=None, **about):
    """The plan of a pass over a new cluster."""
    return Cluster(workers, resources, judge, **about).run()


def ids(plan):
    """Task → id of the worker that gets it."""
    return {name: node.id for name, node in plan.placed.items()}


def counts(plan):
    """Worker id → how many tasks it got."""
    found = {}
    for node in plan.placed.values():
        found[node.id] = found.get(node.id, 0) + 1
    return found

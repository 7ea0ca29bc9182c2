"""Gives an owner to every resource of a draft that needs one; pure but for the draft it changes."""

from __future__ import annotations

from collections.abc import Mapping

from crawler.node.draft import Draft
from crawler.records import Counts, Node, Owner, Resource, State
from crawler.scheduler import snapshot
from crawler.scheduler.cycle import Plan, run_pass
from crawler.scheduler.framework import Framework


def place(draft: Draft, workers: Mapping[str, Node], framework: Framework) -> Plan:
    """Run a pass over what needs an owner, and write its plan into the draft."""
    resources = list(draft.resources())
    homeless = sorted(
        (resource for resource in resources if needs_owner(resource, workers)),
        key=lambda resource: (resource.creation_time, resource.name),
    )
    if not homeless:
        return Plan({}, [])
    candidates = snapshot.take(workers.values(), resources)
    plan = run_pass(framework, candidates, [resource.spec for resource in homeless])
    reasons = {verdict.name: verdict.reason for verdict in plan.refused}
    for resource in homeless:
        node = plan.placed.get(resource.name)
        settled = assigned(resource, node) if node else waiting(resource, reasons[resource.name])
        if settled != resource:
            draft.put(settled)
    return plan


def needs_owner(resource: Resource, workers: Mapping[str, Node]) -> bool:
    """Whether a resource has work left that no live worker is responsible for."""
    if resource.awaits_spider:
        return any(node.has_spider(resource.spec.spider_name) for node in workers.values())
    if resource.state.finished:
        return False
    owner = resource.owner
    return owner is None or owner.node_id not in workers or not workers[owner.node_id].owns(owner)


def assigned(resource: Resource, node: Node) -> Resource:
    """The resource as this worker's, with the next epoch."""
    return resource.replace(
        owner=Owner(node.id, node.address, node.incarnation),
        epoch=resource.epoch + 1,
        state=State.ASSIGNED,
        reason="",
        awaits_spider=False,
        counts=Counts(),
    )


def waiting(resource: Resource, reason: str) -> Resource:
    """The resource without an owner, and why."""
    return resource.replace(owner=None, state=State.PENDING, reason=reason, awaits_spider=False)

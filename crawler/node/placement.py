"""Gives an owner to every resource of a draft that needs one; pure but for the draft it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crawler.coordination.codec import MOST_EPOCH
from crawler.node.draft import Draft
from crawler.node.workforce import Workforce
from crawler.records import Counts, Node, Owner, Resource, State
from crawler.scheduler import snapshot
from crawler.scheduler.cycle import run_pass
from crawler.scheduler.framework import Framework


def place(draft: Draft, workforce: Workforce, framework: Framework) -> Mapping[str, int]:
    """Run a pass over what needs an owner, and write its plan into the draft.

    Returns the workers whose tasks were taken from them because they are dead: id → incarnation.
    """
    resources = list(draft.resources())
    homeless = sorted(
        (resource for resource in resources if needs_owner(resource, workforce)),
        key=lambda resource: (resource.creation_time, resource.name),
    )
    if not homeless:
        return {}
    candidates = snapshot.take(workforce.hiring, resources)
    plan = run_pass(framework, candidates, [resource.spec for resource in homeless])
    reasons = {verdict.name: verdict.reason for verdict in plan.refused}
    for resource in homeless:
        node = plan.placed.get(resource.name)
        settled = assigned(resource, node) if node else waiting(resource, reasons[resource.name])
        if settled != resource:
            draft.put(settled)
    return _dead(homeless, workforce)


def needs_owner(resource: Resource, workforce: Workforce) -> bool:
    """Whether a resource has work left that no worker is responsible for."""
    if resource.awaits_spider:
        return workforce.has_spider(resource.spec.spider_name)
    if resource.state.finished:
        return False
    return resource.owner is None or not workforce.stands_by(resource.owner)


def assigned(resource: Resource, node: Node) -> Resource:
    """The resource as this worker's, with the next epoch."""
    return resource.replace(
        owner=Owner(node.id, node.address, node.incarnation),
        epoch=next_epoch(resource),
        state=State.ASSIGNED,
        reason="",
        awaits_spider=False,
        counts=Counts(),
    )


def next_epoch(resource: Resource) -> int:
    """One more than the last. A value without an epoch may be one that another program rewrote: its
    revision is above all epochs there were, as each of them was a write of its own. At the bound,
    which only another program's value reaches, it stays: what is written has to be readable."""
    return min((resource.epoch or resource.mod_revision) + 1, MOST_EPOCH)


def waiting(resource: Resource, reason: str) -> Resource:
    """The resource without an owner, and why."""
    return resource.replace(owner=None, state=State.PENDING, reason=reason, awaits_spider=False)


def _dead(homeless: Iterable[Resource], workforce: Workforce) -> Mapping[str, int]:
    dead: dict[str, int] = {}
    for resource in homeless:
        owner = resource.owner
        if owner is None or workforce.stands_by(owner):
            continue
        # No life is younger than what names it; one that another program made up is no life.
        if 0 < owner.incarnation < resource.mod_revision:
            dead[owner.node_id] = max(owner.incarnation, dead.get(owner.node_id, 0))
    return dead

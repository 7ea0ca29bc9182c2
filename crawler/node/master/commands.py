"""What each kind of request does to the resources, as pure functions on a draft.

`apply` may be called again on a fresh draft, when somebody else wrote meanwhile. It raises one of
`errors.Rejected` for the caller, and then depends on the `subjects` as the draft has them; or it
changes the draft and returns the names the result depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crawler.coordination.codec import MOST_EPOCH
from crawler.errors import AlreadyExists, NotFound
from crawler.model.records import Report, Resource, Spec, State
from crawler.node.master.draft import Draft


class Command(Protocol):
    """A change somebody asks for."""

    @property
    def subjects(self) -> Sequence[str]:
        """The names of the resources it is about."""
        ...

    def apply(self, draft: Draft) -> Sequence[str]:
        """Make the change in the draft; the names of the resources its result depends on."""
        ...


@dataclass(frozen=True, slots=True)
class Add:
    """Add a resource, unless the very same one is there."""

    spec: Spec

    @property
    def subjects(self) -> Sequence[str]:
        """The resource to be added."""
        return [self.spec.name]

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises AlreadyExists when the name is taken by another specification."""
        present = draft.get(self.spec.name)
        if present is None:
            draft.put(Resource(self.spec))
        elif not _same(present.spec, self.spec):
            raise AlreadyExists(
                f"task {self.spec.name!r} exists with another specification; "
                "delete it, update it, or choose another name"
            )
        else:
            draft.keep(self.spec.name)
        return [self.spec.name]


@dataclass(frozen=True, slots=True)
class Update:
    """Change a specification; another spider or other parameters mean another run. Workers that
    died of the task are forgiven, as whoever updates it has mended it."""

    spec: Spec

    @property
    def subjects(self) -> Sequence[str]:
        """The resource to be changed."""
        return [self.spec.name]

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound."""
        present = _present(draft, self.spec.name)
        if not _same(present.spec, self.spec):
            changed = present.replace(spec=self.spec, kills=0)
            draft.put(changed if _same_run(present.spec, self.spec) else _afresh(changed))
        elif present.kills:
            draft.put(present.replace(kills=0))
        else:
            draft.keep(self.spec.name)
        return [self.spec.name]


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a resource."""

    name: str

    @property
    def subjects(self) -> Sequence[str]:
        """The resource to be deleted."""
        return [self.name]

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound."""
        _present(draft, self.name)
        draft.delete(self.name)
        return [self.name]


@dataclass(frozen=True, slots=True)
class Record:
    """Take what a worker reports of its runs into the resources."""

    node_id: str
    reports: Sequence[Report]

    @property
    def subjects(self) -> Sequence[str]:
        """The resources reported of."""
        return [report.name for report in self.reports]

    def apply(self, draft: Draft) -> Sequence[str]:
        """Reports that are not current any more change nothing; one of a later assignment than the
        present means that an old value was put back, so the task is assigned anew: above that one,
        and above the revision, as there may have been later ones still.

        The result depends on all of them: what made one out of date may not be committed.
        """
        for report in self.reports:
            resource = draft.get(report.name)
            if is_later(report, resource):
                assert resource is not None  # else nothing would be later
                highest = max(report.epoch, resource.mod_revision)
                draft.put(_afresh(resource).replace(epoch=highest))
            elif is_current(report, self.node_id, resource) and changes_state(report, resource):
                assert resource is not None  # else the report were not current
                draft.put(_reported(resource, report, self.node_id))
        return self.subjects


def is_current(report: Report, node_id: str, resource: Resource | None) -> bool:
    """Whether a report is of the run that the resource is assigned to now."""
    if resource is None or resource.owner is None or resource.owner.node_id != node_id:
        return False
    if (resource.id, resource.epoch) != (report.id, report.epoch):
        return False
    return not resource.state.finished or not changes_state(report, resource)


def is_later(report: Report, resource: Resource | None) -> bool:
    """Whether a report is of a later assignment than the one that stands there."""
    if resource is None or resource.state.finished:
        return False
    return resource.id == report.id and resource.epoch < report.epoch <= MOST_EPOCH


def changes_state(report: Report, resource: Resource | None) -> bool:
    """Whether a report changes more than the counts of a running resource."""
    return resource is not None and resource.state is not report.state


def _reported(resource: Resource, report: Report, node_id: str) -> Resource:
    """The resource after a report; a run that failed is tried again while it may be."""
    failed = report.state is State.FAILED and not report.awaits_spider
    if failed and len(resource.failed_on) < resource.spec.retries:
        tried = (*resource.failed_on, node_id)
        reason = f"failed on {node_id}, to be tried again: {report.reason}"
        again = resource.replace(failed_on=tried, counts=report.counts, reason=reason)
        return again.replace(owner=None, state=State.PENDING, awaits_spider=False)
    return resource.replace(
        state=report.state,
        reason=report.reason,
        awaits_spider=report.awaits_spider,
        counts=report.counts,
    )


def _present(draft: Draft, name: str) -> Resource:
    resource = draft.get(name)
    if resource is None:
        raise NotFound("no such task")
    return resource


def _same(one: Spec, other: Spec) -> bool:
    return _same_run(one, other) and _wishes(one) == _wishes(other)


def _wishes(spec: Spec) -> tuple[object, ...]:
    """What a specification says beside the run."""
    return spec.labels, spec.priority, spec.constraints, spec.retries


def _same_run(one: Spec, other: Spec) -> bool:
    return (one.spider_name, one.parameters) == (other.spider_name, other.parameters)


def _afresh(resource: Resource) -> Resource:
    """Without an owner, and without a past: the placement of the same pass gives it an owner, and
    with it a new epoch."""
    return resource.replace(
        owner=None, state=State.PENDING, reason="", awaits_spider=False, failed_on=(), kills=0
    )

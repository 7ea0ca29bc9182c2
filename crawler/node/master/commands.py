"""The commands: each changes resources in a draft, as a pure function.

`apply` may run again on a fresh draft, if another program wrote meanwhile. Either it changes the
draft and returns the names on which the result depends; or it raises a subclass of
`errors.Rejected` for the caller. A rejection depends on the `subjects` as the draft shows them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from crawler.clock import give_turn
from crawler.coordination.stored import MOST_EPOCH
from crawler.errors import AlreadyExists, WouldRestart
from crawler.model.records import (
    NO_BLAME,
    NO_COUNTS,
    NOT_INTERRUPTED,
    Report,
    Resource,
    Spec,
    State,
)
from crawler.node.master.assignment import afresh, anew
from crawler.node.master.draft import Draft
from crawler.node.master.interruptions import interrupted
from crawler.node.master.objections import check_names, heed, name_fault, present_task
from crawler.node.master.one_task import OfTask
from crawler.node.master.shards import shards_of
from crawler.settings import live, task_parameters


class Command(Protocol):
    """A change of tasks that somebody requested."""

    @property
    def subjects(self) -> Sequence[str]:
        """The names of the resources that the command concerns."""
        ...

    def apply(self, draft: Draft) -> Sequence[str]:
        """Make the change in the draft. Return the names on which the result depends."""
        ...


def no_objection(spec: Spec) -> str:
    """Object to nothing."""
    return ""


def parameter_faults(spec: Spec) -> str:
    """Return what is wrong with the parameters of a task. Other greenlets run meanwhile, because a
    task may have thousands of patterns."""
    return "; ".join(task_parameters.faults(spec.parameters, give_turn))


@dataclass(slots=True)
class Add:
    """Add a resource. Nothing changes if the same resource exists."""

    spec: Spec
    objection: Callable[[Spec], str] = no_objection
    """Returns why a new task must not be added, or an empty text."""
    faults: str = ""
    """What `parameter_faults` found. It takes its time, for which no other request shall wait."""
    alone: str = ""
    """Why no task of this cluster can run on several workers, or an empty text."""
    waits: bool = False
    """Whether it waits until a worker offers its spider."""
    new: bool = False
    """Whether the latest `apply` added it."""

    @property
    def subjects(self) -> Sequence[str]:
        """The name of the resource to add."""
        return [self.spec.name]

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises AlreadyExists if a resource of this name has another specification, or if its
        shards cannot have theirs; InvalidArgument for bad parameters or an objection."""
        present = draft.get(self.spec.name)
        self.new = present is None
        if present is None:
            heed(name_fault(self.spec.name))
            heed(self.alone if self.spec.workers > 1 else "")
            heed(self.faults)
            heed(self.objection(self.spec))
            check_names(draft, self.spec)
            draft.add(self.spec, self.waits)
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
    """Change a specification.

    Another spider or other parameters start another run, except settings that change on a running
    crawl. An update also resets the count of workers that the task killed, because whoever updates
    a task has mended it.
    """

    spec: Spec
    restart: bool | None = None
    """With False, a change is refused that would restart the run of an unfinished task."""
    objection: Callable[[Spec], str] = no_objection
    """Returns why a task must not get its new spider, or an empty text."""
    faults: str = ""
    """What `parameter_faults` found."""
    alone: str = ""
    """Why no task of this cluster can run on several workers, or an empty text."""
    waits: bool = False
    """Whether another run waits until a worker offers the spider. A task that waits already, for
    the same spider, goes on to wait."""
    bounds: Mapping[str, str] = field(default_factory=dict)
    """The labels that the task must have, or it does not exist for the caller. They are checked
    here too: another task may have the name by the time of the commit."""

    @property
    def subjects(self) -> Sequence[str]:
        """The name of the resource to change."""
        return [self.spec.name]

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound, InvalidArgument, AlreadyExists, WouldRestart."""
        present = present_task(draft, self.spec.name, self.bounds)
        if present.spec.workers < self.spec.workers:
            heed(self.alone)
            check_names(draft, self.spec)
        if present.spec.parameters != self.spec.parameters:
            heed(self.faults)
        if _code_of(present.spec) != _code_of(self.spec):
            heed(self.objection(self.spec))
        if not _same(present.spec, self.spec):
            changed = present.replace(spec=self.spec, kills=0, blame=NO_BLAME)
            if present.owner is None:  # it need not wait for another try either
                changed = changed.replace(interruption=NOT_INTERRUPTED)
            needs_run = self._needs_run(present, list(shards_of(draft.get, present.name)))
            draft.put(self._again(present, changed) if needs_run else changed)
        elif present.kills:
            draft.put(present.replace(kills=0, blame=NO_BLAME))
        else:
            draft.keep(self.spec.name)
        for shard in shards_of(draft.get, self.spec.name):
            if shard.kills:
                draft.put(shard.replace(kills=0, blame=NO_BLAME))
        return [self.spec.name]

    def _again(self, present: Resource, changed: Resource) -> Resource:
        """Return the changed resource for another run."""
        waited = present.awaits_spider and present.state is State.PENDING
        same = present.spec.offered_as == self.spec.offered_as
        begun = anew(changed) if present.state.finished else afresh(changed)
        return begun.replace(awaits_spider=self.waits or (waited and same))

    def _needs_run(self, present: Resource, shards: Sequence[Resource]) -> bool:
        """Whether the change needs another run. Raises WouldRestart."""
        paths = live.changes(present.spec, self.spec)
        if present.state.finished:
            return bool(paths)
        heavy = [path for path, needs_run in paths.items() if needs_run]
        if not heavy:
            return False
        open = (each for each in (present, *shards) if not each.state.finished)
        where = next((f"{r.name!r} on {r.owner.node_id}" for r in open if r.owner), "")
        if where and self.restart is False:
            raise WouldRestart(
                f"this would restart the run of {where}:"
                f" {', '.join(heavy)} cannot change while it runs; allow it with"
                " restart (--restart), or change only settings that can (docs/settings.md)"
            )
        return True


@dataclass(frozen=True, slots=True)
class Again(OfTask):
    """Begin a task anew, whatever its state."""

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound."""
        draft.put(anew(self.present(draft)))
        return [self.name]


@dataclass(frozen=True, slots=True)
class Remove(OfTask):
    """Delete a resource."""

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound."""
        self.present(draft)
        draft.delete(self.name)
        return [self.name]


@dataclass(frozen=True, slots=True)
class Record:
    """Write a worker's reports about its runs into the resources."""

    node_id: str
    reports: Sequence[Report]
    acquitted_after_s: float = math.inf
    """How long a run of a task has to last until earlier deaths no longer count."""

    @property
    def subjects(self) -> Sequence[str]:
        """The names of the resources in the reports."""
        return [report.name for report in self.reports]

    def apply(self, draft: Draft) -> Sequence[str]:
        """Apply the reports that are current; the others change nothing.

        A report of a later assignment than the present one means that another program put an old
        value back. The task is then assigned anew. Its new epoch is above the reported one, and
        above the revision, because there may have been still later assignments.

        The result depends on all resources of the reports: the change that made a report outdated
        may fail to commit.
        """
        for report in self.reports:
            resource = draft.get(report.name)
            if is_later(report, resource):
                assert resource is not None  # is_later is false without a resource
                highest = max(report.epoch, resource.mod_revision)
                draft.put(afresh(resource).replace(epoch=highest))
            elif is_current(report, self.node_id, resource) and changes_state(report, resource):
                assert resource is not None  # is_current is false without a resource
                draft.put(self._reported(resource, report, draft.now_ns()))
        return self.subjects

    def _reported(self, resource: Resource, report: Report, now_ns: int) -> Resource:
        """Return the resource after a report."""
        if report.interrupted:
            return interrupted(resource, report, self.node_id, now_ns, self.acquitted_after_s)
        return _reported(resource, report, self.node_id)


def is_current(report: Report, node_id: str, resource: Resource | None) -> bool:
    """Whether the report is about the present assignment of the resource."""
    if resource is None or resource.owner is None or resource.owner.node_id != node_id:
        return False
    if (resource.id, resource.epoch) != (report.id, report.epoch):
        return False
    return not resource.state.finished or not changes_state(report, resource)


def is_later(report: Report, resource: Resource | None) -> bool:
    """Whether the report is about a later assignment than the present one."""
    if resource is None or resource.state.finished:
        return False
    return resource.id == report.id and resource.epoch < report.epoch <= MOST_EPOCH


def changes_state(report: Report, resource: Resource | None) -> bool:
    """Whether the report changes more than the counts of a running resource."""
    return resource is not None and resource.state is not report.state


def _reported(resource: Resource, report: Report, node_id: str) -> Resource:
    """Return the resource after a report of a run that was not interrupted. A failed one is pending
    again while it has retries left."""
    failed = report.state is State.FAILED and not report.awaits_spider
    if failed and len(resource.failed_on) < resource.spec.retries:
        tried = (*resource.failed_on, node_id)
        reason = f"failed on {node_id}, to be tried again: {report.reason}"
        again = resource.replace(
            failed_on=tried, counts=report.counts, shard_counts=report.shard_counts, reason=reason
        ).replace(interruption=NOT_INTERRUPTED)
        return again.replace(owner=None, state=State.PENDING, awaits_spider=False)
    kept = NOT_INTERRUPTED if report.state.finished else resource.interruption
    if report.counts == NO_COUNTS:  # it goes on with a crawl that has counted
        report = replace(report, counts=resource.counts, shard_counts=resource.shard_counts)
    return resource.replace(
        state=report.state,
        interruption=kept,
        reason=report.reason,
        awaits_spider=report.awaits_spider,
        counts=report.counts,
        shard_counts=report.shard_counts,
    )


def _same(one: Spec, other: Spec) -> bool:
    return _same_run(one, other) and _wishes(one) == _wishes(other)


def _wishes(spec: Spec) -> tuple[object, ...]:
    """Return the parts of a specification that do not affect a run."""
    return (
        *(spec.labels, spec.priority, spec.constraints),
        *(spec.retries, spec.workers, spec.isolated),
    )


def _same_run(one: Spec, other: Spec) -> bool:
    return _run_of(one) == _run_of(other)


def _run_of(spec: Spec) -> tuple[object, ...]:
    return *_code_of(spec), spec.parameters


def _code_of(spec: Spec) -> tuple[str, str]:
    return spec.offered_as, spec.bundle

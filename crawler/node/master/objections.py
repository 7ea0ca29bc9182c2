"""Why a request that concerns one task is refused, as the draft of a pass shows it."""

from __future__ import annotations

from collections.abc import Mapping

from crawler.errors import AlreadyExists, InvalidArgument, NotFound
from crawler.model.access import has_labels
from crawler.model.records import Resource, Spec
from crawler.model.shards import is_like_shard, shard_names
from crawler.node.master.draft import Draft


def heed(objection: str) -> None:
    """Raise InvalidArgument with an objection, if there is one."""
    if objection:
        raise InvalidArgument(objection)


def present_task(draft: Draft, name: str, bounds: Mapping[str, str]) -> Resource:
    """Return the resource of a task. `bounds` are the labels that it must have: other tasks do not
    exist for the caller. Raises NotFound, and InvalidArgument for a shard: what becomes of it
    follows from its task."""
    resource = draft.get(name)
    if resource is None or not has_labels(resource.spec.labels, bounds):
        raise NotFound("no such task")
    task = resource.spec.shard_of
    if task:
        raise InvalidArgument(f"name: {name!r} is a shard of the task {task!r}; name that task")
    return resource


def name_fault(name: str) -> str:
    """Return why no new task may have that name, or an empty text."""
    if not is_like_shard(name):
        return ""
    return (
        f"name: {name!r} is not allowed; names that end in ~ and a number are those of shards"
        " (workers); choose another"
    )


def check_names(draft: Draft, spec: Spec) -> None:
    """Check that the shards of a task can have their names. Raises AlreadyExists."""
    for name in shard_names(spec.name, spec.workers):
        present = draft.get(name)
        if present is not None and present.spec.shard_of != spec.name:
            raise AlreadyExists(
                f"workers: {spec.workers} needs the name {name!r}, which another task has; "
                "delete that task, or ask for fewer workers"
            )

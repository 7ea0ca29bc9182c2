"""What the commands about one task have in common: its name, and who may name it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crawler.model.records import Resource
from crawler.node.master.draft import Draft
from crawler.node.master.objections import present_task


@dataclass(frozen=True, slots=True)
class OfTask:
    """A command about one task that is there."""

    name: str
    bounds: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """The labels that the task must have, or it does not exist for the caller. They are checked
    at the commit: another task may have the name by then."""

    @property
    def subjects(self) -> Sequence[str]:
        """The name of the resource that it is about."""
        return [self.name]

    def present(self, draft: Draft) -> Resource:
        """Return the task. Raises NotFound, and InvalidArgument for a shard."""
        return present_task(draft, self.name, self.bounds)

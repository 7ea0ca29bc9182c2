"""How a schedule begins its task: the only place that knows which commands that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crawler.errors import AlreadyExists, Conflict
from crawler.model.records import Spec
from crawler.model.schedules import Mark, mark_of
from crawler.node.master.assignment import anew, next_run
from crawler.node.master.commands import Add, Update
from crawler.node.master.draft import Draft


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a task, unless that was done: add it, or begin it anew as it is specified here.

    Whoever asks again after a lost answer, or as the next leader, gets no second run: each
    beginning changes the mark of the task.
    """

    spec: Spec
    before: Mark | None
    """The task as it was when this was decided; None if there was none."""
    faults: str = ""
    """What `parameter_faults` found."""
    alone: str = ""
    """Why no task of this cluster can run on several workers, or an empty text."""
    stands: Callable[[], bool] = lambda: True
    """Returns whether the firing is still to be carried out: its schedule may change meanwhile."""

    @property
    def subjects(self) -> Sequence[str]:
        """The name of the task."""
        return [self.spec.name]

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises Conflict if the firing was dropped; AlreadyExists if the task has other labels,
        for then it may belong to others; InvalidArgument for bad parameters."""
        name = self.spec.name
        if not self.stands():
            raise Conflict(f"the schedule of task {name!r} was changed meanwhile")
        present = draft.get(name)
        if mark_of(present) != self.before:
            draft.keep(name)
            return self.subjects
        if present is None:
            Add(self.spec, faults=self.faults, alone=self.alone, waits=True).apply(draft)
            return self.subjects
        if present.spec.labels != self.spec.labels:
            raise AlreadyExists(
                f"task {name!r} exists with other labels than the schedule gives it; change the "
                "labels of one of them"
            )
        Update(self.spec, faults=self.faults, alone=self.alone, waits=True).apply(draft)
        updated = draft.get(name)
        assert updated is not None  # the update has kept it
        run = next_run(present) if present.has_ended else present.run
        # From the beginning, also after a run that failed; and it waits for its spider.
        draft.put(anew(updated).replace(resumes=0, awaits_spider=True, run=run))
        return self.subjects

"""The commands about the life of a task: it rests, goes on, ends early, or runs once more.

Each says the state that somebody wants, so that asking twice changes nothing more. The placement of
the same pass, and of each later one, sees to it (`assignment.needs_owner`), whoever leads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crawler.errors import WrongState
from crawler.model.records import NOT_INTERRUPTED, NOT_PAUSED, Node, Resource, State
from crawler.node.master.assignment import anew, assigned, next_run
from crawler.node.master.draft import Draft
from crawler.node.master.one_task import OfTask
from crawler.node.master.pauses import Counted, as_stored, paused, resumed
from crawler.node.master.shards import shards_of


@dataclass(frozen=True, slots=True)
class PauseTask(OfTask):
    """Let a task rest until somebody resumes it. Its runs end in order, and their states stay."""

    reason: str
    counted: Counted = as_stored

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound, WrongState. Nothing changes if it is paused."""
        present = self.present(draft)
        _check_open(present, "cannot be paused")
        if present.paused:
            draft.keep(self.name)
        else:
            draft.put(paused(present, self.reason, self.counted))
        return [self.name]


@dataclass(frozen=True, slots=True)
class ResumeTask(OfTask):
    """Let a paused task go on where it was."""

    home: Callable[[Resource], Node | None] = lambda resource: None
    """Returns the worker that had it, if that may have it now."""

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound, WrongState. Nothing changes if it is not paused."""
        present = self.present(draft)
        _check_open(present, "cannot be resumed")
        if not present.paused:
            draft.keep(self.name)
            return [self.name]
        home = self.home(present)
        going_on = resumed(present)
        draft.put(going_on if home is None else assigned(going_on, home, draft.now_ns()))
        return [self.name]


@dataclass(frozen=True, slots=True)
class StopTask(OfTask):
    """End a task for good. Its runs end in order, and what it has counted stays."""

    reason: str
    counted: Counted = as_stored

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound, WrongState. Nothing changes if it is stopped."""
        present = self.present(draft)
        if present.stopped and present.has_ended:
            draft.keep(self.name)
            return [self.name]
        _check_open(present, "cannot be stopped")
        open_shards = [each for each in shards_of(draft.get, self.name) if not each.has_ended]
        for resource in (present, *open_shards):
            draft.put(_stopped(self.counted(resource), self.reason))
        return [self.name]


@dataclass(frozen=True, slots=True)
class RunTask(OfTask):
    """Run a finished task once more, from the beginning."""

    def apply(self, draft: Draft) -> Sequence[str]:
        """Raises NotFound, and WrongState if its run has not ended."""
        present = self.present(draft)
        if not present.has_ended:
            way = "resume it, or stop it first" if present.paused else "stop it first, or wait"
            raise WrongState(
                f"task {self.name!r} is {present.told_state}, and its run {present.run} has not"
                f" ended; {way}"
            )
        draft.put(anew(present).replace(resumes=0, run=next_run(present)))
        return [self.name]


def _stopped(resource: Resource, reason: str) -> Resource:
    ended = resource.replace(state=State.FAILED, reason=reason, awaits_spider=False, running=0)
    return ended.replace(stopped=True, paused=NOT_PAUSED, interruption=NOT_INTERRUPTED)


def _check_open(present: Resource, what: str) -> None:
    """Check that a task has not ended. Raises WrongState."""
    if present.has_ended:
        raise WrongState(
            f"task {present.name!r} {what}: it {_end(present)}; to run it once more: "
            f"crawler run {present.name}"
        )


def _end(resource: Resource) -> str:
    """Return how a task has ended, in words."""
    return "has failed" if resource.told_state == "failed" else f"is {resource.told_state}"

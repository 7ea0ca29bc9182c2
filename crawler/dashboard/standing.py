"""What a task was asked for and what is so, while they differ. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crawler.api.backend import NodeLoad
from crawler.model.records import Resource, State
from crawler.plural import counted

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a task stands."""

    word: str
    """Its state, or `unknown`."""
    since_ns: int = 0
    """Since when it is unknown."""
    differs: Sequence[str] = ()
    """What is not yet as it was asked for."""

    @property
    def is_known(self) -> bool:
        """Whether somebody can tell how far the task is."""
        return self.word != UNKNOWN


def standing(
    task: Resource, nodes: Sequence[NodeLoad], *, runs_on: str = "", since_ns: int = 0
) -> Standing:
    """Return how a task stands. `runs_on` is the worker that tells that it still crawls it, though
    it should not; `since_ns` is when its worker was first missed."""
    if is_missing(task, nodes):
        assert task.owner is not None
        gone = (
            f"{task.owner.node_id} is gone; it was {task.state.value} there when it was last seen"
        )
        return Standing(UNKNOWN, since_ns, [gone])
    return Standing(task.told_state, 0, list(_differences(task, runs_on)))


def is_missing(task: Resource, nodes: Sequence[NodeLoad]) -> bool:
    """Whether the worker of a task that goes on is not there."""
    if task.owner is None or task.state not in (State.ASSIGNED, State.RUNNING):
        return False
    return not any(each.node.owns(task.owner) for each in nodes)


def _differences(task: Resource, runs_on: str) -> Iterator[str]:
    if runs_on and (task.paused or task.has_ended):
        yield f"{runs_on} still crawls it: its crawl ends in order"
    elif task.state is State.ASSIGNED and task.owner is not None:
        yield f"{task.owner.node_id} has it, and has not begun it yet"
    elif task.state is State.RUNNING and 0 < task.running < task.spec.workers:
        wanted = counted(task.spec.workers, "worker")
        yield f"it was asked for on {wanted}, and runs on {task.running} now"

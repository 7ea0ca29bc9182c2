"""The requests about the life of a task: pause, resume, stop, and run once more."""

from __future__ import annotations

from collections.abc import Mapping

from crawler.api.backend import Call
from crawler.logs import get_logger
from crawler.model.records import Node, Resource
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.life import PauseTask, ResumeTask, RunTask, StopTask
from crawler.node.master.pauses import Counted
from crawler.node.master.writer import TermWriter
from crawler.scheduler.explain import judge
from crawler.scheduler.task import Task

log = get_logger(__name__)

Stored = Mapping[str, Resource]
"""The resources as they were stored, by name."""


class LifeRequests:
    """Carries out such requests, for one term."""

    def __init__(self, ctx: LeaderContext, writer: TermWriter, counted: Counted) -> None:
        """`counted` returns a resource with the latest counts of its run."""
        self._ctx = ctx
        self._writer = writer
        self._counted = counted

    def pause(self, name: str, call: Call) -> Stored:
        """Let a task rest."""
        command = PauseTask(name, f"paused{_by(call)}", self._counted, bounds=call.bounds)
        return self._writer.submit(command, call)

    def resume(self, name: str, call: Call) -> Stored:
        """Let a paused task go on."""
        return self._writer.submit(ResumeTask(name, self._home, bounds=call.bounds), call)

    def stop(self, name: str, call: Call) -> Stored:
        """End a task for good."""
        command = StopTask(name, f"stopped{_by(call)}", self._counted, bounds=call.bounds)
        return self._writer.submit(command, call)

    def run(self, name: str, call: Call) -> Stored:
        """Run a finished task once more."""
        return self._writer.submit(RunTask(name, bounds=call.bounds), call)

    def _home(self, resource: Resource) -> Node | None:
        """Return the worker that had a paused task, if it may have it now. If states are files,
        that of the task lies there. Shards share theirs, so any worker is as good."""
        state = self._ctx.mirrors.cluster_state
        found = state.candidates.get(resource.paused.node)
        if found is None or resource.spec.workers > 1 or resource.kills:
            return None
        group = state.group_of(resource)
        if not self._writer.placer.backlog.room(group, state.workers.groups):
            return None
        try:
            verdicts = judge(self._ctx.framework, state, Task.of(resource), True).workers
        except Exception as error:  # of a plugin; the pass that places the task meets it, too
            log.warning("cannot judge a task's worker", task=resource.name, why=repr(error))
            return None
        suits = any(each.node_id == found.id and not each.refusals for each in verdicts)
        return found.node if suits else None


def _by(call: Call) -> str:
    return f" by {call.caller.name}" if call.caller is not None and call.caller.name else ""

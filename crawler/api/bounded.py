"""Bounds a caller to the tasks that have the labels of its token.

To such a caller other tasks do not exist, but for their names: a name is taken or free for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from crawler.api.backend import UNTOLD, Backend, Call, NodeLoad, Page, Submission
from crawler.errors import AlreadyExists, Forbidden, NotFound, shown
from crawler.model.access import Caller, NewToken, Token, TokenWish
from crawler.model.alerts import OF_CLUSTER, Alert, AlertRule
from crawler.model.audit import AuditRecord
from crawler.model.history import MOST_LIMIT, Event, Run, RunQuery
from crawler.model.policy import DryRun, Explanation, PolicyChange, SchedulerView
from crawler.model.projects import ProjectView, Version
from crawler.model.projects import absent as no_project
from crawler.model.records import Query, Report, Resource, Spec, WorkerLoad
from crawler.model.run_statistics import RunStatistics
from crawler.model.schedules import ScheduleView, ScheduleWish, absent
from crawler.model.secrets import Secret, SecretWish


class BoundedBackend:
    """A backend as a bounded caller sees it. What concerns no task goes through: the role of the
    caller decides there."""

    def __init__(self, backend: Backend, caller: Caller) -> None:
        self._backend = backend
        self._caller = caller

    def submit(self, spec: Spec, call: Call, wait_for_spider: bool = False) -> Submission:
        """Add a task, if it is within the bounds."""
        self._check(spec)
        try:
            return self._backend.submit(spec, call, wait_for_spider)
        except AlreadyExists:
            if self._is_of_others(spec.name, call):
                # What the backend says of such a task, to change or delete it, is not for this one.
                raise AlreadyExists(
                    f"the name {shown(spec.name)} is taken; choose another"
                ) from None
            raise

    def update(
        self,
        spec: Spec,
        call: Call,
        restart: bool | None = None,
        wait_for_spider: bool = False,
    ) -> Resource:
        """Change a task, if it is within the bounds and stays there."""
        self._own(spec.name, call)
        self._check(spec)
        return self._backend.update(spec, call, restart, wait_for_spider)

    def again(self, name: str, call: Call) -> Resource:
        """Begin a task anew."""
        self._own(name, call)
        return self._backend.again(name, call)

    def pause(self, name: str, call: Call) -> Resource:
        """Let a task rest."""
        self._own(name, call)
        return self._backend.pause(name, call)

    def resume(self, name: str, call: Call) -> Resource:
        """Let a paused task go on."""
        self._own(name, call)
        return self._backend.resume(name, call)

    def stop(self, name: str, call: Call) -> Resource:
        """End a task for good."""
        self._own(name, call)
        return self._backend.stop(name, call)

    def run(self, name: str, call: Call) -> Resource:
        """Run a finished task once more."""
        self._own(name, call)
        return self._backend.run(name, call)

    def delete(self, name: str, call: Call) -> None:
        """Delete a task."""
        self._own(name, call)
        self._backend.delete(name, call)

    def get(self, name: str, call: Call) -> Resource:
        """Return one task."""
        return self._own(name, call)

    def list(self, query: Query, call: Call) -> Page:
        """Return a page of the tasks within the bounds."""
        bounds = {**query.labels, **self._caller.labels}
        if bounds != {**self._caller.labels, **query.labels}:
            return Page([], "", 0)  # it asks for what is beyond them
        return self._backend.list(replace(query, labels=bounds), call)

    def explain(self, name: str, call: Call) -> Explanation:
        """Explain a task."""
        self._own(name, call)
        return self._backend.explain(name, call)

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """Return the live nodes."""
        return self._backend.nodes(call)

    def scheduler(self, call: Call) -> SchedulerView:
        """Return the policy and the plugins."""
        return self._backend.scheduler(call)

    def update_scheduler(self, change: PolicyChange, call: Call) -> SchedulerView:
        """Refuse: it concerns the tasks of all."""
        self._refuse()

    def dry_run(self, change: PolicyChange, call: Call) -> DryRun:
        """Refuse, as `update_scheduler` does: the answer names the tasks of all."""
        self._refuse()

    def reset_scheduler(self, call: Call) -> SchedulerView:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def drain(self, node: str, call: Call) -> NodeLoad:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def uncordon(self, node: str, call: Call) -> NodeLoad:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def create_token(self, wish: TokenWish, call: Call) -> NewToken:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def tokens(self, call: Call) -> Sequence[Token]:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def revoke_token(self, id: str, call: Call) -> Token:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def set_secret(self, wish: SecretWish, call: Call) -> Secret:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def secrets(self, call: Call) -> Sequence[Secret]:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def delete_secret(self, name: str, call: Call) -> Secret:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def add_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Add a schedule. Raises AlreadyExists if another one has that name."""
        self._check(wish.task)
        self._check_task(wish.task.name, call)
        return self._backend.add_schedule(wish, call)

    def update_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Change a schedule. Raises NotFound."""
        self._own_schedule(wish.name, call)
        self._check(wish.task)
        self._check_task(wish.task.name, call)
        return self._backend.update_schedule(wish, call)

    def schedule(self, name: str, call: Call) -> ScheduleView:
        """Return one schedule. Raises NotFound."""
        return self._own_schedule(name, call)

    def schedules(self, call: Call) -> Sequence[ScheduleView]:
        """Return all schedules, by name."""
        found = self._backend.schedules(call)
        return [each for each in found if self._caller.owns(each.schedule.wish.task.labels)]

    def delete_schedule(self, name: str, call: Call) -> ScheduleView:
        """Remove a schedule, and return it. Its task stays. Raises NotFound."""
        self._own_schedule(name, call)
        return self._backend.delete_schedule(name, call)

    def pause_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire no more. Raises NotFound."""
        self._own_schedule(name, call)
        return self._backend.pause_schedule(name, call)

    def resume_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire again, from now on. Raises NotFound."""
        self._own_schedule(name, call)
        return self._backend.resume_schedule(name, call)

    def run_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire now. Raises NotFound; WouldRestart if its task still runs and its
        runs may not overlap."""
        self._own_schedule(name, call)
        return self._backend.run_schedule(name, call)

    def deploy(self, project: str, version: Version, roll: bool, call: Call) -> ProjectView:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def projects(self, call: Call) -> Sequence[ProjectView]:
        """Return the projects within the bounds."""
        found = self._backend.projects(call)
        return [each for each in found if self._caller.owns(each.project.labels)]

    def project(self, name: str, call: Call) -> ProjectView:
        """Return one project."""
        found = self._backend.project(name, call)
        if not self._caller.owns(found.project.labels):
            raise NotFound(no_project(name))
        return found

    def rollback(self, name: str, digest: str, roll: bool, call: Call) -> ProjectView:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def delete_project(self, name: str, call: Call) -> ProjectView:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def audit(self, limit: int, call: Call) -> Sequence[AuditRecord]:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def history(self, name: str, limit: int, call: Call) -> Sequence[Event]:
        """Return what happened to a task, while it was within the bounds."""
        found = self._backend.history(name, MOST_LIMIT, call)  # others may have used the name since
        own = [each for each in found if self._caller.owns(each.labels)][-limit:]
        if not own:
            raise NotFound("the history has no such task")
        return own

    def runs(self, query: RunQuery, call: Call) -> Sequence[Run]:
        """Return the latest runs of tasks within the bounds."""
        return self._backend.runs(replace(query, labels=self._caller.labels), call)

    def alerts(self, call: Call) -> Sequence[Alert]:
        """Return the alerts about tasks within the bounds."""
        return [each for each in self._backend.alerts(call) if self._caller.owns(each.labels)]

    def alert_rules(self, call: Call) -> Sequence[AlertRule]:
        """Return the rules that concern tasks within the bounds alone."""
        return [each for each in self._backend.alert_rules(call) if self._has_rule(each)]

    def set_alert_rule(self, rule: AlertRule, call: Call) -> AlertRule:
        """Set a rule for tasks within the bounds."""
        if not self._has_rule(rule):
            raise Forbidden(
                f"labels: {self._caller.name} may only have rules for tasks with {self._bounds}; "
                "give the rule these labels, and let it watch tasks"
            )
        found = self._backend.alert_rules(call)
        if any(each.name == rule.name and not self._has_rule(each) for each in found):
            raise Forbidden(f"name: {shown(rule.name)} is a rule of others; choose another name")
        return self._backend.set_alert_rule(rule, call)

    def delete_alert_rule(self, name: str, call: Call) -> AlertRule:
        """Remove a rule for tasks within the bounds."""
        if not any(each.name == name for each in self.alert_rules(call)):
            raise NotFound(f"no rule {shown(name)}")
        return self._backend.delete_alert_rule(name, call)

    def test_alert(self, channel: str, call: Call) -> None:
        """Refuse, as `update_scheduler` does."""
        self._refuse()

    def report(
        self,
        node_id: str,
        reports: Sequence[Report],
        call: Call,
        load: WorkerLoad = UNTOLD,
        over: Sequence[RunStatistics] = (),
    ) -> Sequence[str]:
        """Refuse: no node is bounded."""
        self._refuse()

    def _has_rule(self, rule: AlertRule) -> bool:
        return rule.when not in OF_CLUSTER and self._caller.owns(rule.labels)

    def _own(self, name: str, call: Call) -> Resource:
        found = self._backend.get(name, call)
        if not self._caller.owns(found.spec.labels):
            raise NotFound("no such task")
        return found

    def _own_schedule(self, name: str, call: Call) -> ScheduleView:
        found = self._backend.schedule(name, call)
        if not self._caller.owns(found.schedule.wish.task.labels):
            raise NotFound(absent(name))
        return found

    def _check_task(self, name: str, call: Call) -> None:
        """Check that a schedule would not begin a task of others. Raises Forbidden."""
        if self._is_of_others(name, call):
            raise Forbidden(
                f"task.name: {shown(name)} is a task of others; choose another name for the task"
            )

    def _is_of_others(self, name: str, call: Call) -> bool:
        try:
            return not self._caller.owns(self._backend.get(name, call).spec.labels)
        except NotFound:
            return False

    def _check(self, spec: Spec) -> None:
        if not self._caller.owns(spec.labels):
            raise Forbidden(
                f"labels: {self._caller.name} may only have tasks with {self._bounds}; give the "
                "task these labels"
            )

    def _refuse(self) -> NoReturn:
        raise Forbidden(
            f"{self._caller.name} is bounded to tasks with {self._bounds}; this concerns others "
            "too. Use a token without labels"
        )

    @property
    def _bounds(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in sorted(self._caller.labels.items()))

"""Records what callers change: who did it, from where, and what came of it.

Reads pass. So do the reports of workers, which are no changes of people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from types import TracebackType

from crawler.api.backend import UNTOLD, Backend, Call, NodeLoad, Page, Submission
from crawler.api.trail import Trail
from crawler.errors import CrawlerError
from crawler.model import audit
from crawler.model.access import Caller, NewToken, Token, TokenWish
from crawler.model.alerts import Alert, AlertRule
from crawler.model.audit import AuditRecord
from crawler.model.history import Event, Run, RunQuery
from crawler.model.policy import DryRun, Explanation, PolicyChange, SchedulerView
from crawler.model.projects import ProjectView, Version
from crawler.model.records import Query, Report, Resource, Spec, WorkerLoad
from crawler.model.run_statistics import RunStatistics
from crawler.model.schedules import ScheduleView, ScheduleWish
from crawler.model.secrets import Secret, SecretWish

_FIELDS = [field.name for field in dataclasses.fields(Spec)]
_CHANGES = [field.name for field in dataclasses.fields(PolicyChange)]
_NO_CHANGE = PolicyChange()


class AuditedBackend:
    """A backend whose changes are recorded, for one call."""

    __slots__ = ("_caller", "_find", "_trail")

    def __init__(self, find: Callable[[], Backend], trail: Trail, caller: Caller) -> None:
        """`find` returns the backend, or raises Unavailable: that is recorded too."""
        self._find = find
        self._trail = trail
        self._caller = caller

    def submit(self, spec: Spec, call: Call, wait_for_spider: bool = False) -> Submission:
        """Add a task. It is recorded only where the settings ask for that: there are many."""
        if not self._trail.has_adds:
            return self._find().submit(spec, call, wait_for_spider)
        with self._noted(audit.TASK_ADD, spec.name) as noted:
            done = self._find().submit(spec, call, wait_for_spider)
            noted.id = done.resource.id
            noted.detail = "" if done.new else "it existed"
            return done

    def update(
        self,
        spec: Spec,
        call: Call,
        restart: bool | None = None,
        wait_for_spider: bool = False,
    ) -> Resource:
        """Change a task. The record has the names of the fields that differ."""
        with self._noted(audit.TASK_UPDATE, spec.name) as noted:
            backend = self._find()
            noted.detail, call = self._changed(backend, spec, call)
            found = backend.update(spec, call, restart, wait_for_spider)
            noted.id = found.id
            return found

    def again(self, name: str, call: Call) -> Resource:
        """Begin a task anew."""
        return self._changing(audit.TASK_AGAIN, name, lambda backend: backend.again(name, call))

    def pause(self, name: str, call: Call) -> Resource:
        """Let a task rest."""
        return self._changing(audit.TASK_PAUSE, name, lambda backend: backend.pause(name, call))

    def resume(self, name: str, call: Call) -> Resource:
        """Let a paused task go on."""
        return self._changing(audit.TASK_RESUME, name, lambda backend: backend.resume(name, call))

    def stop(self, name: str, call: Call) -> Resource:
        """End a task for good."""
        return self._changing(audit.TASK_STOP, name, lambda backend: backend.stop(name, call))

    def run(self, name: str, call: Call) -> Resource:
        """Run a finished task once more."""
        return self._changing(audit.TASK_RUN, name, lambda backend: backend.run(name, call))

    def delete(self, name: str, call: Call) -> None:
        """Delete a task."""
        with self._noted(audit.TASK_DELETE, name):
            self._find().delete(name, call)

    def get(self, name: str, call: Call) -> Resource:
        """Return one task."""
        return self._find().get(name, call)

    def list(self, query: Query, call: Call) -> Page:
        """Return a page of the tasks."""
        return self._find().list(query, call)

    def explain(self, name: str, call: Call) -> Explanation:
        """Explain a task."""
        return self._find().explain(name, call)

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """Return the live nodes."""
        return self._find().nodes(call)

    def scheduler(self, call: Call) -> SchedulerView:
        """Return the policy and the plugins."""
        return self._find().scheduler(call)

    def update_scheduler(self, change: PolicyChange, call: Call) -> SchedulerView:
        """Change the policy. The record has the names of the fields that were given."""
        with self._noted(audit.SCHEDULER_UPDATE) as noted:
            noted.detail = _differing(change, _NO_CHANGE, _CHANGES)
            return self._find().update_scheduler(change, call)

    def dry_run(self, change: PolicyChange, call: Call) -> DryRun:
        """Return what a change of the policy would do."""
        return self._find().dry_run(change, call)

    def reset_scheduler(self, call: Call) -> SchedulerView:
        """Return to the policy of the settings."""
        with self._noted(audit.SCHEDULER_RESET):
            return self._find().reset_scheduler(call)

    def drain(self, node: str, call: Call) -> NodeLoad:
        """Cordon a worker."""
        with self._noted(audit.NODE_DRAIN, node) as noted:
            found = self._find().drain(node, call)
            noted.id = found.node.id
            return found

    def uncordon(self, node: str, call: Call) -> NodeLoad:
        """Let a worker take tasks again."""
        with self._noted(audit.NODE_UNCORDON, node) as noted:
            found = self._find().uncordon(node, call)
            noted.id = found.node.id
            return found

    def create_token(self, wish: TokenWish, call: Call) -> NewToken:
        """Make a token. The record has its name, its id and its role."""
        with self._noted(audit.TOKEN_CREATE, wish.name) as noted:
            noted.detail = wish.role.value
            made = self._find().create_token(wish, call)
            noted.id = made.token.id
            return made

    def tokens(self, call: Call) -> Sequence[Token]:
        """Return all tokens."""
        return self._find().tokens(call)

    def revoke_token(self, id: str, call: Call) -> Token:
        """End a token."""
        with self._noted(audit.TOKEN_REVOKE, id) as noted:
            found = self._find().revoke_token(id, call)
            noted.id, noted.detail = found.id, found.name
            return found

    def set_secret(self, wish: SecretWish, call: Call) -> Secret:
        """Set a secret. The record has its name."""
        with self._noted(audit.SECRET_SET, wish.name):
            return self._find().set_secret(wish, call)

    def secrets(self, call: Call) -> Sequence[Secret]:
        """Return all secrets, without their values."""
        return self._find().secrets(call)

    def delete_secret(self, name: str, call: Call) -> Secret:
        """Delete a secret."""
        with self._noted(audit.SECRET_DELETE, name):
            return self._find().delete_secret(name, call)

    def add_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Add a schedule. Raises AlreadyExists if another one has that name."""
        with self._noted(audit.SCHEDULE_ADD, wish.name):
            return self._find().add_schedule(wish, call)

    def update_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Change a schedule. Raises NotFound."""
        with self._noted(audit.SCHEDULE_UPDATE, wish.name):
            return self._find().update_schedule(wish, call)

    def schedule(self, name: str, call: Call) -> ScheduleView:
        """Return one schedule. Raises NotFound."""
        return self._find().schedule(name, call)

    def schedules(self, call: Call) -> Sequence[ScheduleView]:
        """Return all schedules, by name."""
        return self._find().schedules(call)

    def delete_schedule(self, name: str, call: Call) -> ScheduleView:
        """Remove a schedule, and return it. Its task stays. Raises NotFound."""
        with self._noted(audit.SCHEDULE_DELETE, name):
            return self._find().delete_schedule(name, call)

    def pause_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire no more. Raises NotFound."""
        with self._noted(audit.SCHEDULE_PAUSE, name):
            return self._find().pause_schedule(name, call)

    def resume_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire again, from now on. Raises NotFound."""
        with self._noted(audit.SCHEDULE_RESUME, name):
            return self._find().resume_schedule(name, call)

    def run_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire now. Raises NotFound; WouldRestart if its task still runs and its
        runs may not overlap."""
        with self._noted(audit.SCHEDULE_RUN, name):
            return self._find().run_schedule(name, call)

    def deploy(self, project: str, version: Version, roll: bool, call: Call) -> ProjectView:
        """Deploy a bundle. The record has its digest."""
        with self._noted(audit.PROJECT_DEPLOY, project) as noted:
            noted.id, noted.detail = version.digest, "roll" if roll else ""
            return self._find().deploy(project, version, roll, call)

    def projects(self, call: Call) -> Sequence[ProjectView]:
        """Return all projects, by name."""
        return self._find().projects(call)

    def project(self, name: str, call: Call) -> ProjectView:
        """Return one project. Raises NotFound."""
        return self._find().project(name, call)

    def rollback(self, name: str, digest: str, roll: bool, call: Call) -> ProjectView:
        """Roll a project back. The record has the digest that counts now."""
        with self._noted(audit.PROJECT_ROLLBACK, name) as noted:
            found = self._find().rollback(name, digest, roll, call)
            noted.id, noted.detail = found.project.current, "roll" if roll else ""
            return found

    def delete_project(self, name: str, call: Call) -> ProjectView:
        """Remove a project."""
        with self._noted(audit.PROJECT_DELETE, name):
            return self._find().delete_project(name, call)

    def audit(self, limit: int, call: Call) -> Sequence[AuditRecord]:
        """Return the last records."""
        return self._find().audit(limit, call)

    def history(self, name: str, limit: int, call: Call) -> Sequence[Event]:
        """Return what happened to a task."""
        return self._find().history(name, limit, call)

    def runs(self, query: RunQuery, call: Call) -> Sequence[Run]:
        """Return the latest runs."""
        return self._find().runs(query, call)

    def alerts(self, call: Call) -> Sequence[Alert]:
        """Return the alerts."""
        return self._find().alerts(call)

    def alert_rules(self, call: Call) -> Sequence[AlertRule]:
        """Return the rules of alerts."""
        return self._find().alert_rules(call)

    def set_alert_rule(self, rule: AlertRule, call: Call) -> AlertRule:
        """Set a rule of alerts."""
        with self._noted(audit.ALERT_RULE_SET, rule.name):
            return self._find().set_alert_rule(rule, call)

    def delete_alert_rule(self, name: str, call: Call) -> AlertRule:
        """Remove a rule of alerts."""
        with self._noted(audit.ALERT_RULE_DELETE, name):
            return self._find().delete_alert_rule(name, call)

    def test_alert(self, channel: str, call: Call) -> None:
        """Send a test to a channel."""
        with self._noted(audit.ALERT_TEST, channel):
            self._find().test_alert(channel, call)

    def report(
        self,
        node_id: str,
        reports: Sequence[Report],
        call: Call,
        load: WorkerLoad = UNTOLD,
        over: Sequence[RunStatistics] = (),
    ) -> Sequence[str]:
        """Accept a worker's reports."""
        return self._find().report(node_id, reports, call, load, over)

    def _changing(self, action: str, name: str, change: Callable[[Backend], Resource]) -> Resource:
        """Change a task, and record that with the task's id."""
        with self._noted(action, name) as noted:
            found = change(self._find())
            noted.id = found.id
            return found

    def _changed(self, backend: Backend, spec: Spec, call: Call) -> tuple[str, Call]:
        """Return the names of the fields that an update changes, and the call with the time that is
        left: a follower asks the leader for them."""
        until_s = self._trail.clock.monotonic() + call.timeout_s
        try:
            found = _differing(spec, backend.get(spec.name, call).spec, _FIELDS)
        except CrawlerError:  # the update meets the same, and says so
            found = ""
        left_s = max(0.0, until_s - self._trail.clock.monotonic())
        return found, dataclasses.replace(call, timeout_s=left_s)

    def _noted(self, action: str, object: str = "") -> _Noted:
        return _Noted(self._trail, self._caller, action, object)


class _Noted:
    """A context that records what came of it."""

    __slots__ = ("_action", "_caller", "_object", "_trail", "detail", "id")

    def __init__(self, trail: Trail, caller: Caller, action: str, object: str) -> None:
        self._trail = trail
        self._caller = caller
        self._action = action
        self._object = object
        self.id = self.detail = ""

    def __enter__(self) -> _Noted:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._trail.note(
            self._caller,
            self._action,
            self._object,
            error,
            id=self.id,
            detail=self.detail,
        )


def _differing(one: object, other: object, names: Sequence[str]) -> str:
    """Return the names of the fields that differ."""
    return ", ".join(name for name in names if getattr(one, name) != getattr(other, name))

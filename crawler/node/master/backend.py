"""The backend of the leader: it carries out the requests that reach this master while it leads.

It answers reads from the mirrors. It passes changes to the writer of the term, and answers them
after the commit. The counts of running tasks exist only in memory (docs/decisions/0004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from crawler.api.backend import UNTOLD, Call, NodeLoad, Page, Submission
from crawler.coordination.keys import MASTER, WORKER
from crawler.errors import NotFound, StoreRefused, shown
from crawler.model.access import NewToken, Token, TokenWish
from crawler.model.alerts import Alert, AlertRule
from crawler.model.audit import AuditRecord
from crawler.model.history import Event, Run, RunQuery
from crawler.model.policy import DryRun, Explanation, PolicyChange, SchedulerView
from crawler.model.projects import ProjectView, Version
from crawler.model.records import (
    Node,
    Query,
    Report,
    Resource,
    Spec,
    WorkerLoad,
)
from crawler.model.run_statistics import RunStatistics
from crawler.model.schedules import ScheduleView, ScheduleWish
from crawler.model.secrets import Secret, SecretWish
from crawler.node.master import deployed
from crawler.node.master.alert_requests import AlertRequests
from crawler.node.master.commands import (
    Add,
    Again,
    Record,
    Remove,
    Update,
    changes_state,
    is_current,
    is_later,
    no_objection,
    parameter_faults,
)
from crawler.node.master.explain import explained
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.life_requests import LifeRequests
from crawler.node.master.listing import page_of
from crawler.node.master.live_counts import LiveCounts
from crawler.node.master.policy_requests import PolicyRequests
from crawler.node.master.project_requests import ProjectRequests
from crawler.node.master.schedule_requests import ScheduleRequests
from crawler.node.master.secret_requests import SecretRequests
from crawler.node.master.token_requests import TokenRequests
from crawler.node.master.writer import TermWriter
from crawler.scheduler.candidate import Candidate

ALONE = (
    "workers: more than 1 is not allowed here, because nothing is shared between workers; set "
    "frontier.url to a Redis, for all masters and workers"
)
"""Why no task can run on several workers, if states of tasks are files of each machine."""

MOST_NAMED = 20
"""How many spiders an error message names."""


class LeaderBackend:
    """Carries out requests as the leader. `api.service.Backend` describes what each method
    promises."""

    def __init__(self, ctx: LeaderContext, writer: TermWriter) -> None:
        self._ctx = ctx
        self._mirrors = ctx.mirrors
        self._writer = writer
        self._policy = PolicyRequests(ctx, writer)
        self._tokens = TokenRequests(ctx.leadership, ctx.tokens, ctx.clock)
        self._secrets = SecretRequests(ctx.leadership, ctx.secrets, ctx.clock)
        self._alerts = AlertRequests(ctx)
        self._alone = "" if ctx.shares_states else ALONE
        self._schedules = ScheduleRequests(ctx, self._alone)
        self.live = LiveCounts(ctx.mirrors.resource)
        """The counts of the runs that go on."""
        self._life = LifeRequests(ctx, writer, self.live.of_run)
        self._projects = ProjectRequests(ctx, writer, ctx.keep_versions, self.live.of_run)

    def submit(self, spec: Spec, call: Call, wait_for_spider: bool = False) -> Submission:
        """Store a new resource and place it."""
        objection = no_objection if wait_for_spider else self._lacks_spider
        faults, call = self._checked(spec, call)
        waits = wait_for_spider or bool(spec.project)
        command = Add(spec, objection, faults, self._alone, waits=waits)
        stored = self._stored(spec.name, self._writer.submit(command, call))
        return Submission(stored, command.new)

    def update(
        self,
        spec: Spec,
        call: Call,
        restart: bool | None = None,
        wait_for_spider: bool = False,
    ) -> Resource:
        """Change the specification of a resource."""
        objection = no_objection if wait_for_spider else self._lacks_spider
        faults, call = self._checked(spec, call)
        waits, bounds = wait_for_spider or bool(spec.project), call.bounds
        command = Update(spec, restart, objection, faults, self._alone, waits, bounds)
        return self._stored(spec.name, self._writer.submit(command, call))

    def again(self, name: str, call: Call) -> Resource:
        """Begin a resource anew. Return it with the counts that are dropped."""
        dropped = self.get(name, call).counts
        stored = self._writer.submit(Again(name, bounds=call.bounds), call)
        return self._stored(name, stored).replace(counts=dropped)

    def pause(self, name: str, call: Call) -> Resource:
        """Let a task rest until somebody resumes it."""
        return self._stored(name, self._life.pause(name, call))

    def resume(self, name: str, call: Call) -> Resource:
        """Let a paused task go on."""
        return self._stored(name, self._life.resume(name, call))

    def stop(self, name: str, call: Call) -> Resource:
        """End a task for good."""
        return self._stored(name, self._life.stop(name, call))

    def run(self, name: str, call: Call) -> Resource:
        """Run a finished task once more."""
        return self._stored(name, self._life.run(name, call))

    def delete(self, name: str, call: Call) -> None:
        """Delete a resource."""
        self._writer.submit(Remove(name, bounds=call.bounds), call)

    def get(self, name: str, call: Call) -> Resource:
        """Return one resource with its latest counts. Raises NotFound."""
        resource = self._mirrors.resource(name)
        if resource is None:
            raise NotFound("no such task")
        return self.live.of_task(resource)

    def list(self, query: Query, call: Call) -> Page:
        """Return a page of the resources, in the order of the query."""
        live = self.live
        counts_of = live.counts_of_run if query.shards else live.counts_of_task
        with suppress(NotFound):  # of a worker that is gone only the id is known
            query = replace(query, node=query.node and self._policy.worker_id(query.node))
        page = page_of(self._mirrors, query, counts_of)
        counted = self.live.of_run if query.shards else self.live.of_task
        return replace(page, resources=[counted(each) for each in page.resources])

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """Return the live nodes, masters first."""
        workers = sorted(self._mirrors.cluster_state.candidates.values(), key=lambda each: each.id)
        masters = sorted(self._mirrors.live_masters().values(), key=lambda node: node.id)
        return [NodeLoad(node, MASTER) for node in masters] + [
            self._load_of(each) for each in workers
        ]

    def scheduler(self, call: Call) -> SchedulerView:
        """Return the policy in force and the loaded plugins."""
        return self._policy.view()

    def update_scheduler(self, change: PolicyChange, call: Call) -> SchedulerView:
        """Change the policy. It applies from the next pass on."""
        return self._policy.change(change)

    def dry_run(self, change: PolicyChange, call: Call) -> DryRun:
        """Return what the scheduler would do after a change of the policy."""
        return self._policy.dry_run(change, call)

    def reset_scheduler(self, call: Call) -> SchedulerView:
        """Return to the policy of the settings."""
        return self._policy.reset()

    def explain(self, name: str, call: Call) -> Explanation:
        """Explain why a task is on its worker, or why it waits."""
        return explained(self._ctx, self._writer.placer, self.get(name, call))

    def drain(self, node: str, call: Call) -> NodeLoad:
        """Cordon a worker, so that its tasks move away and no new ones arrive."""
        return self._load_at(self._policy.cordon(node), cordoned=True)

    def uncordon(self, node: str, call: Call) -> NodeLoad:
        """Let a worker take tasks again."""
        return self._load_at(self._policy.uncordon(node), cordoned=False)

    def create_token(self, wish: TokenWish, call: Call) -> NewToken:
        """Make a token."""
        return self._tokens.create(wish)

    def tokens(self, call: Call) -> Sequence[Token]:
        """Return all tokens, the oldest first."""
        return self._tokens.all()

    def revoke_token(self, id: str, call: Call) -> Token:
        """End a token, and return it. Raises NotFound."""
        return self._tokens.revoke(id)

    def set_secret(self, wish: SecretWish, call: Call) -> Secret:
        """Store a secret of tasks, or another value of it."""
        return self._secrets.put(wish, call)

    def secrets(self, call: Call) -> Sequence[Secret]:
        """Return all secrets without their values, by name."""
        return self._secrets.all()

    def delete_secret(self, name: str, call: Call) -> Secret:
        """Remove a secret, and return it. Raises NotFound."""
        return self._secrets.remove(name)

    def add_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Add a schedule. Raises AlreadyExists if another one has that name."""
        return self._schedules.add(wish)

    def update_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Change a schedule. Raises NotFound."""
        return self._schedules.update(wish, call.bounds)

    def schedule(self, name: str, call: Call) -> ScheduleView:
        """Return one schedule. Raises NotFound."""
        return self._schedules.get(name, call.bounds)

    def schedules(self, call: Call) -> Sequence[ScheduleView]:
        """Return all schedules, by name."""
        return self._schedules.all(call.bounds)

    def delete_schedule(self, name: str, call: Call) -> ScheduleView:
        """Remove a schedule, and return it. Its task stays. Raises NotFound."""
        return self._schedules.remove(name, call.bounds)

    def pause_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire no more. Raises NotFound."""
        return self._schedules.pause(name, call.bounds)

    def resume_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire again, from now on. Raises NotFound."""
        return self._schedules.resume(name, call.bounds)

    def run_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire now. Raises NotFound; WouldRestart if its task still runs and its
        runs may not overlap."""
        return self._schedules.run(name, call.bounds)

    def deploy(self, project: str, version: Version, roll: bool, call: Call) -> ProjectView:
        """Make a bundle that is kept the current one of a project."""
        return self._projects.deploy(project, version, roll, call)

    def projects(self, call: Call) -> Sequence[ProjectView]:
        """Return all projects, by name."""
        return self._projects.all()

    def project(self, name: str, call: Call) -> ProjectView:
        """Return one project. Raises NotFound."""
        return self._projects.get(name)

    def rollback(self, name: str, digest: str, roll: bool, call: Call) -> ProjectView:
        """Make another version of a project the current one. Raises NotFound."""
        return self._projects.rollback(name, digest, roll, call)

    def delete_project(self, name: str, call: Call) -> ProjectView:
        """Remove a project, and return it. Raises NotFound, WrongState."""
        return self._projects.remove(name)

    def audit(self, limit: int, call: Call) -> Sequence[AuditRecord]:
        """Return the last records of the audit that this master has, the oldest first."""
        return self._ctx.trail.last(limit)

    def history(self, name: str, limit: int, call: Call) -> Sequence[Event]:
        """Return the last events of a task, the oldest first."""
        return self._ctx.history.of_task(name, limit, call.timeout_s)

    def runs(self, query: RunQuery, call: Call) -> Sequence[Run]:
        """Return the latest runs that match, the latest first."""
        return self._ctx.history.runs(query, call.timeout_s)

    def alerts(self, call: Call) -> Sequence[Alert]:
        """Return what the rules of alerts found."""
        return self._alerts.alerts()

    def alert_rules(self, call: Call) -> Sequence[AlertRule]:
        """Return all rules of alerts, by name."""
        return self._alerts.rules()

    def set_alert_rule(self, rule: AlertRule, call: Call) -> AlertRule:
        """Set a rule of alerts."""
        return self._alerts.put(rule, call.caller.name if call.caller else "")

    def delete_alert_rule(self, name: str, call: Call) -> AlertRule:
        """Remove a rule of alerts, and return it."""
        return self._alerts.remove(name)

    def test_alert(self, channel: str, call: Call) -> None:
        """Send a test to a channel."""
        self._alerts.test(channel)

    def report(
        self,
        node_id: str,
        reports: Sequence[Report],
        call: Call,
        load: WorkerLoad = UNTOLD,
        over: Sequence[RunStatistics] = (),
    ) -> Sequence[str]:
        """Accept the reports of a worker, and return the names of the refused tasks.

        Load and counts stay in memory. A change of state is written to etcd. The history gets the
        statistics of runs that are over.
        """
        if over:
            self._ctx.history.note_statistics(over)
        if load != UNTOLD:
            self._mirrors.cluster_state.workers.report(node_id, load)
        pairs = [(report, self._mirrors.resource(report.name)) for report in reports]
        current = [
            (self.live.filled(report, resource), resource)
            for report, resource in pairs
            if resource and is_current(report, node_id, resource)
        ]
        self.live.note(current)
        changes = [report for report, resource in current if changes_state(report, resource)]
        changes += [report for report, resource in pairs if is_later(report, resource)]
        unwritable = self._record(node_id, changes, call) if changes else set()
        accepted = {report.name for report, _ in current} - unwritable
        refused = [report.name for report in reports if report.name not in accepted]
        self._ctx.refusals.reports += len(refused)
        return refused

    def _record(self, node_id: str, reports: Sequence[Report], call: Call) -> set[str]:
        """Write reports. Return the names of the tasks for which the store refuses that for good:
        the others are written all the same."""
        try:
            window_s = self._ctx.settings.poison_window_s
            self._writer.submit(Record(node_id, reports, window_s), call)
        except StoreRefused:
            if len(reports) == 1:
                return {reports[0].name}
            half = len(reports) // 2
            parts = (reports[:half], reports[half:])
            return {name for part in parts for name in self._record(node_id, part, call)}
        return set()

    def _checked(self, spec: Spec, call: Call) -> tuple[str, Call]:
        """Return what is wrong with the parameters of a task, and the call with the time that is
        left."""
        clock = self._ctx.clock
        until_s = clock.monotonic() + call.timeout_s
        faults = parameter_faults(spec)
        return faults, replace(call, timeout_s=max(0.0, until_s - clock.monotonic()))

    def _lacks_spider(self, spec: Spec) -> str:
        """Return why nobody can run a task, if no live worker offers its spider.

        Without any worker nothing is known. A task with nothing but a name is one of the
        reference's form: it is placed all the same. Workers fetch the spiders of a project when
        they need them, so there its record counts.
        """
        if spec.project:
            return deployed.objection(self._ctx.projects, spec)
        workers = self._mirrors.workers.values.values()
        spider = spec.offered_as
        if not workers or any(each.has_spider(spider) for each in workers):
            return ""
        if spec == Spec(spec.name):
            return ""
        offered = sorted({name for each in workers for name in each.spiders or ()})
        return (
            f"spider: {shown(spider)} is offered by no live worker; offered: "
            f"{', '.join(offered[:MOST_NAMED]) or 'none'}; to store the task until a worker with "
            'it joins, add "wait_for_spider": true'
        )

    def _load_at(self, node_id: str, cordoned: bool) -> NodeLoad:
        """Return a worker with the new cordon; a worker that is not registered has no load."""
        found = self._mirrors.cluster_state.candidates.get(node_id)
        load = NodeLoad(Node(node_id, ""), WORKER) if found is None else self._load_of(found)
        return replace(load, cordoned=cordoned)

    def _load_of(self, worker: Candidate) -> NodeLoad:
        return NodeLoad(
            worker.node,
            WORKER,
            worker.unfinished,
            worker.owned,
            used=worker.amounts,
            cordoned=worker.id in self._mirrors.decisions.cordoned,
            load=worker.reported,
        )

    def _stored(self, name: str, stored: Mapping[str, Resource]) -> Resource:
        resource = stored.get(name)
        if resource is None:
            raise NotFound("no such task: somebody deleted it at the same moment")
        return self.live.of_task(resource)

"""What handles the requests of the API, and what its calls take and answer.

Only the leader handles requests: its own `Backend` does. A follower has a gRPC client of the leader
instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from crawler.model.access import Caller, NewToken, Token, TokenWish
from crawler.model.alerts import Alert, AlertRule
from crawler.model.audit import AuditRecord
from crawler.model.history import Event, Run, RunQuery
from crawler.model.policy import DryRun, Explanation, PolicyChange, SchedulerView
from crawler.model.projects import ProjectView, Version
from crawler.model.records import Node, Query, Report, Resource, Spec, WorkerLoad
from crawler.model.run_statistics import RunStatistics
from crawler.model.schedules import ScheduleView, ScheduleWish
from crawler.model.secrets import Secret, SecretWish
from crawler.model.sorting import TOLD_STATES

UNTOLD = WorkerLoad()
"""The load of a node that reports none."""


@dataclass(frozen=True, slots=True)
class Call:
    """How a request arrived."""

    timeout_s: float
    """The seconds until its deadline."""
    forwarded: bool = False
    """Whether another master forwarded it. Such a request is not forwarded again."""
    caller: Caller | None = None
    """Who makes it; None if this process does."""
    cause: str = ""
    """What makes this process do it, for the history."""
    trace: str = ""
    """The span of a trace to which it belongs, as a W3C traceparent; empty if there are no
    traces."""

    @property
    def bounds(self) -> Mapping[str, str]:
        """The labels that a task must have for the caller."""
        return self.caller.labels if self.caller else {}


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the resources, in the order of the query."""

    resources: Sequence[Resource]
    next_token: str
    """The token of the next page; empty on the last page."""
    total: int
    """How many resources match in all."""
    counts: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(TOLD_STATES, 0))
    """The state, in the word of `Resource.told_state` → how many resources in it match all but the
    state of the query. Without any, another master said nothing of it."""


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A live node as the leader sees it."""

    node: Node
    role: str
    """`worker` or `master`."""
    unfinished: int = 0
    """How many of its resources are neither done nor failed."""
    resources: int = 0
    """How many resources it owns in all."""
    used: Mapping[str, float] = field(default_factory=dict)
    """Quantity → how much of it its unfinished resources request."""
    cordoned: bool = False
    """Whether somebody cordoned it, so that it gets no more resources."""
    load: WorkerLoad = UNTOLD
    """The load that it reported last."""


class Submission(NamedTuple):
    """What became of a request to add a task."""

    resource: Resource
    new: bool
    """Whether the request added it. Otherwise the same task existed, and nothing was started."""


class Backend(Protocol):
    """Handles requests as the leader.

    Each method raises `Unavailable` if it cannot answer now, and `OutcomeUnknown` if a write was
    sent and its result is unknown.
    """

    def submit(self, spec: Spec, call: Call, wait_for_spider: bool = False) -> Submission:
        """Store a new resource and place it. Without a suitable worker it is stored as pending.

        If the same specification exists, return its resource unchanged. Raises AlreadyExists if the
        name has another specification, and InvalidArgument if it names a spider that no live worker
        offers, unless the task may `wait_for_spider`.
        """
        ...

    def update(
        self,
        spec: Spec,
        call: Call,
        restart: bool | None = None,
        wait_for_spider: bool = False,
    ) -> Resource:
        """Change a resource's specification. Another spider or other parameters start another run,
        except settings that change on a running crawl.

        Raises NotFound, and InvalidArgument if the new spider is named and no live worker offers
        it, unless the task may `wait_for_spider`. With `restart` False it raises WouldRestart
        instead of ending a run.
        """
        ...

    def again(self, name: str, call: Call) -> Resource:
        """Begin a resource anew, whatever its state. Its new run does not go on where the one
        before was, unless that failed because its state or its items could not be written. Raises
        NotFound.

        The counts of the answer are those of the crawl that is dropped, as far as they are known.
        """
        ...

    def pause(self, name: str, call: Call) -> Resource:
        """Let a task rest until somebody resumes it: its crawl ends in order, its state stays, and
        no worker has it. Nothing changes if it is paused.

        Raises NotFound, and WrongState if it has ended.
        """
        ...

    def resume(self, name: str, call: Call) -> Resource:
        """Let a paused task go on where it was. Nothing changes if it is not paused. Raises
        NotFound, and WrongState if it has ended."""
        ...

    def stop(self, name: str, call: Call) -> Resource:
        """End a task for good: its crawl ends in order, and its counts stay. Nothing changes if it
        is stopped. Raises NotFound, and WrongState if it has ended otherwise."""
        ...

    def run(self, name: str, call: Call) -> Resource:
        """Run a finished task once more, from the beginning. Raises NotFound, and WrongState if its
        run has not ended."""
        ...

    def delete(self, name: str, call: Call) -> None:
        """Delete a resource. Its worker stops the crawl. Raises NotFound."""
        ...

    def get(self, name: str, call: Call) -> Resource:
        """Return one resource, with the latest counts that its worker reported. Raises NotFound."""
        ...

    def list(self, query: Query, call: Call) -> Page:
        """Return a page of the resources that match. Raises InvalidArgument for a bad token."""
        ...

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """Return the live masters and workers."""
        ...

    def scheduler(self, call: Call) -> SchedulerView:
        """Return the policy of the scheduler, with all strategies and plugins."""
        ...

    def update_scheduler(self, change: PolicyChange, call: Call) -> SchedulerView:
        """Change the policy from the next pass on. No running task moves because of it.

        Raises InvalidArgument if the leader lacks the strategy or a plugin.
        """
        ...

    def dry_run(self, change: PolicyChange, call: Call) -> DryRun:
        """Return what the scheduler would do after a change of the policy. Nothing changes.

        Raises InvalidArgument; Overloaded while another dry run goes on.
        """
        ...

    def reset_scheduler(self, call: Call) -> SchedulerView:
        """Return to the policy of the leader's settings."""
        ...

    def explain(self, name: str, call: Call) -> Explanation:
        """Explain, worker by worker, why a task is where it is or why it waits. Raises NotFound."""
        ...

    def drain(self, node: str, call: Call) -> NodeLoad:
        """Cordon a worker, given by its id or name: its unfinished tasks move away, and no others
        arrive.

        Return its present load. A second call changes nothing. Raises NotFound.
        """
        ...

    def uncordon(self, node: str, call: Call) -> NodeLoad:
        """Let a worker take tasks again. Raises NotFound if no such worker is known."""
        ...

    def create_token(self, wish: TokenWish, call: Call) -> NewToken:
        """Make a token. Nobody can read its text later."""
        ...

    def tokens(self, call: Call) -> Sequence[Token]:
        """Return all tokens, the oldest first."""
        ...

    def revoke_token(self, id: str, call: Call) -> Token:
        """End a token, and return it. Raises NotFound."""
        ...

    def set_secret(self, wish: SecretWish, call: Call) -> Secret:
        """Store a secret of tasks, or another value of it."""
        ...

    def secrets(self, call: Call) -> Sequence[Secret]:
        """Return all secrets without their values, by name."""
        ...

    def delete_secret(self, name: str, call: Call) -> Secret:
        """Remove a secret, and return it. Raises NotFound."""
        ...

    def add_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Add a schedule. Raises AlreadyExists if another one has that name."""
        ...

    def update_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Change a schedule. Raises NotFound."""
        ...

    def schedule(self, name: str, call: Call) -> ScheduleView:
        """Return one schedule. Raises NotFound."""
        ...

    def schedules(self, call: Call) -> Sequence[ScheduleView]:
        """Return all schedules, by name."""
        ...

    def delete_schedule(self, name: str, call: Call) -> ScheduleView:
        """Remove a schedule, and return it. Its task stays. Raises NotFound."""
        ...

    def pause_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire no more. Raises NotFound."""
        ...

    def resume_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire again, from now on. Raises NotFound."""
        ...

    def run_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire now. Raises NotFound; WouldRestart if its task still runs and its
        runs may not overlap."""
        ...

    def deploy(self, project: str, version: Version, roll: bool, call: Call) -> ProjectView:
        """Make a bundle that is kept the current one of a project. With `roll` the runs under way
        go on with it."""
        ...

    def projects(self, call: Call) -> Sequence[ProjectView]:
        """Return all projects, by name."""
        ...

    def project(self, name: str, call: Call) -> ProjectView:
        """Return one project. Raises NotFound."""
        ...

    def rollback(self, name: str, digest: str, roll: bool, call: Call) -> ProjectView:
        """Make another version of a project the current one; without a digest, the one before.
        Raises NotFound."""
        ...

    def delete_project(self, name: str, call: Call) -> ProjectView:
        """Remove a project, and return it. Raises NotFound; WrongState while an unfinished task
        names it."""
        ...

    def audit(self, limit: int, call: Call) -> Sequence[AuditRecord]:
        """Return the last records of the audit that the leader has, the oldest first."""
        ...

    def history(self, name: str, limit: int, call: Call) -> Sequence[Event]:
        """Return the last events of a task, the oldest first, also of a deleted one. Raises
        NotFound, also where no history is kept."""
        ...

    def runs(self, query: RunQuery, call: Call) -> Sequence[Run]:
        """Return the latest runs that match, the latest first. Raises NotFound where no history is
        kept."""
        ...

    def alerts(self, call: Call) -> Sequence[Alert]:
        """Return what the rules of alerts found: what fires, and what was over lately."""
        ...

    def alert_rules(self, call: Call) -> Sequence[AlertRule]:
        """Return all rules of alerts, by name."""
        ...

    def set_alert_rule(self, rule: AlertRule, call: Call) -> AlertRule:
        """Set a rule. Raises InvalidArgument if it names a channel that there is not."""
        ...

    def delete_alert_rule(self, name: str, call: Call) -> AlertRule:
        """Remove a rule, and return it. Raises NotFound, and InvalidArgument for one of the
        settings."""
        ...

    def test_alert(self, channel: str, call: Call) -> None:
        """Send a test to a channel. Raises NotFound, and Unavailable if it takes none."""
        ...

    def report(
        self,
        node_id: str,
        reports: Sequence[Report],
        call: Call,
        load: WorkerLoad = UNTOLD,
        over: Sequence[RunStatistics] = (),
    ) -> Sequence[str]:
        """Accept a worker's reports and its load. Return the names of the refused runs, which are
        no longer current. `over` are statistics of runs that are over, for the history."""
        ...

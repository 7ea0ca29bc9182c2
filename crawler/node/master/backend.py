"""The backend of a leading master: what the calls of the API do on the node that leads.

Reads are answered from the mirrors. Changes go to the term's writing greenlet, and are answered
when they are committed. Counts of running tasks are kept here only (docs/decisions/0004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from crawler.api.service import UNTOLD, Call, NodeLoad, Page
from crawler.coordination.keys import MASTER, WORKER
from crawler.errors import NotFound
from crawler.model.policy import Explanation, PolicyChange, SchedulerView
from crawler.model.records import (
    MAX_PAGE,
    Counts,
    Node,
    Query,
    Report,
    Resource,
    Spec,
    State,
    WorkerLoad,
)
from crawler.node.master.commands import (
    Add,
    Command,
    Record,
    Remove,
    Update,
    is_current,
    is_later,
    is_news,
)
from crawler.node.master.mirrors import Mirrors
from crawler.node.master.policy import PolicyControl
from crawler.scheduler.candidate import Candidate


class LeaderBackend:
    """Handles requests as the leader; see `api.service.Backend` for what each promises."""

    def __init__(
        self,
        cluster: Mirrors,
        submit: Callable[[Command, Call], Mapping[str, Resource]],
        on_refused: Callable[[int], None],
        steering: PolicyControl,
        explain: Callable[[Resource], Explanation],
    ) -> None:
        """`submit` has a change made, and returns what was stored then: the mirror may tell of what
        others did since. `on_refused` counts reports.
        """
        self._policy = steering
        self._explain = explain
        self._on_refused = on_refused
        self._cluster = cluster
        self._submit = submit
        self._live: dict[str, tuple[str, int, Counts]] = {}

    def add(self, spec: Spec, call: Call) -> Resource:
        """Store a new resource and place it."""
        return self._stored(spec.name, self._submit(Add(spec), call))

    def update(self, spec: Spec, call: Call) -> Resource:
        """Change a resource's specification."""
        return self._stored(spec.name, self._submit(Update(spec), call))

    def delete(self, name: str, call: Call) -> None:
        """Remove a resource."""
        self._submit(Remove(name), call)

    def get(self, name: str, call: Call) -> Resource:
        """One resource, with its latest counts."""
        resource = self._cluster.resource(name)
        if resource is None:
            raise NotFound("no such task")
        return self._with_live_counts(resource)

    def list(self, query: Query, call: Call) -> Page:
        """A page of the resources, in the order of their names."""
        size = max(1, min(query.page_size, MAX_PAGE))
        found = list(islice(self._matching(query), size + 1))
        page = [self._with_live_counts(each) for each in found[:size]]
        return Page(page, page[-1].name if len(found) > size else "", self._total(query.state))

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """The live nodes, masters first."""
        workers = sorted(self._cluster.cluster_state.candidates.values(), key=lambda each: each.id)
        masters = sorted(self._cluster.live_masters().values(), key=lambda node: node.id)
        return [NodeLoad(node, MASTER) for node in masters] + [
            self._load_of(each) for each in workers
        ]

    def scheduler(self, call: Call) -> SchedulerView:
        """How tasks are placed."""
        return self._policy.view()

    def update_scheduler(self, change: PolicyChange, call: Call) -> SchedulerView:
        """Place by another policy from the next pass on."""
        return self._policy.change(change)

    def reset_scheduler(self, call: Call) -> SchedulerView:
        """Go back to the policy of the settings."""
        return self._policy.reset()

    def explain(self, name: str, call: Call) -> Explanation:
        """Why a task is where it is, or waits."""
        return self._explain(self.get(name, call))

    def drain(self, node: str, call: Call) -> NodeLoad:
        """Move everything off a worker, and keep it off."""
        return self._load_at(self._policy.cordon(node), cordoned=True)

    def uncordon(self, node: str, call: Call) -> NodeLoad:
        """Let a worker take tasks again."""
        return self._load_at(self._policy.uncordon(node), cordoned=False)

    def report(
        self, node_id: str, reports: Sequence[Report], call: Call, load: WorkerLoad = UNTOLD
    ) -> Sequence[str]:
        """Take reports: load and counts are kept in memory, a change of state is written."""
        if load != UNTOLD:
            self._cluster.cluster_state.report(node_id, load)
        pairs = [(report, self._cluster.resource(report.name)) for report in reports]
        current = [(rep, res) for rep, res in pairs if is_current(rep, node_id, res)]
        for report, _ in current:
            self._live[report.name] = (report.id, report.epoch, report.counts)
        news = [report for report, resource in current if is_news(report, resource)]
        news += [report for report, resource in pairs if is_later(report, resource)]
        if news:
            self._submit(Record(node_id, news), call)
        accepted = {report.name for report, _ in current}
        refused = [report.name for report in reports if report.name not in accepted]
        self._on_refused(len(refused))
        return refused

    def forget_counts(self) -> None:
        """Drop the live counts of tasks that run no more."""
        for name in list(self._live):
            resource = self._cluster.resource(name)
            if resource is None or resource.state.finished:
                del self._live[name]

    def _matching(self, query: Query) -> Iterator[Resource]:
        """The resources after those of the page before, in the order of their names."""
        for name in self._cluster.names.after(query.page_token):
            resource = self._cluster.resource(name)
            if resource is not None and query.state in (None, resource.state):
                yield resource

    def _total(self, state: State | None) -> int:
        resources = self._cluster.resources.values
        return len(resources) if state is None else self._cluster.count(state)

    def _load_at(self, node_id: str, cordoned: bool) -> NodeLoad:
        """A worker just after that was decided; one that is not registered has nothing."""
        found = self._cluster.cluster_state.candidates.get(node_id)
        load = NodeLoad(Node(node_id, ""), WORKER) if found is None else self._load_of(found)
        return replace(load, cordoned=cordoned)

    def _load_of(self, worker: Candidate) -> NodeLoad:
        return NodeLoad(
            worker.node,
            WORKER,
            worker.unfinished,
            worker.owned,
            used=worker.amounts,
            cordoned=worker.id in self._cluster.decisions.cordoned,
            load=worker.reported,
        )

    def _stored(self, name: str, stored: Mapping[str, Resource]) -> Resource:
        resource = stored.get(name)
        if resource is None:
            raise NotFound("no such task: it was deleted at the very same time")
        return self._with_live_counts(resource)

    def _with_live_counts(self, resource: Resource) -> Resource:
        run = self._live.get(resource.name)
        if run is None or resource.state is not State.RUNNING:
            return resource
        id, epoch, counts = run
        same_run = (id, epoch) == (resource.id, resource.epoch)
        return resource.replace(counts=counts) if same_run else resource

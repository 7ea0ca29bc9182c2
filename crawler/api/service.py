"""What the calls of the API do, for gRPC and HTTP alike; both hold the same `Service` object.

Only the leader handles requests. A `Backend` is where they are handled: the leading master's own,
or, on a follower, the gRPC client to the leader. `Service` picks the one, lets a request take one
hop at the most, and passes on what is left of its deadline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crawler.errors import Unavailable
from crawler.model.policy import Explanation, PolicyChange, SchedulerView
from crawler.model.records import Leader, Node, Query, Report, Resource, Spec, WorkerLoad
from crawler.model.statistics import Statistics

UNTOLD = WorkerLoad()
"""Of a node that says nothing of its load."""


@dataclass(frozen=True, slots=True)
class Call:
    """How a request came in."""

    timeout_s: float
    """What is left until its deadline, in seconds."""
    forwarded: bool = False
    """Whether another master passed it on; such a request is not passed on again."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the resources, in the order of their names."""

    resources: Sequence[Resource]
    next_token: str
    """Empty on the last page."""
    total: int
    """How many resources match in all."""


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A live node as the leader sees it."""

    node: Node
    role: str
    """`worker` or `master`."""
    unfinished: int = 0
    """Resources it owns that are not done or failed."""
    resources: int = 0
    """Resources it owns in all."""
    used: Mapping[str, float] = field(default_factory=dict)
    """How much of which quantity its unfinished resources asked for."""
    cordoned: bool = False
    """Whether it is given no more resources, as somebody wanted it so."""
    load: WorkerLoad = UNTOLD
    """What it last said of itself."""


class Backend(Protocol):
    """Handles requests as the leader.

    Each method raises `Unavailable` when it cannot answer now, and `OutcomeUnknown` when a write
    was sent and its result is not known.
    """

    def add(self, spec: Spec, call: Call) -> Resource:
        """Store a new resource and place it; without a suitable worker it is stored as pending.

        Adding the same specification again returns the resource as it is; raises AlreadyExists
        when the name is taken by another specification.
        """
        ...

    def update(self, spec: Spec, call: Call) -> Resource:
        """Change a resource's specification; another spider or parameters mean another run.

        Raises NotFound.
        """
        ...

    def delete(self, name: str, call: Call) -> None:
        """Remove a resource; its worker stops the crawl. Raises NotFound."""
        ...

    def get(self, name: str, call: Call) -> Resource:
        """One resource, with the latest counts its worker reported. Raises NotFound."""
        ...

    def list(self, query: Query, call: Call) -> Page:
        """The resources that match, a page at a time. Raises InvalidArgument for a bad token."""
        ...

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """The live nodes, masters and workers, in the order of their ids."""
        ...

    def scheduler(self, call: Call) -> SchedulerView:
        """How tasks are placed: the policy, and all strategies and plugins."""
        ...

    def update_scheduler(self, change: PolicyChange, call: Call) -> SchedulerView:
        """Place by another policy from the next pass on; no running task moves for it.

        Raises InvalidArgument when the leader has no such strategy or plugin.
        """
        ...

    def reset_scheduler(self, call: Call) -> SchedulerView:
        """Go back to the policy of the leader's settings."""
        ...

    def explain(self, name: str, call: Call) -> Explanation:
        """Why a task is where it is or waits, worker by worker. Raises NotFound."""
        ...

    def drain(self, node: str, call: Call) -> NodeLoad:
        """Move all unfinished tasks off a worker, given by its id or name, and keep others off.

        What it has at this moment; done again it changes nothing. Raises NotFound.
        """
        ...

    def uncordon(self, node: str, call: Call) -> NodeLoad:
        """Let a worker take tasks again. Raises NotFound when nobody knows it."""
        ...

    def report(
        self, node_id: str, reports: Sequence[Report], call: Call, load: WorkerLoad = UNTOLD
    ) -> Sequence[str]:
        """Take a worker's reports, and what it says of its load; the names of those runs that were
        refused, as no longer current."""
        ...


class Election(Protocol):
    """What the service needs to know of the election."""

    def leader(self) -> Leader | None:
        """The leader as last observed; None while there is none."""
        ...

    def local_backend(self) -> Backend | None:
        """The backend of this very node while it leads and is ready."""
        ...

    def remote_backend(self, leader: Leader) -> Backend:
        """A client to that leader."""
        ...


class Service:
    """Routes each request to the backend that may answer it."""

    def __init__(self, election: Election) -> None:
        self._election = election

    def leader(self) -> Leader:
        """The present leader. Raises Unavailable while there is none."""
        leader = self._election.leader()
        if leader is None:
            raise Unavailable("no master leads at present; try again in a second")
        return leader

    def backend(self, call: Call) -> Backend:
        """Where to take a request. Raises Unavailable when this node may not pass it on."""
        own = self._election.local_backend()
        if own is not None:
            return own
        leader = self.leader()
        if call.forwarded:
            raise Unavailable("this master does not lead any more; try again in a second")
        if not leader.address:
            raise Unavailable(f"the leader {leader.id!r} gives no address to pass the request to")
        return self._election.remote_backend(leader)


class Crawls(Protocol):
    """What is asked: the engine's statistics."""

    def all(self) -> Sequence[Statistics]:
        """Of every crawl that is known."""
        ...

    def of(self, task: str) -> Statistics:
        """Of the crawl of a task. Raises NotFound."""
        ...

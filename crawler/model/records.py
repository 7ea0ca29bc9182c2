"""The frozen values that cross boundaries: tasks ("resources"), nodes, leadership, reports.

Nothing here knows where a value came from or how it is stored; the codecs live at the edges.
Mappings inside records are read-only by convention: whoever changes one makes a new record.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from crawler.model.constraints import NONE, Constraints, Taint

NO_LABELS: Mapping[str, str] = {}

OWNERS = 10_000
"""Owners of tasks that are kept."""

DRAINING = "draining"
"""Entry in the metadata of a node that is about to leave."""


class State(enum.Enum):
    """Where a resource stands; the docstring of each member says what happens next."""

    PENDING = "pending"
    """Has no owner; `Resource.reason` says why. The next pass of the scheduler tries again."""
    ASSIGNED = "assigned"
    """Has an owner that has not reported a start yet."""
    RUNNING = "running"
    """The owner crawls it."""
    DONE = "done"
    """Finished; keeps its owner and never moves."""
    FAILED = "failed"
    """Ended with an error in `reason`; moves only if all it lacked was a worker with its spider."""

    __hash__ = object.__hash__  # each member is one object; Enum's own hash costs ten times more

    def __init__(self, value: str) -> None:
        self.finished = value in ("done", "failed")
        """Whether a resource in this state asks for no more work."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What one run of a crawl has done so far."""

    pages: int = 0
    """Responses whose body reached a callback."""
    items: int = 0
    """Items written to the sink."""
    failures: int = 0
    """URLs that ended in an error, and callbacks that raised."""
    seconds: float = 0.0
    """Running time of the crawl, in seconds."""


NO_COUNTS = Counts()
"""Of a run that has not begun."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a client asks for: which spider to run under which name, and how."""

    name: str
    spider: str = ""
    """Name of the spider; empty means the one named like the resource."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Given to the spider; JSON values."""
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    """Higher is placed first."""
    constraints: Constraints = NONE
    """What it asks of its worker."""
    retries: int = 0
    """How often a run that failed is tried again, on another worker if there is one."""

    @property
    def spider_name(self) -> str:
        """The spider that runs this task."""
        return self.spider or self.name


@dataclass(frozen=True, slots=True)
class Owner:
    """The worker a resource is assigned to."""

    node_id: str
    address: str
    incarnation: int = 0
    """Create revision of the worker's registration at the time of the assignment; 0 when another
    program made the assignment and did not say."""
    text: str = field(init=False, repr=False, compare=False)
    """`node_id|address`, as other programs write an owner."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.node_id}|{self.address}")

    def __str__(self) -> str:
        return self.text


@lru_cache(OWNERS)
def shared_owner(node_id: str, address: str, incarnation: int = 0) -> Owner:
    """The same object for all tasks of a worker, which may be many."""
    return Owner(node_id, address, incarnation)


@dataclass(frozen=True, slots=True)
class Resource:
    """A crawl task as the cluster knows it."""

    spec: Spec
    id: str = ""
    creation_time: int = 0
    """Unix time in nanoseconds."""
    owner: Owner | None = None
    epoch: int = 0
    """Number of the assignment: rises by one each time the resource gets an owner."""
    term: int = 0
    """Create revision of the election key of the leader that wrote this value: whoever reads the
    history can tell that it led then. 0 when another program wrote it."""
    state: State = State.PENDING
    reason: str = ""
    """Why it is pending, or how it failed; empty otherwise."""
    awaits_spider: bool = False
    """Failed only because its worker lacks the spider: placed anew when a worker has it."""
    counts: Counts = NO_COUNTS
    assigned_time: int = 0
    """When it was given to its owner: Unix time in nanoseconds; 0 when another program did so."""
    failed_on: tuple[str, ...] = ()
    """Ids of the workers on which this run has failed so far, the latest last."""
    kills: int = 0
    """How many workers died soon after they had been given it."""
    foreign: Mapping[str, Any] = field(default_factory=dict)
    """Fields other programs wrote beside ours; kept as they are."""
    mod_revision: int = 0
    """Store revision of this value; 0 when it was never stored."""

    @property
    def name(self) -> str:
        """The name, unique in the cluster."""
        return self.spec.name

    def replace(self, **changes: Any) -> Resource:
        """A copy with some fields changed; `dataclasses.replace` takes three times as long."""
        made = _frozen(_Open(*map(changes.pop, _FIELDS, _values(self))))
        if changes:
            raise TypeError(f"a resource has no {', '.join(changes)}")
        return made

    def given_to(self, owner: Owner, epoch: int, now_ns: int) -> Resource:
        """A new record of it, to be stored: a run that begins at that owner."""
        made = _Open(
            *(self.spec, self.id, self.creation_time, owner, epoch, self.term),
            *(State.ASSIGNED, "", False, NO_COUNTS, now_ns),
            *(self.failed_on, self.kills, self.foreign, 0),
        )
        return _frozen(made)

    def stored(self, term: int, revision: int) -> Resource:
        """As it stands once the leader of that term has stored it, at that revision.

        One that was never stored was made to be so, and nobody else has it yet: it is completed in
        place, as a copy would cost a tenth of what placing a task does.
        """
        if self.mod_revision:
            return self.replace(term=term, mod_revision=revision)
        _fill_term(self, term)
        _fill_revision(self, revision)
        return self


_FIELDS = tuple(each.name for each in dataclasses.fields(Resource))
_values = operator.attrgetter(*_FIELDS)
_fill_term, _fill_revision = (getattr(Resource, n).__set__ for n in ("term", "mod_revision"))

_Open = dataclasses.make_dataclass("_Open", _FIELDS, slots=True)
"""A record to be: what is frozen takes four times as long to make, as each field is set by a call
that goes round its freezing."""


def _frozen(made: Any) -> Resource:
    made.__class__ = Resource  # both have the same slots
    closed: Resource = made
    return closed


@dataclass(frozen=True, slots=True)
class Node:
    """A registered node: a worker, or a master."""

    id: str
    """Service name, dash, number or name of the node: `go.micro.server.worker-2`."""
    address: str
    """host:port of its gRPC server."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    spiders: frozenset[str] | None = None
    """Names of the spiders it has; None when it does not say, which means every spider."""
    incarnation: int = 0
    """Create revision of the registration: the same id registered anew is another incarnation."""
    capacity: Mapping[str, float] = field(default_factory=dict)
    """How much it has of which quantity; see `constraints.UNBOUNDED` for what it does not say."""
    taints: tuple[Taint, ...] = ()
    as_owner: Owner = field(init=False, repr=False, compare=False)
    """The worker as an owner of tasks."""

    def __post_init__(self) -> None:
        owner = shared_owner(self.id, self.address, self.incarnation)
        object.__setattr__(self, "as_owner", owner)

    @property
    def draining(self) -> bool:
        """Whether the node is about to leave, and takes no new tasks."""
        return self.metadata.get(DRAINING) == "true"

    def has_spider(self, spider: str) -> bool:
        """Whether the node can run that spider, as far as it says."""
        return self.spiders is None or spider in self.spiders

    def owns(self, owner: Owner) -> bool:
        """Whether that assignment was made to this very incarnation of the node."""
        return owner.node_id == self.id and owner.incarnation in (0, self.incarnation)


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """What a worker says of its own load."""

    cpu: float = 0.0
    """Share of one processor that its process used lately: 1 is all that Python can use."""
    lag_s: float = 0.0
    """How late its hub turned lately, at worst."""


@dataclass(frozen=True, slots=True)
class Leadership:
    """Proof of an election won: who writes as a leader shows it, and the store compares it."""

    key: str
    revision: int
    """Create revision of the election key; a later leader has a higher one."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader as observed in the election."""

    id: str
    """The value of its election key, `master2-192.168.0.107:9091`."""
    address: str
    """host:port of its gRPC server; empty when the value is not one of ours."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says about one of its runs."""

    name: str
    id: str
    epoch: int
    """The assignment the run belongs to; a report of an older one is refused."""
    state: State
    reason: str = ""
    awaits_spider: bool = False
    counts: Counts = Counts()


MAX_PAGE = 1000
"""Most resources in one page of a listing."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which resources a listing wants."""

    page_size: int = 100
    page_token: str = ""
    """The token that came with the page before; empty for the first."""
    state: State | None = None

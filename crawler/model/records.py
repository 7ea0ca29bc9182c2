"""The frozen values that cross boundaries: tasks ("resources"), nodes, leadership, reports.

This module does not know where a value came from or how it is stored; the codecs know that.
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

from crawler.model.access import has_labels
from crawler.model.constraints import NONE, Constraints, Taint

NO_LABELS: Mapping[str, str] = {}

OWNERS = 10_000
"""How many owners of tasks are cached."""

DRAINING = "draining"
"""The entry in the metadata of a node that is about to leave."""

CODE = "code"
"""The entry in the metadata of a node with the version of this program that it runs."""

PROCESS = "process"
"""The entry in the metadata of a worker that lost its lease and came back: the incarnation with
which its process registered first. All incarnations from there on are this one process."""

HUNG = "hung"
"""The entry in the metadata of such a worker if a callback kept it from renewing its lease:
`<incarnation> <name of the task>`."""


class State(enum.Enum):
    """How far a resource is. The docstring of each member says what happens next."""

    PENDING = "pending"
    """It has no owner; `Resource.reason` says why. The next pass of the scheduler tries again."""
    ASSIGNED = "assigned"
    """It has an owner that has not reported a start yet."""
    RUNNING = "running"
    """The owner crawls it."""
    DONE = "done"
    """It is finished. It keeps its owner and never moves."""
    FAILED = "failed"
    """It ended with an error in `reason`. It moves only if it failed because its worker lacked its
    spider."""

    __hash__ = object.__hash__  # each member is one object; Enum's own hash costs ten times more

    def __init__(self, value: str) -> None:
        self.finished = value in ("done", "failed")
        """Whether a resource in this state needs no more work."""


class ToldState(enum.Enum):
    """A state that no record stores, in the word that people look for (`Resource.told_state`)."""

    PAUSED = "paused"
    STOPPED = "stopped"


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
"""The counts of a run that has not begun."""

NO_SHARD_COUNTS: Mapping[int, Counts] = {}
"""The counts of shards that no head has told."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The specification of a task: which spider to run under which name, and how."""

    name: str
    spider: str = ""
    """The name of the spider; empty means the spider named like the resource."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The parameters of the spider; JSON values."""
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    """Higher is placed first."""
    constraints: Constraints = NONE
    """The conditions on its worker."""
    retries: int = 0
    """How often a failed run is tried again, on another worker if there is one."""
    workers: int = 1
    """On how many workers the task runs at once. If on several, it has a resource for each: its own
    one, and its shards."""
    shard: int = 0
    """Which of them this resource is; 0 is the task itself."""
    shard_of: str = ""
    """The name of the task of which this is a shard; empty if it is none."""
    isolated: bool = False
    """Whether its worker is to crawl it in a process of its own."""
    project: str = ""
    """The deployed project that has its spider; empty if the workers themselves have it."""
    bundle: str = ""
    """The digest of the bundle of the project that it keeps to; empty for the project's newest one
    at the start of each run."""

    @property
    def task(self) -> str:
        """The name of the task, which all its shards share."""
        return self.shard_of or self.name

    @property
    def spider_name(self) -> str:
        """The spider that runs this task."""
        return self.spider or self.name

    @property
    def offered_as(self) -> str:
        """How the registration of a worker lists the spider: of a project, `project/spider`."""
        spider = self.spider or self.name
        return f"{self.project}/{spider}" if self.project else spider


@dataclass(frozen=True, slots=True)
class Owner:
    """The worker to which a resource is assigned."""

    node_id: str
    address: str
    incarnation: int = 0
    """The create revision of the worker's registration at the time of the assignment; 0 if another
    program made the assignment and omitted it."""
    text: str = field(init=False, repr=False, compare=False)
    """`node_id|address`, as other programs write an owner."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.node_id}|{self.address}")

    def __str__(self) -> str:
        return self.text


@lru_cache(OWNERS)
def shared_owner(node_id: str, address: str, incarnation: int = 0) -> Owner:
    """Return one object for all tasks of a worker, which may be many."""
    return Owner(node_id, address, incarnation)


@dataclass(frozen=True, slots=True)
class Blame:
    """Which workers died soon after they got a task, and how often it was parked for that."""

    lives: tuple[str, ...] = ()
    """The lives that ended, as `<node id> <incarnation>`, the latest last. Behind it stands ` hung`
    if a callback of the task kept that life from renewing its lease."""
    parkings: int = 0
    """How often the task was parked. The pause doubles each time."""
    until: int = 0
    """Until when it is parked: Unix time in nanoseconds; 0 if it is not parked for its latest
    death yet."""
    processes: int = 0
    """How many of the deaths were those of processes that crawled it, beside workers that lived."""


NO_BLAME = Blame()
"""The blame of a task of which no worker died."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """How the run before was interrupted, if it was."""

    reason: str = ""
    """Where and why, in words; empty if it was not."""
    in_a_row: int = 0
    """How many runs in a row were interrupted, all but the first of them soon after they began."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody's wish that a task rests until it is resumed."""

    reason: str = ""
    """Who paused it, in words; empty if nobody has."""
    node: str = ""
    """The id of the worker that had it last: its state may lie there. Empty if none had it. It
    stays after the resume until a worker has the task."""

    def __bool__(self) -> bool:
        """Whether somebody has."""
        return bool(self.reason)


NOT_PAUSED = Pause()
"""Nobody wants the task to rest."""

OFFERING = "list its file under spiders: in a worker's settings, and start that worker"
"""What to do about a task whose spider no worker offers."""

NOT_INTERRUPTED = Interruption()
"""The run before ended in another way, or there was none."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A crawl task as the cluster knows it."""

    spec: Spec
    id: str = ""
    """The id of the task. Its shards have the same, so that all know whose they are."""
    creation_time: int = 0
    """Unix time in nanoseconds."""
    owner: Owner | None = None
    epoch: int = 0
    """The number of the assignment. It rises by one each time the resource gets an owner."""
    term: int = 0
    """The create revision of the election key of the leader that wrote this value. It shows that
    this master led then. 0 if another program wrote the value."""
    state: State = State.PENDING
    reason: str = ""
    """Why it is pending, or how it failed; empty otherwise."""
    awaits_spider: bool = False
    """Whether it waits for a worker that has its spider: it was to wait for one (pending), or its
    worker lacked the spider (failed)."""
    counts: Counts = NO_COUNTS
    assigned_time: int = 0
    """When its owner got it: Unix time in nanoseconds; 0 if another program assigned it."""
    failed_on: tuple[str, ...] = ()
    """The ids of the workers on which this run has failed so far, the latest last."""
    kills: int = 0
    """How many different workers died soon after they got it, and how many processes of it."""
    blame: Blame = NO_BLAME
    """Which workers these are, as far as it is known."""
    interruption: Interruption = NOT_INTERRUPTED
    """How its run before was interrupted, while that may be of interest."""
    generation: int = 0
    """How often somebody asked for it anew. A run does not go on with the crawl of another one."""
    resumes: int = 0
    """With the crawls of how many generations before a run may go on, if they have no end: so often
    in a row somebody asked for the task again when it had failed. Its state or its items could not
    be written, perhaps."""
    shared: bool = False
    """Whether the task was on several workers already when its owner got it. Otherwise its run
    shares nothing, and has to begin again to do so."""
    shard_counts: Mapping[int, Counts] = field(default_factory=dict)
    """What each shard of the task has counted, as the run of the head has heard. It counts for
    shards that were removed, or whose run has reported nothing yet."""
    paused: Pause = NOT_PAUSED
    """Whether no worker may have it until somebody resumes it. Then it is pending."""
    stopped: bool = False
    """Whether somebody stopped it before its end. Then it has failed, and runs only if somebody
    asks for it."""
    run: int = 1
    """Which run of the task this is: one more each time it begins after it had finished."""
    digest: str = ""
    """The bundle of its project that its run has. It is chosen when the run gets its first owner;
    empty before, and for a task without a project."""
    trace: str = ""
    """The span of the request that asked for its run, as a W3C traceparent; empty if there was
    none."""
    foreign: Mapping[str, bytes] = field(default_factory=dict)
    """The JSON of each field of other programs, which is kept as it is."""
    mod_revision: int = 0
    """The store's revision of this value; 0 if it was never stored."""
    running: int = 0
    """How many runs of the task go on, with those of its shards. Only answers say it."""

    @property
    def name(self) -> str:
        """The name, unique in the cluster."""
        return self.spec.name

    @property
    def told_state(self) -> str:
        """Its state, in the word that people look for."""
        if self.paused and not self.has_ended:
            return ToldState.PAUSED.value
        return ToldState.STOPPED.value if self.stopped and self.has_ended else self.state.value

    @property
    def has_ended(self) -> bool:
        """Whether it is over. One that failed because its worker lacked its spider goes on when
        there is another."""
        return self.state.finished and not self.awaits_spider

    @property
    def told_reason(self) -> str:
        """What people should know of its state: why it waits, how it failed, or why it runs
        again. If it failed for want of its spider, also what places it again."""
        if self.state is State.FAILED and self.awaits_spider:
            return f"{self.reason}; it is placed again when a worker offers its spider: {OFFERING}"
        if self.reason or self.owner is None or self.state.finished:
            return self.reason
        return self.interruption.reason and f"{self.interruption.reason}; placed again"

    def replace(self, **changes: Any) -> Resource:
        """Return a copy with some fields changed. `dataclasses.replace` takes three times as
        long."""
        made = _frozen(_Open(*map(changes.pop, _FIELDS, _values(self))))
        if changes:
            raise TypeError(f"a resource has no {', '.join(changes)}")
        return made

    def given_to(self, owner: Owner, epoch: int, now_ns: int) -> Resource:
        """Return a new record with that owner, for a run that begins there. It still has to be
        stored. If that run goes on with an interrupted one, it has the counts of that already."""
        goes_on = bool(self.interruption.reason)
        made = _Open(
            *(self.spec, self.id, self.creation_time, owner, epoch, self.term),
            *(State.ASSIGNED, "", False, self.counts if goes_on else NO_COUNTS, now_ns),
            *(self.failed_on, self.kills, self.blame, self.interruption),
            *(self.generation, self.resumes),
            *(self.spec.workers > 1, self.shard_counts if goes_on else NO_SHARD_COUNTS),
            *(self.paused or NOT_PAUSED, False, self.run, self.digest),
            *(self.trace, self.foreign, 0, 0),
        )
        return _frozen(made)

    def stored(self, term: int, revision: int) -> Resource:
        """Return the resource as the leader of that term has stored it at that revision.

        A resource that was never stored was made for this write, and nobody else has it yet. It is
        completed in place, because a copy would cost a tenth of placing a task.
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
"""An unfinished record. A frozen one takes four times as long to make, because each field is set by
a call that bypasses its freezing."""


def _frozen(made: Any) -> Resource:
    made.__class__ = Resource  # both have the same slots
    closed: Resource = made
    return closed


@dataclass(frozen=True, slots=True)
class Node:
    """A registered node: a worker or a master."""

    id: str
    """The service name, a dash, and the number or name of the node: `go.micro.server.worker-2`."""
    address: str
    """The host:port of its gRPC server."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    spiders: frozenset[str] | None = None
    """The names of its spiders. None if it lists none, which means every spider."""
    incarnation: int = 0
    """The create revision of the registration. The same id registered again is another
    incarnation."""
    capacity: Mapping[str, float] = field(default_factory=dict)
    """Quantity → how much of it the node has. `constraints.UNBOUNDED` says what an absent quantity
    means."""
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

    @property
    def code(self) -> str:
        """The version of this program that it runs; empty if it does not say."""
        return self.metadata.get(CODE, "")

    @property
    def first_incarnation(self) -> int:
        """The incarnation with which its process registered first, according to its
        registration."""
        return _revision(self.metadata.get(PROCESS, "")) or self.incarnation

    @property
    def hung(self) -> tuple[int, str]:
        """The incarnation that ended because a callback computed, and the task of that callback;
        (0, "") if none did."""
        number, _, task = self.metadata.get(HUNG, "").partition(" ")
        return (_revision(number), task) if _revision(number) else (0, "")

    def has_spider(self, spider: str) -> bool:
        """Whether the node can run that spider, according to its registration."""
        return self.spiders is None or spider in self.spiders

    def owns(self, owner: Owner) -> bool:
        """Whether that assignment was made to this incarnation of the node."""
        return owner.node_id == self.id and owner.incarnation in (0, self.incarnation)


def _revision(text: str) -> int:
    """Return a revision of etcd that a registration names; 0 if it is none."""
    return int(text) if len(text) < 20 and text.isascii() and text.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """The load that a worker reports."""

    cpu: float = 0.0
    """The share that it used recently of the processors that its crawls can use: one if it crawls
    in its own process, else one for each crawl process, and no more than it may use."""
    lag_s: float = 0.0
    """By how many seconds its hub, or one of its crawl processes, was late recently, at worst."""
    disk: float = 0.0
    """The share of the disk of its items that is in use; 0 if it is not known."""


@dataclass(frozen=True, slots=True)
class Leadership:
    """The proof that a master won an election. A leader shows it with each write, and the store
    compares it."""

    key: str
    revision: int
    """The create revision of the election key. A later leader has a higher one."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader as observed in the election."""

    id: str
    """The value of its election key, `master2-192.168.0.107:9091`."""
    address: str
    """The host:port of its gRPC server; empty if the value has another format."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker reports about one of its runs."""

    name: str
    id: str
    epoch: int
    """The assignment to which the run belongs. The leader refuses a report of an older one."""
    state: State
    reason: str = ""
    awaits_spider: bool = False
    counts: Counts = Counts()
    shard_counts: Mapping[int, Counts] = field(default_factory=dict)
    """What the other shards of its task have counted, if it is the run of a head."""
    interrupted: bool = False
    """Whether the run came to no end of its own: the process that crawled it is gone, and the
    worker lives. Its state is FAILED, which is what a leader understands that knows no
    interruptions."""
    charged: bool = False
    """Whether the task is to blame for that; only of an interrupted run."""


MAX_PAGE = 1000
"""How many resources one page of a listing may have."""


class Sort(enum.Enum):
    """By what a listing is sorted. Tasks that are alike in it are sorted by name."""

    NAME = "name"
    STATE = "state"
    """In the order of a life: pending, assigned, running, paused, done, failed, stopped."""
    SPIDER = "spider"
    NODE = "node"
    """The id of the owner. Tasks without one come first."""
    CREATED = "created"
    PAGES = "pages"
    ITEMS = "items"
    FAILURES = "failures"


@dataclass(frozen=True, slots=True)
class Query:
    """Which resources a listing contains, and in which order."""

    page_size: int = 100
    page_token: str = ""
    """The token of the previous page; empty for the first page."""
    state: State | ToldState | None = None
    """A paused task is among the pending ones, too, and a stopped one among the failed ones."""
    shards: bool = False
    """Whether the shards of tasks are listed one by one. Otherwise they count with their task."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The labels that each of them has."""
    search: str = ""
    """A text that stands anywhere in their names, in capital or small letters."""
    spider: str = ""
    """Their spider, as `spider` or `project/spider`."""
    node: str = ""
    """The id of their owner."""
    sort: Sort = Sort.NAME
    descending: bool = False
    """Whether the greatest comes first. Tasks that are alike stay sorted by name."""

    @property
    def is_choosy(self) -> bool:
        """Whether it asks for some tasks alone, by more than their state."""
        return bool(self.labels or self.search or self.spider or self.node)

    def admits(self, resource: Resource) -> bool:
        """Return whether a resource is among them, unless it is a shard."""
        return self.admits_state_of(resource) and self.admits_in_any_state(resource)

    def admits_state_of(self, resource: Resource) -> bool:
        """Return whether a resource is in the right state."""
        if self.state is None:
            return True
        if isinstance(self.state, State):
            return self.state is resource.state
        return self.state.value == resource.told_state

    def admits_in_any_state(self, resource: Resource) -> bool:
        """Return whether a resource would be among them in the right state, unless it is a
        shard."""
        spec, owner = resource.spec, resource.owner
        if self.search and self.search.casefold() not in spec.name.casefold():
            return False
        if self.spider and self.spider not in (spec.spider_name, spec.offered_as):
            return False
        if self.node and (owner is None or owner.node_id != self.node):
            return False
        return not self.labels or has_labels(spec.labels, self.labels)

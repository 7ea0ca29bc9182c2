"""The statistics of a crawl at one moment, for people and for the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any, TypeVar, get_args, get_type_hints

T = TypeVar("T")

HELD, AWAITED = "held", "awaited"
"""What a worker has of a host, where workers share hosts."""


@dataclass(frozen=True, slots=True)
class HostLoad:
    """What a crawl has to do at one host."""

    waiting: int = 0
    """Requests that wait."""
    in_flight: int = 0
    rests_s: float = 0.0
    """The seconds that are left of the host's cooldown; 0 if it has none."""
    pause_s: float = 0.0
    """The seconds between two requests at present; 0 if the crawl does not use the host yet."""
    at: list[str] = field(default_factory=list)
    """Which crawls have these requests, for a task that has several."""
    lease: str = ""
    """If workers share hosts: `held` if the crawl's worker alone may send to the host, `awaited` if
    it waits for that; else empty."""

    @property
    def requests(self) -> int:
        """Requests without an end."""
        return self.waiting + self.in_flight


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of a crawl at one moment."""

    task: str
    spider: str
    began_ns: int = 0
    """Wall time of the start in nanoseconds; 0 before it."""
    ended_ns: int = 0
    """Wall time of the end in nanoseconds; 0 before it."""
    finish_reason: str = ""
    """Empty while it runs; then `finished`, `stopped`, or why it failed."""
    resumed: bool = False
    """Whether an earlier run began the crawl. All counts are of all its runs."""
    seconds: float = 0.0
    discovered: int = 0
    """Requests found. Each is a page, filtered, failed, or pending."""
    pages: int = 0
    pages_per_s: float = 0.0
    """Over the last ten seconds while it runs, over its whole time after its end."""
    items: int = 0
    """Items that were written."""
    items_dropped: Mapping[str, int] = field(default_factory=dict)
    """Items that were invalid, or that a pipeline dropped, by reason."""
    items_failed: Mapping[str, int] = field(default_factory=dict)
    """Items at which a pipeline raised, or that could not be written, by reason."""
    requests: int = 0
    """Attempts that were sent and ended, including redirects and retries."""
    repeated: int = 0
    """Requests sent again, because an earlier run of the crawl sent them and was cut off."""
    retries: int = 0
    redirects: int = 0
    from_cache: int = 0
    bytes_received: int = 0
    """Bytes of bodies as they arrived."""
    bytes_expanded: int = 0
    """Bytes of bodies after decompression."""
    statuses: Mapping[int, int] = field(default_factory=dict)
    """How many answers had each HTTP status."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """URLs that ended in an error, and callbacks that raised, by reason."""
    filtered: Mapping[str, int] = field(default_factory=dict)
    """Requests that were not sent, by reason."""
    pending: int = 0
    """Requests without an end so far: discovered = pages + filtered + failed URLs + pending."""
    elsewhere: int = 0
    """Requests of the task without an end that this crawl does not hold: other shards do, or they
    lie in Redis between two shards. Half a second old at most, as a rule. For the crawls of a task
    together, those that no crawl holds."""
    resting: Mapping[str, float] = field(default_factory=dict)
    """How many `hosts` with such requests are in a cooldown, and how long the `longest_s` still
    lasts."""
    hosts: Mapping[str, HostLoad] = field(default_factory=dict)
    """The ten hosts with the most such requests."""
    pending_hosts: int = 0
    """How many hosts have such requests in memory. A host of several crawls counts for each."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """URLs that are `known` and their `known_bytes`; requests that wait in memory (`waiting`) and
    `on_disk`; the `store_bytes` of the state that is kept. If `crawls` are several, a URL counts as
    known once for each that knows it."""
    latency_s: Mapping[str, float] = field(default_factory=dict)
    """`p50`, `p90`, `p99` and `max` of the time from sending to the last byte."""
    slow_callbacks: int = 0
    """How often a callback computed for longer than `slow_callback_s`."""
    process: int = 0
    """The number of the crawl process of its worker; 0 if the worker crawls by itself."""
    pid: int = 0
    """The number of that process for the system."""
    task_id: str = ""
    """The id of the task. A later task of the same name has another one. Empty outside of a
    cluster."""
    shards: Mapping[int, Statistics] = field(default_factory=dict)
    """For the head of a task on several workers: what each other shard has counted, by its number,
    also one that was removed. About a second old while it runs."""
    counted_ns: int = 0
    """Wall time at which these were counted, in nanoseconds; 0 if nobody knows."""

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as JSON values."""
        return {
            **asdict(replace(self, shards={})),
            "seconds": round(self.seconds, 3),
            "pages_per_s": round(self.pages_per_s, 2),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "shards": {str(number): each.to_json() for number, each in self.shards.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statistics:
        """Read the result of `to_json`, of this version of the program or another."""
        return _read_fields(cls, data)


Owns = Callable[[Statistics], bool]
"""Tells the crawls that a caller may see. Others do not exist for it."""


def anybodys(found: Statistics) -> bool:
    """Say of every crawl that the caller may see it."""
    return True


MOST_HOSTS = 10
"""So many hosts are told, those with the most requests."""

SUMMED = (
    *("discovered", "pages", "items", "items_dropped", "items_failed", "requests"),
    *("repeated", "retries", "redirects", "from_cache", "bytes_received", "bytes_expanded"),
    *("statuses", "failures", "filtered", "pending", "pending_hosts", "slow_callbacks"),
)
"""What the crawls of one task have together. The names are those of fields."""


def whole(told: Sequence[Statistics]) -> Sequence[Statistics]:
    """Return the statistics of all crawls of a task: those that their workers have told, and of the
    others what the head knows of them. Such a shard was removed, or its worker does not know it."""
    names = {part.task for part in told}
    known = [each for part in told for each in part.shards.values() if each.task not in names]
    return [*(replace(part, shards={}) for part in told), *known]


def together(parts: Sequence[Statistics]) -> Statistics:
    """Return the statistics of the crawls of one task, the head first, as those of one crawl.

    They run at the same time. Nobody can add up their latencies: the worst of each counts. The
    task has ended when its head has. Only shards that are not among the parts stay under `shards`.
    They are as old as the oldest.
    """
    head = parts[0]
    if len(parts) == 1:
        return head
    names = {part.task for part in parts}
    sums = {name: _sum(getattr(part, name) for part in parts) for name in SUMMED}
    seconds = max(part.seconds for part in parts)
    return replace(
        head,
        began_ns=min((part.began_ns for part in parts if part.began_ns), default=0),
        resumed=any(part.resumed for part in parts),
        seconds=seconds,
        pages_per_s=_speed(parts, sums["pages"], seconds),
        resting={
            name: value
            for name, value in {
                "hosts": sum(part.resting.get("hosts", 0) for part in parts),
                "longest_s": max(part.resting.get("longest_s", 0.0) for part in parts),
            }.items()
            if any(part.resting for part in parts)
        },
        latency_s=_worst(part.latency_s for part in parts),
        hosts=_hosts(parts),
        memory=_memory(parts),
        elsewhere=_between(parts, sums["pending"]),
        shards={n: shard for n, shard in head.shards.items() if shard.task not in names},
        counted_ns=min((part.counted_ns for part in parts if part.counted_ns), default=0),
        **sums,
    )


def _speed(parts: Sequence[Statistics], pages: int, seconds: float) -> float:
    """Return the pages per second: of the crawls that run, or of the whole task after its end.

    A crawl that has ended tells its average, which is no part of the present speed.
    """
    if not parts[0].ended_ns:
        return sum(part.pages_per_s for part in parts if not part.ended_ns)
    return pages / seconds if seconds else 0.0


def _between(parts: Sequence[Statistics], held: int) -> int:
    """Return how many requests lie between the crawls, of which `held` are held by some crawl."""
    return max(0, max(part.pending + part.elsewhere for part in parts) - held)


def _memory(parts: Sequence[Statistics]) -> Mapping[str, int]:
    """Return what the crawls have in memory, and how many they are."""
    told = [part.memory for part in parts if part.memory]
    return {**_sum(told), "crawls": len(told)} if told else {}


def _hosts(parts: Sequence[Statistics]) -> Mapping[str, HostLoad]:
    """Return the hosts with the most pending requests, and which crawls have these."""
    found: dict[str, HostLoad] = {}
    for part in parts:
        for host, load in part.hosts.items():
            told = found.get(host, HostLoad())
            found[host] = HostLoad(
                told.waiting + load.waiting,
                told.in_flight + load.in_flight,
                max(told.rests_s, load.rests_s),
                max(told.pause_s, load.pause_s),
                [*told.at, part.task],
                HELD if HELD in (told.lease, load.lease) else told.lease or load.lease,
            )
    largest = sorted(found, key=lambda host: -found[host].requests)
    return {host: found[host] for host in largest[:MOST_HOSTS]}


def _sum(values: Iterable[Any]) -> Any:
    """Return the sum of numbers, or of mappings by key."""
    found = list(values)
    if not isinstance(found[0], Mapping):
        return sum(found)
    keys = dict.fromkeys(key for each in found for key in each)
    return {key: sum(each.get(key, 0) for each in found) for key in keys}


def _worst(values: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    found = list(values)
    keys = dict.fromkeys(key for each in found for key in each)
    return {key: max(each.get(key, 0.0) for each in found) for key in keys}


_hints: dict[type[Any], Mapping[str, Any]] = {}
"""The types of the fields of each class. To find them takes longer than to read the values."""


def _hints_of(kind: type[Any]) -> Mapping[str, Any]:
    if kind not in _hints:
        _hints[kind] = get_type_hints(kind)
    return _hints[kind]


def _read_fields(kind: type[T], data: Mapping[str, Any]) -> T:
    hints = _hints_of(kind)
    known = {name: value for name, value in data.items() if name in hints}
    return kind(**{name: _read(hints[name], value) for name, value in known.items()})


def _read(hint: Any, value: Any) -> Any:
    """Read a value of that type. JSON has one kind of number, and only texts as keys."""
    if isinstance(hint, type) and is_dataclass(hint):
        return _read_fields(hint, value)
    inner = get_args(hint)
    if len(inner) == 2:
        return {_read(inner[0], key): _read(inner[1], each) for key, each in value.items()}
    return int(value) if hint is int else value

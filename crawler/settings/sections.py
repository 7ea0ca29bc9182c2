"""Every setting of the program: its type, default, unit, what it does and what is allowed.

This is the only list. The file's schema, the environment variables, the command line's flags, the
reference in docs/settings.md and the comments of config.yaml all follow from it or are tested
against it. Values are frozen: nothing changes a setting after it was loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.model.constraints import MOST_AMOUNT
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from crawler.settings.setting import setting


@dataclass(frozen=True)
class NodeSettings:
    """What this process is to the others."""

    id: str = setting(
        "", "Name of the node within its role; empty takes the lowest free number.", form="name"
    )
    http: str = setting(
        "", "Where HTTP listens; empty is :8081 for a master, :8080 for a worker.", form="listen"
    )
    grpc: str = setting(
        "", "Where gRPC listens; empty is :9091 for a master, :9090 for a worker.", form="listen"
    )
    labels: Mapping[str, str] = setting(
        {}, "Labels of a worker, for plugins to look at; `gpu` is built in, see docs/hooks.md."
    )
    capacity: Mapping[str, float] = setting(
        {},
        "How much a worker has of which quantity, such as cpu, memory and gpu; see "
        "docs/constraints.md.",
        least=0,
        most=MOST_AMOUNT,
        keys="quantity",
    )
    taints: Sequence[str] = setting(
        [],
        "What keeps tasks off a worker unless they tolerate it: key=value:NoSchedule, or "
        ":PreferNoSchedule; see docs/constraints.md.",
        form="taint",
    )
    hub_limit_s: float = setting(
        2.0,
        "How long a callback may compute without giving others a turn: after that it is reported "
        "with its stack, and the node's lease is not renewed until it ends.",
        unit="s",
        least=0.1,
        most=600,
    )
    drain_s: float = setting(
        5.0,
        "How long a node that stops lets callbacks under way come to their next yield, and a "
        "leader its last write; after that they are cut off.",
        unit="s",
        least=0,
        most=600,
    )
    stop_s: float = setting(
        10.0,
        "How long the greenlets of a node may take to end when it stops.",
        unit="s",
        least=0.1,
        most=600,
    )


@dataclass(frozen=True)
class EtcdSettings:
    """How to reach etcd."""

    endpoints: Sequence[str] = setting(
        ["127.0.0.1:2379"],
        "etcd's client addresses; a node begins with any of them.",
        form="endpoints",
    )
    timeout_s: float = setting(3.0, "Deadline of each call.", unit="s", least=0.1, most=60)
    ca: str = setting(
        "", "File (PEM) of the authority that signed etcd's certificates; empty is without TLS."
    )
    cert: str = setting("", "File (PEM) of this node's own certificate, if etcd asks for one.")
    key: str = setting("", "File (PEM) of the private key of `etcd.cert`, without a password.")
    user: str = setting("", "User of etcd; empty is without one.")
    password: str = setting(
        "",
        "Password of that user; it belongs into CRAWLER_ETCD_PASSWORD, not into a file.",
        secret=True,
    )


@dataclass(frozen=True)
class CoordinationSettings:
    """Names in etcd and the time until a silent node counts as gone."""

    lease_ttl_s: int = setting(
        5,
        "Time to live of a node's lease; etcd grants no less than 2.",
        unit="s",
        least=2,
        most=300,
    )
    resources: str = setting("/resources", "Prefix of the tasks' keys.", form="path")
    election: str = setting("/resources/election", "Prefix of the candidates' keys.", form="path")
    registry: str = setting("/micro/registry", "Prefix of the registrations.", form="path")
    worker_service: str = setting(
        "go.micro.server.worker", "Service name of workers.", form="service"
    )
    master_service: str = setting(
        "go.micro.server.master", "Service name of masters.", form="service"
    )
    tombstones: str = setting(
        "/crawler/tombstones", "Prefix of the notes on workers declared dead.", form="path"
    )
    snowflake: str = setting(
        "/crawler/snowflake", "Key of the highest id given out so far.", form="path"
    )
    scheduler: str = setting(
        "/crawler/scheduler",
        "Prefix of what people decided on the running cluster: the policy of the scheduler, and "
        "the workers that are cordoned.",
        form="path",
    )


@dataclass(frozen=True)
class SchedulerSettings:
    """How tasks are placed."""

    strategy: str = setting("least-load", "Name of the placement strategy.")
    plugins: Sequence[str] = setting([], "Further plugins, as Python modules.")
    disabled: Sequence[str] = setting([], "Names of plugins that are off; see `crawler plugins`.")
    weights: Mapping[str, float] = setting(
        {},
        "What the points of a plugin count, where that differs from its own default.",
        least=0,
        most=1_000_000_000,
    )
    ageing_s: float = setting(
        60.0,
        "Waiting so long counts as much as one more priority; 0 is without ageing.",
        unit="s",
        least=0,
        most=1_000_000,
    )
    group_label: str = setting(
        "group", "Label of tasks by which they are groups that share the workers; empty is without."
    )
    shares: Mapping[str, float] = setting(
        {},
        "Share of a group in the workers, beside those of the others; `*` is for all not named.",
        least=0.001,
        most=1_000_000,
    )
    most: Mapping[str, int] = setting(
        {},
        "Unfinished tasks a group may have on workers at once, 0 is without limit; `*` is for all "
        "not named.",
        least=0,
        most=1_000_000_000,
    )
    poison_after: int = setting(
        3,
        "A task is parked once so many workers died soon after they were given it; 0 is never.",
        least=0,
        most=1000,
    )
    poison_window_s: float = setting(
        300.0,
        "Only a worker that dies so soon after it was given a task can have died of it.",
        unit="s",
        least=1,
        most=1_000_000,
    )
    rebalance_moves: int = setting(
        0,
        "Tasks that may be moved at once to even out the load; a crawl that moves begins anew. "
        "0 is none.",
        least=0,
        most=100_000,
    )
    rebalance_s: float = setting(
        30.0, "How often tasks are moved to even out the load.", unit="s", least=1, most=86_400
    )
    rebalance_band: float = setting(
        0.2,
        "Share of the mean load by which a worker may differ from it before tasks are moved.",
        least=0,
        most=10,
    )
    cooldown_s: float = setting(
        600.0,
        "A task that was given to a worker is not moved again to even out the load for so long.",
        unit="s",
        least=0,
        most=1_000_000,
    )
    seed: bool = setting(
        True, "Whether the tasks of the file are added when a master begins to lead."
    )
    check_s: float = setting(
        10.0,
        "How often the leader checks that it leads and that all is placed.",
        unit="s",
        least=0.5,
        most=3600,
    )


@dataclass(frozen=True)
class ApiSettings:
    """How requests from outside are treated."""

    timeout_s: float = setting(
        5.0, "Deadline of a request that brings none of its own.", unit="s", least=0.1, most=300
    )
    max_request_bytes: int = setting(
        1_000_000, "Largest request body.", unit="bytes", least=65_536, most=1_500_000
    )
    rate: int = setting(
        2000,
        "Requests per second that one client address may make at this master; 0 is without limit.",
        least=0,
        most=1_000_000,
    )
    burst: int = setting(
        4000,
        "Requests that one client may make at once after a pause; then api.rate holds.",
        least=1,
        most=10_000_000,
    )


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker does beside crawling."""

    items: str = setting("items", "Folder of the items, a folder per task in it.")
    databases: Mapping[str, str] = setting(
        {},
        "Databases that tasks may write items to: name to URL, such as "
        "postgresql://user:password@host/database.",
        keys="name",
        secret=True,
    )
    report_s: float = setting(
        0.5,
        "How often a worker reports the counts of its tasks, at most.",
        unit="s",
        least=0.05,
        most=60,
    )
    max_running: int = setting(
        1000,
        "Tasks crawled at once; of others given to the worker the next begins when one ends.",
        least=1,
        most=100_000,
    )
    response_bytes: int = setting(
        256_000_000,
        "Bodies held at once, of all tasks together; beyond that nothing more is received.",
        unit="bytes",
        least=1_000_000,
        most=2**40,
    )
    private_targets: Sequence[str] = setting(
        [],
        "Networks that tasks may crawl though they are private, loopback or link-local, such as "
        "10.0.0.0/8; `all` is every one.",
        form="network",
    )
    cache_folder: str = setting("http-cache", "Folder of the HTTP cache.")
    cache_bytes: int = setting(
        1_000_000_000,
        "What the HTTP cache keeps at most; then the older half goes.",
        unit="bytes",
        least=1_000_000,
        most=2**50,
    )
    plugins: Sequence[str] = setting(
        [], "Modules with plugins of the crawl engine; see docs/hooks.md."
    )


@dataclass(frozen=True)
class LogSettings:
    """What is logged, and how."""

    level: str = setting(
        "info", "Least level that is logged.", one_of=("debug", "info", "warning", "error")
    )
    style: str = setting(
        "auto",
        "JSON lines, readable text, or text on a terminal only.",
        one_of=("auto", "json", "text"),
    )


@dataclass(frozen=True)
class Settings:
    """All of it, one section a field; sections are named like what they set up."""

    node: NodeSettings = field(default_factory=NodeSettings)
    etcd: EtcdSettings = field(default_factory=EtcdSettings)
    coordination: CoordinationSettings = field(default_factory=CoordinationSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    crawl: CrawlSettings = field(default_factory=CrawlSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    spiders: Sequence[Any] = ()
    """Python modules, files (.py, .yaml), or declarations in place; see docs/spiders.md."""
    tasks: Sequence[Spec] = ()
    """Seed tasks: added once, when their name is not in the cluster yet."""
    folder: str = "."
    """Where relative paths of the file start: the folder of the file itself."""

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
from crawler.settings import forms
from crawler.settings.crawl import CrawlSettings
from crawler.settings.setting import setting

IN_PROCESS = -1
"""The value of `worker.processes` with which the process of the worker crawls by itself."""


@dataclass(frozen=True)
class NodeSettings:
    """Who this process is to the other nodes."""

    id: str = setting(
        "",
        "Name of the node within its role. If empty, the node takes the lowest free number.",
        form=forms.NAME,
    )
    http: str = setting(
        "",
        "Address on which HTTP listens. If empty: :8081 for a master, :8080 for a worker.",
        form=forms.LISTEN,
    )
    grpc: str = setting(
        "",
        "Address on which gRPC listens. If empty: :9091 for a master, :9090 for a worker.",
        form=forms.LISTEN,
    )
    labels: Mapping[str, str] = setting(
        {}, "Labels of a worker, which plugins read. `gpu` is built in; see docs/hooks.md."
    )
    capacity: Mapping[str, float] = setting(
        {},
        "How much of each quantity a worker has, such as cpu, memory and gpu; see "
        "docs/constraints.md.",
        least=0,
        most=MOST_AMOUNT,
        keys=forms.QUANTITY,
    )
    taints: Sequence[str] = setting(
        [],
        "Taints keep tasks off a worker unless the tasks tolerate them. Write "
        "key=value:NoSchedule or key=value:PreferNoSchedule; see docs/constraints.md.",
        form=forms.TAINT,
    )
    hub_limit_s: float = setting(
        2.0,
        "How long a callback may compute without yielding. After that the node reports its stack, "
        "and does not renew its lease until the callback ends.",
        unit="s",
        least=0.1,
        most=600,
    )
    drain_s: float = setting(
        5.0,
        "How long a stopping node waits: for running callbacks to reach their next yield, and as "
        "a leader for its last write. Then it cuts them off.",
        unit="s",
        least=0,
        most=600,
    )
    stop_s: float = setting(
        10.0,
        "How long a stopping node waits for its greenlets to end.",
        unit="s",
        least=0.1,
        most=600,
    )


@dataclass(frozen=True)
class EtcdSettings:
    """How to reach etcd."""

    endpoints: Sequence[str] = setting(
        ["127.0.0.1:2379"],
        "Client addresses of etcd. A node starts with any of them.",
        form=forms.ENDPOINT,
    )
    timeout_s: float = setting(3.0, "Deadline of each call to etcd.", unit="s", least=0.1, most=60)
    ca: str = setting(
        "",
        "PEM file of the authority that signed etcd's certificates. If empty, the node does not "
        "use TLS.",
    )
    cert: str = setting("", "PEM file of this node's own certificate, if etcd asks for one.")
    key: str = setting("", "PEM file of the private key of `etcd.cert`, without a password.")
    user: str = setting("", "User of etcd. If empty, the node does not sign in.")
    password: str = setting(
        "",
        "Password of that user. Set it in CRAWLER_ETCD_PASSWORD, not in a file.",
        secret=True,
    )


@dataclass(frozen=True)
class CoordinationSettings:
    """Names in etcd and the time until a silent node counts as gone."""

    lease_ttl_s: int = setting(
        5,
        "Time to live of a node's lease. etcd grants no less than 2.",
        unit="s",
        least=2,
        most=300,
    )
    resources: str = setting("/resources", "Prefix of the tasks' keys.", form=forms.PATH)
    election: str = setting(
        "/resources/election", "Prefix of the candidates' keys.", form=forms.PATH
    )
    registry: str = setting("/micro/registry", "Prefix of the registrations.", form=forms.PATH)
    worker_service: str = setting(
        "go.micro.server.worker", "Service name of workers.", form=forms.SERVICE
    )
    master_service: str = setting(
        "go.micro.server.master", "Service name of masters.", form=forms.SERVICE
    )
    tombstones: str = setting(
        "/crawler/tombstones",
        "Prefix of the tombstones, which name workers that were declared dead.",
        form=forms.PATH,
    )
    snowflake: str = setting(
        "/crawler/snowflake", "Key of the highest id that was given out so far.", form=forms.PATH
    )
    scheduler: str = setting(
        "/crawler/scheduler",
        "Prefix of what people decided on the running cluster: the policy of the scheduler, and "
        "the cordoned workers.",
        form=forms.PATH,
    )


@dataclass(frozen=True)
class SchedulerSettings:
    """How the leader places tasks."""

    strategy: str = setting("least-load", "Name of the placement strategy.")
    plugins: Sequence[str] = setting([], "Further plugins, given as Python modules.")
    disabled: Sequence[str] = setting(
        [],
        "Names of the plugins that are turned off; see `crawler plugins`.",
    )
    weights: Mapping[str, float] = setting(
        {},
        "Weight of a plugin's points, where it differs from the plugin's own default.",
        least=0,
        most=1_000_000_000,
    )
    ageing_s: float = setting(
        60.0,
        "A task that waits this long gains one priority. With 0 priorities do not grow.",
        unit="s",
        least=0,
        most=1_000_000,
    )
    group_label: str = setting(
        "group",
        "Label that divides tasks into groups, which share the workers. If empty, there are no "
        "groups.",
    )
    shares: Mapping[str, float] = setting(
        {},
        "Share of each group in the workers, relative to the other groups. `*` stands for all "
        "groups that are not named.",
        least=0.001,
        most=1_000_000,
    )
    most: Mapping[str, int] = setting(
        {},
        "Maximum number of unfinished tasks that a group may have on workers; 0 means no limit. "
        "`*` stands for all groups that are not named.",
        least=0,
        most=1_000_000_000,
    )
    poison_after: int = setting(
        3,
        "The leader parks a task once this many different workers died soon after they got it, or "
        "processes that crawled it; 0 means never.",
        least=0,
        most=1000,
    )
    poison_window_s: float = setting(
        300.0,
        "The leader blames a task for the death of a worker only if the worker died within this "
        "time after it got the task.",
        unit="s",
        least=1,
        most=1_000_000,
    )
    poison_pause_s: float = setting(
        60.0,
        "First pause of such a task. Then it is tried again. The pause doubles each time, up to an "
        "hour.",
        unit="s",
        least=0.1,
        most=1_000_000,
    )
    rebalance_moves: int = setting(
        0,
        "How many running tasks the leader may move at once to even out the load; 0 means none. A "
        "crawl that moves to another machine starts from its beginning, unless frontier.url is "
        "set.",
        least=0,
        most=100_000,
    )
    rebalance_s: float = setting(
        30.0,
        "How often the leader moves tasks to even out the load.",
        unit="s",
        least=1,
        most=86_400,
    )
    rebalance_band: float = setting(
        0.2,
        "How far a worker's load may differ from the mean, as a share of the mean, before the "
        "leader moves tasks.",
        least=0,
        most=10,
    )
    cooldown_s: float = setting(
        600.0,
        "After a worker got a task, the leader does not move the task to even out the load for "
        "this long.",
        unit="s",
        least=0,
        most=1_000_000,
    )
    seed: bool = setting(True, "Whether a new leader adds the tasks of the file.")
    check_s: float = setting(
        10.0,
        "How often the leader checks that it still leads and that all tasks are placed.",
        unit="s",
        least=0.5,
        most=3600,
    )


@dataclass(frozen=True)
class ApiSettings:
    """How a node treats requests from outside."""

    timeout_s: float = setting(
        5.0, "Deadline of a request that sets none itself.", unit="s", least=0.1, most=300
    )
    max_request_bytes: int = setting(
        1_000_000, "Largest request body.", unit="bytes", least=65_536, most=1_500_000
    )
    rate: int = setting(
        2000,
        "Requests per second that one client address may send to this master; 0 means no limit.",
        least=0,
        most=1_000_000,
    )
    burst: int = setting(
        4000,
        "Requests that one client address may send at once after a pause. After that api.rate "
        "limits it.",
        least=1,
        most=10_000_000,
    )


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker does besides crawling."""

    items: str = setting("items", "Folder of the items. Each task has a folder in it.")
    databases: Mapping[str, str] = setting(
        {},
        "Databases to which tasks may write items: name to URL, such as "
        "postgresql://user:password@host/database.",
        keys=forms.NAME,
        secret=True,
    )
    report_s: float = setting(
        0.5,
        "A worker reports the counts of its tasks at most this often.",
        unit="s",
        least=0.05,
        most=60,
    )
    max_running: int = setting(
        1000,
        "Maximum number of tasks that a worker crawls at once. Its other tasks wait until one "
        "ends.",
        least=1,
        most=100_000,
    )
    processes: int = setting(
        IN_PROCESS,
        "How many processes crawl the tasks. 0 means one for each core that this worker may use; "
        "-1 means that the process of the worker crawls them itself.",
        least=-1,
        most=1024,
    )
    process_memory: int = setting(
        0,
        "A process that takes more memory gets no further tasks, and another one takes its place. "
        "At one and a half times as much it is killed. 0 means no limit.",
        unit="bytes",
        least=0,
        most=2**50,
    )
    run_as: str = setting(
        "",
        "User of this machine as whom these processes run. If empty, they run as the user of the "
        "worker.",
        form=forms.USER_NAME,
    )
    fork: bool = setting(
        True,
        "Whether these processes are forked from one that has loaded the engine. If not, each is "
        "started anew, which costs more time and memory.",
    )
    response_bytes: int = setting(
        256_000_000,
        "Maximum number of bytes of response bodies that a worker holds, for all tasks together. "
        "Beyond that it receives nothing more.",
        unit="bytes",
        least=1_000_000,
        most=2**40,
    )
    private_targets: Sequence[str] = setting(
        [],
        "Private, loopback or link-local networks that tasks may crawl, such as 10.0.0.0/8. `all` "
        "allows every address.",
        form=forms.NETWORK,
    )
    cache_folder: str = setting("http-cache", "Folder of the HTTP cache.")
    cache_bytes: int = setting(
        1_000_000_000,
        "Maximum number of bytes that the HTTP cache keeps. When it is full, the older half is "
        "deleted.",
        unit="bytes",
        least=1_000_000,
        most=2**50,
    )
    plugins: Sequence[str] = setting(
        [], "Modules with plugins for the crawl engine; see docs/hooks.md."
    )


@dataclass(frozen=True)
class FrontierSettings:
    """Where tasks keep what their crawls still have to do, so that they go on there; see
    docs/crawling-on.md."""

    url: str = setting(
        "",
        "Redis that keeps it, for all workers: redis://host:port/db, "
        "redis+sentinel://host:port,host:port/service/db or redis+cluster://host:port,host:port. "
        "rediss:// and so on use TLS. If empty, each machine keeps it in files.",
        form=forms.REDIS,
        secret=True,
    )
    password: str = setting(
        "",
        "Password of Redis. Set it in CRAWLER_FRONTIER_PASSWORD, not in a file.",
        secret=True,
    )
    ca: str = setting(
        "",
        "PEM file of the authority that signed the certificates of Redis. If empty, those that the "
        "machine trusts count.",
    )
    cert: str = setting("", "PEM file of this node's own certificate, if Redis asks for one.")
    key: str = setting("", "PEM file of the private key of `frontier.cert`, without a password.")
    folder: str = setting(
        "frontier",
        "Folder of the states of the tasks, if `frontier.url` is empty. The workers of one machine "
        "share it.",
    )
    keep_s: float = setting(
        604_800.0,
        "A worker removes a state that no run has used for this long. A week outlasts a machine "
        "that is away over some days off.",
        unit="s",
        least=1,
        most=315_360_000,
    )


@dataclass(frozen=True)
class LogSettings:
    """What a node logs, and how."""

    level: str = setting(
        "info", "Lowest level that is logged.", one_of=("debug", "info", "warning", "error")
    )
    style: str = setting(
        "auto",
        "json writes JSON lines, text readable lines. auto writes text on a terminal, else JSON "
        "lines.",
        one_of=("auto", "json", "text"),
    )


@dataclass(frozen=True)
class Settings:
    """All settings, with one field for each section."""

    node: NodeSettings = field(default_factory=NodeSettings)
    etcd: EtcdSettings = field(default_factory=EtcdSettings)
    coordination: CoordinationSettings = field(default_factory=CoordinationSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    frontier: FrontierSettings = field(default_factory=FrontierSettings)
    crawl: CrawlSettings = field(default_factory=CrawlSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    spiders: Sequence[Any] = ()
    """Python modules, files (.py, .yaml), or declarations in place; see docs/spiders.md."""
    tasks: Sequence[Spec] = ()
    """The seed tasks. A leader adds each one whose name is missing in the cluster."""
    folder: str = "."
    """The folder of the settings file, from which relative paths start."""

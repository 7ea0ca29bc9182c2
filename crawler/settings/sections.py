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
from crawler.settings.alerts import AlertSettings
from crawler.settings.crawl import CrawlSettings
from crawler.settings.deploy import DeploySettings
from crawler.settings.oidc import OidcSettings
from crawler.settings.scheduler import SchedulerSettings
from crawler.settings.setting import setting
from crawler.settings.tracing import TracingSettings
from crawler.settings.worker import FrontierSettings, WorkerSettings


@dataclass(frozen=True, repr=False)
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
        "How long a callback may compute without yielding. After that the node reports its stack. "
        "If the callback runs in the node's own process, the lease is not renewed until it ends.",
        unit="s",
        least=0.1,
        most=600,
    )
    guard: bool = setting(
        True,
        "Whether the node has a guard: a small process that stops the crawls of a node that hangs, "
        "and gives up the lease of one that died. Linux only.",
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


@dataclass(frozen=True, repr=False)
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


@dataclass(frozen=True, repr=False)
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
    access: str = setting(
        "/crawler/access",
        "Prefix of the tokens, and key of the secret by which nodes know each other.",
        form=forms.PATH,
    )
    schedules: str = setting("/crawler/schedules", "Prefix of the schedules.", form=forms.PATH)
    projects: str = setting(
        "/crawler/projects", "Prefix of the deployed projects.", form=forms.PATH
    )
    alerts: str = setting(
        "/crawler/alerts", "Prefix of the rules of alerts, and of what they found.", form=forms.PATH
    )


@dataclass(frozen=True, repr=False)
class ApiSettings(OidcSettings):
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
    open: bool = setting(
        False, "Everybody who reaches a port of this node may do everything, without a token."
    )
    trusted: Sequence[str] = setting(
        [],
        "Networks whose callers need no token and may do everything, as 10.0.0.0/8.",
        form=forms.CALLERS,
    )
    dashboard: bool = setting(
        True, "Whether a master serves the web page, at /dashboard of its HTTP port."
    )


@dataclass(frozen=True, repr=False)
class TlsSettings:
    """TLS of a node's own servers, and of its calls to other nodes; see docs/security.md."""

    ca: str = setting(
        "",
        "PEM file of the authority that signed the certificates of all nodes. By it nodes verify "
        "each other, and the certificates of clients.",
    )
    cert: str = setting(
        "",
        "PEM file of this node's own certificate, followed by those between it and the authority. "
        "It must name the host under which other nodes reach this one. If empty, the node serves "
        "without TLS.",
    )
    key: str = setting("", "PEM file of the private key of `tls.cert`, without a password.")
    client_certificates: str = setting(
        "none",
        "Who must show a certificate of `tls.ca`: nobody; all who come over gRPC, which are the "
        "other nodes and the command line; or all.",
        one_of=("none", "grpc", "all"),
    )


@dataclass(frozen=True, repr=False)
class SecretsSettings:
    """The keys that keep secrets of tasks from whoever can read etcd."""

    key: Sequence[str] = setting(
        [],
        "Keys for the secrets of tasks, made by `crawler secret key`: the same for all masters and "
        "workers. The first encrypts, and each decrypts. Give them as file:PATH or ${NAME}.",
        form=forms.SECRET_KEY,
        secret=True,
    )


@dataclass(frozen=True, repr=False)
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
    audit: str = setting(
        "",
        "File to which each change that a caller asks for is appended as a JSON line, and each "
        "refusal; - means standard output. Without a file they are lines of the log.",
    )
    audit_adds: bool = setting(
        False, "Whether the audit has each added task, too. There may be thousands a second."
    )
    folder: str = setting(
        "logs",
        "Folder of the logs of runs, which `crawler logs` shows. The workers of one machine share "
        "it. If empty, a worker keeps none.",
    )
    run_bytes: int = setting(
        10_000_000,
        "Maximum number of bytes that the log of one run keeps. Beyond that its oldest lines are "
        "dropped, a quarter at a time.",
        unit="bytes",
        least=4096,
        most=2**40,
    )
    total_bytes: int = setting(
        1_000_000_000,
        "Maximum number of bytes that the logs of all runs keep on one machine. Beyond that the "
        "oldest files are removed.",
        unit="bytes",
        least=65_536,
        most=2**50,
    )
    keep_s: float = setting(
        1_209_600.0,
        "A worker removes the log of a run when nothing was added to it for this long.",
        unit="s",
        least=1,
        most=315_360_000,
    )


@dataclass(frozen=True, repr=False)
class HistorySettings:
    """Where the history of the tasks is kept, and for how long."""

    url: str = setting(
        "sqlite:///history.db",
        "Database of the history: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE. "
        "Several machines need PostgreSQL. If empty, no history is kept; see docs/history.md.",
        form=forms.HISTORY,
        secret=True,
    )
    keep_days: float = setting(
        90.0, "How many days an event is kept; 0 means for ever.", unit="days", least=0
    )


@dataclass(frozen=True, repr=False)
class ItemsSettings:
    """Where the finished items of all workers go; see docs/items.md."""

    url: str = setting(
        "",
        "Place to which workers move finished files of items: s3://bucket/folder, "
        "gs://bucket/folder, or a folder that all machines share, as /mnt/items. If empty, they "
        "stay on each machine.",
        form=forms.SHARED,
        secret=True,
    )


@dataclass(frozen=True, repr=False)
class Settings:
    """All settings, with one field for each section."""

    node: NodeSettings = field(default_factory=NodeSettings)
    etcd: EtcdSettings = field(default_factory=EtcdSettings)
    coordination: CoordinationSettings = field(default_factory=CoordinationSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    items: ItemsSettings = field(default_factory=ItemsSettings)
    frontier: FrontierSettings = field(default_factory=FrontierSettings)
    crawl: CrawlSettings = field(default_factory=CrawlSettings)
    secrets: SecretsSettings = field(default_factory=SecretsSettings)
    deploy: DeploySettings = field(default_factory=DeploySettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    spiders: Sequence[Any] = ()
    """Python modules, files (.py, .yaml), or declarations in place; see docs/spiders.md."""
    tasks: Sequence[Spec] = ()
    """The seed tasks. A leader adds each one whose name is missing in the cluster."""
    folder: str = "."
    """The folder of the settings file, from which relative paths start."""

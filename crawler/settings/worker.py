"""The sections `worker` and `frontier` of the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.settings import forms
from crawler.settings.setting import setting

IN_PROCESS = -1
"""The value of `worker.processes` with which the process of the worker crawls by itself."""


@dataclass(frozen=True, repr=False)
class WorkerSettings:
    """What a worker does besides crawling."""

    items: str = setting("items", "Folder of the items. Each task has a folder in it.")
    databases: Mapping[str, str] = setting(
        {},
        "Databases to which tasks may write items: name to URL, such as "
        "postgresql://user:password@host/database. Each crawl process has a connection of its own.",
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
        0,
        "How many processes crawl the tasks. 0 means one for each core that this worker may use, "
        "by its affinity and the CPU quotas of its cgroups; -1 means that the process of the "
        "worker crawls them itself.",
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


@dataclass(frozen=True, repr=False)
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

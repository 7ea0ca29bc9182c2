"""A real cluster on this machine: etcd, masters, workers and the demo site, each in its process.

It is for trying things out and for tests. Everything listens only on loopback. The parts start in
the order of their dependencies, and stop in reverse order, whatever happens in between.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crawler.clock import Clock, SystemClock
from crawler.coordination.sealing import new_key
from crawler.errors import ConfigError, CrawlerError, Unavailable
from crawler.local.etcd import EmbeddedEtcd
from crawler.local.ports import free_ports, is_free
from crawler.local.processes import LocalProcess
from crawler.settings import config as config_files
from crawler.settings import tls_files
from crawler.settings.sections import HistorySettings, Settings

HOST = "127.0.0.1"
READY_S = 30.0
"""How many seconds the nodes may take until they are ready."""
_OWN_ETCD = {f"CRAWLER_ETCD_{name}": "" for name in ("CA", "CERT", "KEY", "USER", "PASSWORD")}
"""The local etcd uses neither TLS nor users, whatever the settings say about etcd."""
KEY_FILE = "secrets.key"
"""The file of the key for the secrets of tasks, in the folder of the cluster."""
ATTEMPTS = 3
"""How often the nodes are started if other programs take their ports first."""


class ClusterFailed(CrawlerError):
    """A process of the local cluster did not start, or ended."""


class PortTaken(ClusterFailed):
    """Another program took a port that had been free."""


@dataclass(frozen=True, slots=True)
class LocalNode:
    """A node of the local cluster."""

    role: str
    name: str
    http: str
    """host:port"""
    grpc: str
    """host:port"""
    process: LocalProcess

    @property
    def title(self) -> str:
        """The name for people, such as `master 1`."""
        return f"{self.role} {self.name}"


class LocalCluster:
    """Masters and workers with their own etcd. Use it as a context manager."""

    def __init__(
        self,
        config: str | None,
        *,
        masters: int = 2,
        workers: int = 2,
        environment: Mapping[str, str] | None = None,
        usual_ports: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """`usual_ports` means the well-known ports, where they are free."""
        self.folder = Path(tempfile.mkdtemp(prefix="crawler-"))
        """The folder of the processes' logs. It is kept if something failed."""
        self.keeps_logs = False
        """Whether that folder is kept in any case."""
        self.etcd = EmbeddedEtcd(port=_port(2379) if usual_ports else 0)
        self.nodes: list[LocalNode] = []
        self._config = config
        self._clock = clock or SystemClock()
        self._environment = {
            "CRAWLER_SCHEDULER_SEED": "false",  # tasks are submitted once all workers are there
            "CRAWLER_LOGS_STYLE": "json",
            "CRAWLER_WORKER_PRIVATE_TARGETS": "all",  # as for all that the command line runs
            **_OWN_ETCD,
            "CRAWLER_SECRETS_KEY": f"file:{_new_key(self.folder)}",
            **(environment or {}),
        }
        settings = config_files.load(config, {**os.environ, **self._environment})
        if settings.history.url == HistorySettings().url:  # a history is of one etcd
            self._environment["CRAWLER_HISTORY_URL"] = f"sqlite:///{self.folder}/history.db"
        self.scheme = "https" if settings.tls.cert else "http"
        """The scheme of the URLs of its nodes."""
        self.ca = str(Path(settings.folder, settings.tls.ca)) if settings.tls.cert else ""
        """The file of their authority; empty without TLS."""
        self.pem = (
            tls_files.read("tls", settings.tls, settings.folder) if settings.tls.cert else None
        )
        """What reaches them by gRPC; None without TLS."""
        self.context = tls_context(settings)
        """What reaches them over https; None without TLS."""
        self._wanted = [("master", str(n)) for n in range(1, masters + 1)]
        self._wanted += [("worker", str(n)) for n in range(1, workers + 1)]
        self._usual_ports = usual_ports

    def __enter__(self) -> LocalCluster:
        try:
            self.start()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind in (None, KeyboardInterrupt) and not self.keeps_logs:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def masters(self) -> Sequence[LocalNode]:
        """The masters."""
        return [node for node in self.nodes if node.role == "master"]

    @property
    def workers(self) -> Sequence[LocalNode]:
        """The workers."""
        return [node for node in self.nodes if node.role == "worker"]

    def start(self) -> None:
        """Start all processes, and wait until each node is ready. Raises ClusterFailed,
        ConfigError."""
        self._start_etcd()
        for attempt in range(1, ATTEMPTS + 1):
            ports = _ports(len(self._wanted), self._usual_ports and attempt == 1)
            try:
                self._start_nodes(ports)
                return
            except PortTaken:
                if attempt == ATTEMPTS:
                    raise
                self._stop_nodes()

    def stop(self) -> None:
        """Stop all processes, workers first. It may be called again."""
        self._stop_nodes()
        self.etcd.stop()
        (self.folder / KEY_FILE).unlink(missing_ok=True)  # what it opens is gone too
        for file in self.folder.glob("history.db*"):  # it is of an etcd that is gone
            file.unlink(missing_ok=True)

    def wait_until_ready(self, node: LocalNode) -> None:
        """Wait for /readyz. Raises ClusterFailed with the end of the node's log."""
        deadline_s = self._clock.monotonic() + READY_S
        while not is_ready(node.http, self.context):
            self.check()
            if self._clock.monotonic() > deadline_s:
                raise ClusterFailed(
                    f"{node.title} is not ready after {READY_S:.0f} s; "
                    f"the end of its log:\n{node.process.tail()}"
                )
            self._clock.sleep(0.05)

    def fallen(self) -> Sequence[LocalNode]:
        """The nodes that have ended by themselves."""
        return [node for node in self.nodes if not node.process.alive]

    def check(self) -> None:
        """Raise ClusterFailed if a node has ended by itself."""
        for node in self.fallen():
            written = node.process.tail()
            family = PortTaken if "cannot listen at" in written else ClusterFailed
            raise family(
                f"{node.title} ended with status {node.process.exit_code}; "
                f"the end of its log:\n{written}"
            )

    def _start_etcd(self) -> None:
        try:
            self.etcd.start()
        except ConfigError:
            if not self._usual_ports:
                raise
            self.etcd = EmbeddedEtcd()  # its usual port was taken meanwhile
            self.etcd.start()

    def _start_nodes(self, ports: Sequence[tuple[int, int]]) -> None:
        self.nodes = [
            self._node(role, name, f"{HOST}:{http}", f"{HOST}:{grpc}")
            for (role, name), (http, grpc) in zip(self._wanted, ports)
        ]
        for node in self.nodes:
            node.process.start()
        for node in self.nodes:
            self.wait_until_ready(node)

    def _stop_nodes(self) -> None:
        for node in reversed(self.nodes):
            node.process.stop()

    def _node(self, role: str, name: str, http: str, grpc: str) -> LocalNode:
        command = [sys.executable, "-m", "crawler", role]
        command += [f"--id={name}", f"--http={http}", f"--grpc={grpc}"]
        command += [f"--etcd={self.etcd.endpoint}"]
        command += [f"--config={self._config}"] if self._config else []
        process = LocalProcess(
            f"{role}-{name}", command, self._environment, self.folder / f"{role}-{name}.log"
        )
        return LocalNode(role, name, http, grpc, process)


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what reaches the nodes of this machine over https; None if they serve without TLS."""
    tls = settings.tls
    if not tls.cert:
        return None
    tls_files.check("tls", tls, settings.folder)
    ca, cert, key = (Path(settings.folder, file) for file in (tls.ca, tls.cert, tls.key))
    made = ssl.create_default_context(cafile=str(ca))
    made.load_cert_chain(cert, key)
    return made


def get_json(
    url: str, timeout_s: float = 5.0, context: ssl.SSLContext | None = None, token: str = ""
) -> Any:
    """Return the JSON at a URL on this machine. Raises Unavailable."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s, context=context) as answer:
            return json.load(answer)
    except (
        OSError,
        ValueError,
        http.client.HTTPException,
    ) as error:  # another may have the port
        raise Unavailable(f"{url}: {error}") from error


def is_ready(address: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether the node at that address reports that it is ready: with a context, over https."""
    scheme = "http" if context is None else "https"
    try:
        get_json(f"{scheme}://{address}/readyz", 1.0, context)
    except Unavailable:
        return False
    return True


def _new_key(folder: Path) -> Path:
    """Make a key for the secrets of tasks, which is as old as the local etcd, and nobody else
    reads."""
    file = folder / KEY_FILE
    file.touch(mode=0o600)
    file.write_text(f"{new_key()}\n")
    return file


def _port(usual: int) -> int:
    return usual if is_free(usual) else 0


def _ports(count: int, usual: bool) -> Sequence[tuple[int, int]]:
    """Return a port for HTTP and one for gRPC for each node: the usual ones from 8081 and 9091
    on."""
    free = iter(free_ports(2 * count))
    pairs = [(next(free), next(free)) for _ in range(count)]
    if not usual:
        return pairs
    wanted = [(8081 + n, 9091 + n) for n in range(count)]
    return [
        (http if is_free(http) else spare_http, grpc if is_free(grpc) else spare_grpc)
        for (http, grpc), (spare_http, spare_grpc) in zip(wanted, pairs)
    ]

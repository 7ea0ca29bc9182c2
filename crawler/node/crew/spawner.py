"""Starts crawl processes by a zygote, from a worker that has a hub and gRPC's threads."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import gevent
from gevent.event import AsyncResult, Event
from gevent.socket import wait_read

from crawler.errors import CrawlerError
from crawler.logs import get_logger
from crawler.node.crew.child import GIVEN_PATH
from crawler.settings.sections import Settings
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

LOAD_S = 60.0
"""The seconds that a zygote may take to load the engine."""
TOLD_S = 1.0
"""The seconds in which a zygote tells how a process has ended."""
_MODULE = "crawler.node.crew.zygote"
_MESSAGE_BYTES = 4096
_SECRETS = (
    *(
        "CRAWLER_ETCD",
        "CRAWLER_API",
        "CRAWLER_NODE",
        "CRAWLER_SECRETS",
        "CRAWLER_HISTORY",
        "CRAWLER_ALERTS",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "CRAWLER_DEPLOY",
        "CRAWLER_ITEMS",
    ),
    "CRAWLER_TOKEN",  # commands take it from there
)
"""The beginnings of the variables of the environment that no crawl process needs."""


class SpawnFailed(CrawlerError):
    """No process could be started."""


class Born(NamedTuple):
    """A process that has been started."""

    pid: int
    pidfd: int


class Spawner(Protocol):
    """What starts processes: a zygote, or the system itself (`launcher.py`)."""

    pid: int
    """The parent of the processes."""
    ended: Event
    """Set when it starts none any more."""

    def start(self, number: int, files: tuple[int, ...], user: str) -> Born:
        """Start a process as that user, that gets these files. Raises SpawnFailed."""
        ...

    def exit_of(self, pid: int) -> int | None:
        """How a process that is gone has ended: its status, or the negative number of a signal;
        None if nobody knows."""
        ...

    def close(self) -> None:
        """End it. Its processes have ended."""
        ...


class Zygote:
    """One zygote: it lives until it is closed, or dies."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        """No process gets a variable of the environment whose value is one of these secrets."""
        self._supervisor = Supervisor("zygote")
        self._waiting: dict[int, AsyncResult] = {}
        self._exits: dict[int, AsyncResult] = {}
        self.ended = Event()
        """Set when it is gone. All its processes go with it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-m", _MODULE, "0", str(os.getpid())],
                environment(os.environ, secrets),
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
                setsid=True,
            )
        except OSError as error:
            ours.close()
            raise SpawnFailed(f"no process can be started: {error}") from error
        finally:
            theirs.close()
        self._pidfd = os.pidfd_open(self.pid)
        self._supervisor.spawn("reader", self._read, on_end=OnEnd.LOG)

    def start(self, number: int, files: tuple[int, ...], user: str) -> Born:
        """Have a process forked that gets these files. Raises SpawnFailed."""
        self._waiting[number] = born = AsyncResult()
        order = json.dumps({"number": number, "user": user}).encode()
        try:
            socket.send_fds(self._socket, [order], list(files))
            told: Born = born.get(timeout=LOAD_S)
        except (OSError, gevent.Timeout) as error:
            raise SpawnFailed(f"no crawl process can be started: {error}") from error
        finally:
            self._waiting.pop(number, None)
        return told

    def exit_of(self, pid: int) -> int | None:
        """How a process that is gone has ended: its status, or the negative number of a signal;
        None if nobody knows, because the zygote is gone too."""
        try:
            status: int | None = self._exits[pid].get(timeout=TOLD_S)
        except (KeyError, gevent.Timeout):
            return None
        finally:
            self._exits.pop(pid, None)
        return status

    def close(self) -> None:
        """End it. Its processes have ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._supervisor.stop(1.0)
        self._socket.close()
        wait_read(self._pidfd)
        with suppress(ChildProcessError):  # gevent's own watch of children may have been faster
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        os.close(self._pidfd)

    def _read(self) -> None:
        try:
            while True:
                data, files, _, _ = socket.recv_fds(self._socket, _MESSAGE_BYTES, 1)
                if not data:
                    return
                for file in files:
                    os.set_inheritable(file, False)
                told = json.loads(data)
                if "forked" in told:
                    self._exits[told["pid"]] = AsyncResult()
                    self._give(told["forked"], Born(told["pid"], files[0]))
                elif "failed" in told and told["failed"] in self._waiting:
                    failed = SpawnFailed(f"no crawl process can be started: {told['why']}")
                    self._waiting[told["failed"]].set_exception(failed)
                elif told.get("gone") in self._exits:
                    self._exits[told["gone"]].set(told["status"])
        except OSError:
            return
        finally:
            self.ended.set()
            for status in self._exits.values():
                status.set(None)
            for born in self._waiting.values():
                born.set_exception(SpawnFailed("the process that forks crawl processes has ended"))

    def _give(self, number: int, born: Born) -> None:
        """Give a process to who waits for it; end it if nobody does any more."""
        if number in self._waiting:
            self._waiting[number].set(born)
            return
        signal.pidfd_send_signal(born.pidfd, signal.SIGKILL)
        os.close(born.pidfd)


def secrets_of(settings: Settings) -> Collection[str]:
    """The values that open the cluster, under whatever name the environment has them."""
    keys = settings.secrets.key
    urls = (settings.history.url, settings.deploy.url, settings.items.url)
    given = (settings.etcd.password, *keys, ",".join(keys), *(url for url in urls if "@" in url))
    return [secret for secret in given if secret]


def without_secrets(given: Mapping[str, str], secrets: Collection[str]) -> dict[str, str]:
    """The environment of a process that may run code of a spider or of a package: without what
    opens the cluster."""
    return {
        name: value
        for name, value in given.items()
        if not name.startswith(_SECRETS) and value not in secrets
    }


def environment(
    given: Mapping[str, str], secrets: Collection[str], path: Sequence[str] = ()
) -> dict[str, str]:
    """The environment of a crawl process: without what opens the cluster, and with the way to
    modules, which the process forgets (`forget_path`). It is ours if `path` is empty."""
    kept = without_secrets(given, secrets)
    way = os.pathsep.join(path or [each or os.getcwd() for each in sys.path])
    return {**kept, GIVEN_PATH: kept.get("PYTHONPATH", ""), "PYTHONPATH": way}

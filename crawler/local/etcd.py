"""A real etcd of one member on the loopback interface, for laptops and tests.

It serves this program and dies with it. It promises no durability: writes are not synced to the
disk. Without a given folder, the data is gone after `stop`.
"""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crawler.clock import Clock, SystemClock
from crawler.errors import ConfigError, Unavailable
from crawler.local.etcd_binary import binary
from crawler.local.ports import free_ports, is_free
from crawler.local.processes import LocalProcess
from crawler.logs import get_logger

log = get_logger(__name__)

_ATTEMPTS = 3
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files (PEM) with which etcd uses TLS, and requires certificates of its clients.

    This program's health check and etcdctl show the same certificate.
    """

    ca: Path
    cert: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        """Return the context for HTTPS to that etcd."""
        made = ssl.create_default_context(cafile=str(self.ca))
        made.load_cert_chain(self.cert, self.key)
        return made


class EmbeddedEtcd:
    """etcd as a child process.

    With `data_dir` the data stays there after `stop`. Otherwise it is in a temporary folder. Port 0
    chooses a free one, which stays the same over `restart`. `flags` are further flags of etcd:
    `{"quota-backend-bytes": "2000000"}`.
    """

    def __init__(
        self,
        data_dir: str | Path | None = None,
        port: int = 0,
        *,
        tls: Certificates | None = None,
        flags: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._tls = tls
        self._flags = dict(flags or {})
        self._given_dir = None if data_dir is None else Path(data_dir)
        self._port = port
        self._client_port = port
        self._name = ""
        self._clock = clock or SystemClock()
        self._folder: Path | None = None
        self._process: LocalProcess | None = None

    @property
    def endpoint(self) -> str:
        """The host:port of its client interface."""
        return f"127.0.0.1:{self._client_port}"

    @property
    def pid(self) -> int | None:
        """Its process number while it runs, else None."""
        return self._process.pid if self._process is not None else None

    def start(self, deadline_s: float = 15.0) -> None:
        """Start it and wait until it answers. Does nothing if it runs already.

        Raises ConfigError if there is no etcd to start or its port is taken, and Unavailable if it
        ends or stays silent until the deadline. Both have the last lines of its log.
        """
        if self._process is not None:
            return
        self._folder = self._given_dir or Path(tempfile.mkdtemp(prefix="crawler-etcd-"))
        try:
            self._process = self._started(self._folder, deadline_s)
        except BaseException:
            self.stop()
            raise

    def stop(self, deadline_s: float = 5.0) -> None:
        """Stop it, and remove its folder if that is temporary. It may be called again."""
        if self._process is not None:
            self._process.stop(deadline_s)
            self._process = None
        if self._folder is not None and self._given_dir is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def kill(self) -> None:
        """End it as a power cut would. `restart` starts it again with its data."""
        self._running().kill()

    def pause(self) -> None:
        """Pause it. Its connections stay open, and nothing answers."""
        self._running().pause()

    def resume(self) -> None:
        """Let it run again after `pause`."""
        self._running().resume()

    def restart(self, deadline_s: float = 15.0) -> None:
        """Stop it if it runs, and start it with the same port and data."""
        process = self._running()
        process.stop()
        process.start()
        self._wait_until_it_answers(process, deadline_s)

    def etcdctl(self, *arguments: str, timeout_s: float = 30.0) -> str:
        """Run its etcdctl against it. Return the output.

        Raises Unavailable with etcdctl's message if it fails.
        """
        command = [f"--endpoints={self.endpoint}", *arguments]
        if self._tls is not None:
            tls = self._tls
            command = [f"--cacert={tls.ca}", f"--cert={tls.cert}", f"--key={tls.key}", *command]
        return run_etcdctl(command, timeout_s)

    def _running(self) -> LocalProcess:
        if self._process is None:
            raise Unavailable("etcd was not started")
        return self._process

    def _started(self, folder: Path, deadline_s: float) -> LocalProcess:
        if self._port and not is_free(self._port):
            # A program that listens there may even be another etcd, and answer instead of this one.
            raise ConfigError(f"port {self._port} is taken; stop what listens there, or use 0")
        for attempt in range(1, _ATTEMPTS + 1):
            process = self._prepared(folder, attempt)
            try:
                process.start()
                self._wait_until_it_answers(process, deadline_s)
                return process
            except BaseException as error:
                process.kill()
                # Another program took the free port first. The next attempt takes another port.
                if not isinstance(error, ConfigError) or self._port or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _prepared(self, folder: Path, attempt: int) -> LocalProcess:
        client_port, peer_port = free_ports(2)
        self._client_port = self._port or client_port
        self._name = f"local-{peer_port}"
        command = self._command(folder, peer_port)
        return LocalProcess("etcd", command, {}, folder / f"etcd-{attempt}.log")

    def _command(self, folder: Path, peer_port: int) -> list[str]:
        scheme = "http" if self._tls is None else "https"
        client, peer = f"{scheme}://{self.endpoint}", f"http://127.0.0.1:{peer_port}"
        flags = {
            "name": self._name,
            "data-dir": str(folder / "data"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"{self._name}={peer}",
            "unsafe-no-fsync": "true",
            # A single member needs no other votes. By default it takes a second to find that out.
            # It wakes at each heartbeat: at 10 ms, an idle one takes 2 % of a processor.
            "heartbeat-interval": "50",
            "election-timeout": "250",
            "log-level": "warn",
            **_tls_flags(self._tls),
            **self._flags,
        }
        return [binary("etcd"), *(f"--{name}={value}" for name, value in flags.items())]

    def _wait_until_it_answers(self, process: LocalProcess, deadline_s: float) -> None:
        end_s = self._clock.monotonic() + deadline_s
        while not is_healthy(self.endpoint, self._tls):
            if not process.alive:
                raise start_failure(process, f"etcd ended with exit code {process.exit_code}")
            if self._clock.monotonic() > end_s:
                raise start_failure(process, f"etcd did not answer within {deadline_s} s")
            self._clock.sleep(_POLL_S)
        if self._name not in _members(self.endpoint, self._tls):
            # Another etcd was started there after the check of the port.
            raise ConfigError(f"port {self._client_port} is taken by another etcd")


def run_etcdctl(arguments: Sequence[str], timeout_s: float) -> str:
    """Return the output of etcdctl. Raises Unavailable with its message."""
    try:
        done = subprocess.run(
            [binary("etcdctl"), f"--command-timeout={timeout_s:g}s", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"etcdctl did not end within {timeout_s} s") from error
    if done.returncode != 0:
        raise Unavailable(f"etcdctl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def is_healthy(endpoint: str, tls: Certificates | None = None) -> bool:
    """Whether the etcd there can serve. A full one can, except for writes."""
    return b'"true"' in ask(endpoint, "GET", "/health?exclude=NOSPACE", tls=tls)


def _members(endpoint: str, tls: Certificates | None) -> list[str]:
    """Return the names of the members of the etcd that answers there."""
    answer = json.loads(ask(endpoint, "POST", "/v3/cluster/member/list", b"{}", tls) or b"{}")
    return [member.get("name", "") for member in answer.get("members", [])]


def _tls_flags(tls: Certificates | None) -> dict[str, str]:
    if tls is None:
        return {}
    return {
        "cert-file": str(tls.cert),
        "key-file": str(tls.key),
        "trusted-ca-file": str(tls.ca),
        "client-cert-auth": "true",
    }


def ask(
    endpoint: str,
    method: str,
    path: str,
    body: bytes | None = None,
    tls: Certificates | None = None,
) -> bytes:
    """Return the answer to an HTTP request; empty if there is none."""
    # Not urllib, which would use a proxy of the environment.
    connection = (
        http.client.HTTPConnection(endpoint, timeout=1.0)
        if tls is None
        else http.client.HTTPSConnection(endpoint, timeout=1.0, context=tls.context)
    )
    try:
        connection.request(method, path, body)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()


def start_failure(process: LocalProcess, what: str) -> ConfigError | Unavailable:
    """Return the error for an etcd that did not start, with the end of its log."""
    lines = process.tail()
    family = ConfigError if "address already in use" in lines else Unavailable
    return family(f"{what}; its log ends with:\n{lines}")

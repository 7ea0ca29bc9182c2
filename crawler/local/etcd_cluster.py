"""A real etcd of several members on the loopback interface, for tests that lose a member.

Like the embedded etcd it serves this program, dies with it, and promises no durability.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from crawler.clock import Clock, SystemClock
from crawler.errors import ConfigError, Unavailable
from crawler.local.etcd import ask, is_healthy, run_etcdctl, start_failure
from crawler.local.etcd_binary import binary
from crawler.local.ports import free_ports
from crawler.local.processes import LocalProcess

_ATTEMPTS = 3
_POLL_S = 0.02


class EtcdMember:
    """One member. It may be killed, paused, and started again with its port and data."""

    def __init__(self, name: str, client_port: int, process: LocalProcess, clock: Clock) -> None:
        self.name = name
        self.endpoint = f"127.0.0.1:{client_port}"
        """The host:port of its client interface."""
        self._process = process
        self._clock = clock

    @property
    def pid(self) -> int | None:
        """Its process number while it runs, else None."""
        return self._process.pid

    def start(self, deadline_s: float = 15.0) -> None:
        """Start it and wait until it serves, which needs a quorum. Raises Unavailable."""
        self.launch()
        self.wait_until_it_serves(deadline_s)

    def launch(self) -> None:
        """Start it without waiting. Does nothing while it runs."""
        self._process.start()

    def wait_until_it_serves(self, deadline_s: float) -> None:
        """Wait until it is healthy. Raises Unavailable, or ConfigError if its port is taken."""
        end_s = self._clock.monotonic() + deadline_s
        while not is_healthy(self.endpoint):
            if not self._process.alive:
                raise start_failure(self._process, f"{self.name} ended")
            if self._clock.monotonic() > end_s:
                raise start_failure(self._process, f"{self.name} is silent after {deadline_s} s")
            self._clock.sleep(_POLL_S)

    def stop(self) -> None:
        """End it with time to clean up."""
        self._process.stop(5.0)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()

    def pause(self) -> None:
        """Pause it. Its connections stay open, and nothing answers."""
        self._process.pause()

    def resume(self) -> None:
        """Let it run again after `pause`."""
        self._process.resume()

    def restart(self, deadline_s: float = 15.0) -> None:
        """Stop it if it runs, and start it with the same port and data."""
        self.stop()
        self.start(deadline_s)

    def leads(self) -> bool:
        """Whether it says that it leads its cluster. False while it is silent."""
        status = json.loads(ask(self.endpoint, "POST", "/v3/maintenance/status", b"{}") or b"{}")
        own = status.get("header", {}).get("member_id")
        return own is not None and own == status.get("leader")


class EtcdCluster:
    """Several members in a temporary folder. Use it as a context manager."""

    def __init__(self, members: int = 3, *, clock: Clock | None = None) -> None:
        self.members: list[EtcdMember] = []
        """The members in the order of `endpoints`, after `start`."""
        self._count = members
        self._clock = clock or SystemClock()
        self._folder: Path | None = None

    def __enter__(self) -> EtcdCluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoints(self) -> list[str]:
        """The host:port of each member's client interface."""
        return [member.endpoint for member in self.members]

    @property
    def leader(self) -> EtcdMember:
        """The member that leads now. Raises Unavailable if none says so."""
        for member in self.members:
            if member.leads():
                return member
        raise Unavailable("no member of the etcd cluster leads; ask again after its election")

    def start(self, deadline_s: float = 30.0) -> None:
        """Start all members and wait until each serves. Raises ConfigError, Unavailable; then none
        is left."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start_all(deadline_s)
                return
            except BaseException as error:
                self.stop()
                # Another program took a free port first. The next attempt takes others.
                if not isinstance(error, ConfigError) or attempt == _ATTEMPTS:
                    raise

    def stop(self) -> None:
        """End all members and remove their folder. It may be called again."""
        for member in self.members:
            member.kill()  # no data must be kept, and a member alone takes long to stop
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def etcdctl(self, *arguments: str, timeout_s: float = 30.0) -> str:
        """Run etcdctl against all members. Return the output. Raises Unavailable if it fails."""
        return run_etcdctl([f"--endpoints={','.join(self.endpoints)}", *arguments], timeout_s)

    def _start_all(self, deadline_s: float) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="crawler-etcd-cluster-"))
        ports = free_ports(2 * self._count)
        clients, peer_ports = ports[: self._count], ports[self._count :]
        peers = {f"etcd-{n}": port for n, port in enumerate(peer_ports, 1)}
        self.members = [
            self._member(name, client, peers, self._folder) for name, client in zip(peers, clients)
        ]
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait_until_it_serves(deadline_s)

    def _member(self, name: str, client: int, peers: dict[str, int], folder: Path) -> EtcdMember:
        command = _command(name, client, peers, folder / name)
        process = LocalProcess(name, command, {}, folder / f"{name}.log")
        return EtcdMember(name, client, process, self._clock)


def _command(name: str, client: int, peers: dict[str, int], data: Path) -> Sequence[str]:
    own = f"http://127.0.0.1:{peers[name]}"
    flags = {
        "name": name,
        "data-dir": str(data),
        "listen-client-urls": f"http://127.0.0.1:{client}",
        "advertise-client-urls": f"http://127.0.0.1:{client}",
        "listen-peer-urls": own,
        "initial-advertise-peer-urls": own,
        "initial-cluster": ",".join(
            f"{peer}=http://127.0.0.1:{port}" for peer, port in peers.items()
        ),
        "unsafe-no-fsync": "true",
        # Half of etcd's usual times: it replaces a leader fast, and is stable on a busy machine.
        "heartbeat-interval": "50",
        "election-timeout": "500",
        "log-level": "warn",
    }
    return [binary("etcd"), *(f"--{flag}={value}" for flag, value in flags.items())]

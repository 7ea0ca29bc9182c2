"""A real master process to measure."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.ground import Ground
from crawler.local.cluster import is_ready
from crawler.local.ports import free_ports
from crawler.local.processes import LocalProcess
from tests.waiting import eventually

READY_S = 120.0

CONFIG = """
logs: {style: json}
scheduler: {seed: false}
api: {rate: 0}
spiders: []
"""
"""As usual, but for clients that may ask as often as they can."""


class Master:
    """A master process of its own, while it runs."""

    def __init__(self, process: LocalProcess, http: str) -> None:
        self._process = process
        self.http = http
        """host:port"""

    def logged_s(self, message: str) -> float:
        """When it first logged that, as Unix time."""
        return datetime.fromisoformat(self.logged(message)[0]["ts"]).timestamp()

    def logged(self, message: str) -> Sequence[dict[str, Any]]:
        """Return what it logged with that message."""
        lines = self._process.log_path.read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [each for each in entries if each["msg"] == message]

    @property
    def cpu_s(self) -> float:
        """The processor's time that it has taken so far."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        user, system = stat.rpartition(") ")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_bytes(self) -> int:
        """The most memory it ever had resident."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024


@contextmanager
def open_master(ground: Ground) -> Iterator[Master]:
    """Start it alone in that etcd, and wait until it leads and is ready."""
    folder = Path(tempfile.mkdtemp(prefix="crawler-bench-"))
    (folder / "master.yaml").write_text(CONFIG)
    http, grpc = (f"127.0.0.1:{port}" for port in free_ports(2))
    command = [sys.executable, "-m", "crawler", "master", "--id=1", f"--http={http}"]
    command += [f"--grpc={grpc}", f"--etcd={ground.etcd.endpoint}"]
    command += [f"--config={folder / 'master.yaml'}"]
    process = LocalProcess("master", command, {}, folder / "master.log")
    process.start()
    try:
        eventually(lambda: is_ready(http), READY_S, "the master leads", every_s=0.2)
        yield Master(process, http)
    except BaseException:
        print(f"logs: {folder}", file=sys.stderr)
        raise
    else:
        shutil.rmtree(folder)
    finally:
        process.stop()

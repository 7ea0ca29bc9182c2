"""An etcd of one member that is saved and put back to what was saved, with etcd's own programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from crawler.local.etcd import EmbeddedEtcd
from crawler.local.etcd_binary import binary
from crawler.local.ports import free_ports


class SavedEtcd:
    """An etcd whose data may be replaced by an earlier snapshot. Its endpoint stays."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        [self._port] = free_ports(1)
        self._snapshot = folder / "crawler.db"
        self._number = 0
        self.etcd = self._next()

    def save(self) -> None:
        """Take the snapshot while nodes work."""
        self.etcd.etcdctl("snapshot", "save", str(self._snapshot))

    def restore(self) -> None:
        """Stop etcd, and start it with what the snapshot has."""
        self.etcd.stop()
        self.etcd = self._next()
        data = self._folder / f"etcd-{self._number}" / "data"
        command = [str(Path(binary("etcdctl")).with_name("etcdutl"))]
        command += ["snapshot", "restore", str(self._snapshot), "--data-dir", str(data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        self.etcd.start()

    def _next(self) -> EmbeddedEtcd:
        self._number += 1
        folder = self._folder / f"etcd-{self._number}"
        folder.mkdir()
        return EmbeddedEtcd(folder, self._port)

"""An etcd of one member that is saved and put back to what was saved, with etcd's own programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.store import Put
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
        _, self.etcd = self._next()

    def save(self) -> None:
        """Take the snapshot while nodes work."""
        self.etcd.etcdctl("snapshot", "save", str(self._snapshot))

    def restore(self, bump: int = 0) -> None:
        """Stop etcd, and start it with what the snapshot has.

        `bump` raises its revision and compacts what lies below, as `etcdutl snapshot restore
        --bump-revision --mark-compacted` does from etcd 3.6 on.
        """
        self.etcd.stop()
        folder, self.etcd = self._next()
        command = [str(Path(binary("etcdctl")).with_name("etcdutl"))]
        command += ["snapshot", "restore", str(self._snapshot), "--data-dir", str(folder / "data")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        if bump:
            _bump(folder, bump)
        self.etcd.start()

    def _next(self) -> tuple[Path, EmbeddedEtcd]:
        self._number += 1
        folder = self._folder / f"etcd-{self._number}"
        folder.mkdir()
        return folder, EmbeddedEtcd(folder, self._port)


def _bump(folder: Path, by: int) -> None:
    """Where no node finds it: at another port."""
    etcd = EmbeddedEtcd(folder)
    etcd.start()
    store = EtcdStore([etcd.endpoint])
    for _ in range(by):
        revision = store.txn([], [Put("/bump", b"")]).revision
    store.close()
    etcd.etcdctl("compact", str(revision))
    etcd.stop()

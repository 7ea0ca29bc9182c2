"""Real database servers for tests: Debian's PostgreSQL and MariaDB, in folders of their own.

They are started as processes of the tests, on free ports, and need no service of the machine.
Where they are not installed, tests that ask for them are skipped and say so.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import pytest
import sqlalchemy as sa

from crawler.local.ports import free_ports

NOBODY = 65534
START_S = 90.0


class Server:
    """A server that can be killed and started again on the same port, with what it had."""

    name = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"crawler-{self.name}-"))
        [self.port] = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:  # neither of the two runs as root
            os.chown(self.folder, NOBODY, NOBODY)

    def start(self) -> None:
        self._process = self._spawn(self.command())
        deadline_s = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, f"{self.name} ended: {self.log()}"
            assert time.monotonic() < deadline_s, f"{self.name} does not answer: {self.log()}"
            time.sleep(0.05)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def kill(self) -> None:
        """As a machine that loses power to this process alone."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def url(self) -> str:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
                **user,
            )

    def _run(self, command: str) -> None:
        assert self._spawn(command.split()).wait(60) == 0, self.log()


class Postgres(Server):
    name = "postgres"

    def __init__(self) -> None:
        self._initdb, self._postgres = _debian("initdb"), _debian("postgres")
        super().__init__()
        self._run(
            f"{self._initdb} -D {self.folder}/data -U crawler -E UTF8 --no-sync --auth=trust "
            "--locale=C.UTF-8"
        )

    def command(self) -> list[str]:
        options = ["listen_addresses=127.0.0.1", "fsync=off", "max_wal_size=64MB"]
        flags = [flag for option in options for flag in ("-c", option)]
        return [
            *(self._postgres, "-D", f"{self.folder}/data", "-p", str(self.port)),
            *("-k", str(self.folder), *flags),
        ]

    @property
    def url(self) -> str:
        return f"postgresql://crawler:no-secret@127.0.0.1:{self.port}/postgres"

    def _answers(self) -> bool:
        return _connects(f"postgresql+psycopg://crawler@127.0.0.1:{self.port}/postgres")


class MariaDb(Server):
    name = "mariadb"

    def __init__(self) -> None:
        self._server, install = _path("mariadbd"), _path("mariadb-install-db")
        super().__init__()
        self._run(
            f"{install} --no-defaults --datadir={self.folder}/data --skip-test-db "
            "--auth-root-authentication-method=normal"
        )

    def command(self) -> list[str]:
        return [
            *(self._server, "--no-defaults", f"--datadir={self.folder}/data"),
            *(f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.folder}/socket"),
            *(f"--pid-file={self.folder}/pid", "--innodb-flush-log-at-trx-commit=2"),
            *("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--skip-log-bin"),
        ]

    @property
    def url(self) -> str:
        return f"mysql://root:@127.0.0.1:{self.port}/crawler"

    def _answers(self) -> bool:
        server = f"mysql+pymysql://root@127.0.0.1:{self.port}/"
        return _connects(server, "CREATE DATABASE IF NOT EXISTS crawler")


def started(kind: type[Server]) -> Server:
    """A running server of that kind; skips the test where it is not installed."""
    server = kind()
    server.start()
    return server


def _connects(url: str, statement: str = "SELECT 1") -> bool:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    except sa.exc.DBAPIError:
        return False
    return True


def _debian(program: str) -> str:
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"))
    return found[-1] if found else _path(program)


def _path(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed; on Debian: apt install postgresql mariadb-server")
    return found

"""A real Redis for tests: Debian's, on a free port of loopback, with a folder of its own.

Where it is not installed, tests that ask for it are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from tests.databases import Server


class Redis(Server):
    """One server, which can be killed, frozen and started again with what it had."""

    name = "redis"

    def __init__(self, *options: str) -> None:
        """`options` as on the command line: `--appendonly no`."""
        self._path = found("redis-server")
        self._options = [word for option in options for word in option.split()]
        super().__init__()

    def command(self) -> list[str]:
        return [
            *(self._path, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", "."),
            *("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"),
            *self._options,
        ]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def client(self, **options):
        import redis

        return redis.Redis(port=self.port, **options)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        import redis

        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def found(program: str) -> str:
    """The path of a program of Redis; skips the test where there is none."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed; on Debian: apt install redis-server")
    return path

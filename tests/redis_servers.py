"""A real Redis for tests: Debian's, on a free port of loopback, with a folder of its own.

Where it is not installed, tests that ask for it are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_store import RedisStore
from crawler.local.ports import free_ports, is_free
from crawler.settings.redis_url import parsed
from tests.databases import NOBODY, Server
from tests.waiting import eventually


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

    def start_with(self, *options: str) -> None:
        """Start it with further options, this once and from now on."""
        self._options += [word for option in options for word in option.split()]
        self.start()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def log_size(self) -> int:
        """How long the log of writes is."""
        return self._log_of_writes().stat().st_size

    def cut_log(self, size: int) -> None:
        """Let a killed server lose the end of its log, as a loss of power does."""
        os.truncate(self._log_of_writes(), size)

    def mend_log(self) -> None:
        """What an operator does when it does not start: cut the log off where it is damaged."""
        manifest = self.folder / "appendonlydir" / "appendonly.aof.manifest"
        command = [found("redis-check-aof"), "--fix", str(manifest)]
        done = subprocess.run(command, input="y", capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout

    def has_new_log(self) -> bool:
        """Whether it has written its log anew since it started, and does not do so now."""
        with self.client() as client:
            told = client.info("persistence")
        return told["aof_last_rewrite_time_sec"] != -1 and not told["aof_rewrite_in_progress"]

    def _log_of_writes(self) -> Path:
        """The last one, if it is being written anew."""
        paths = self.folder.glob("appendonlydir/*.incr.aof")
        return max(paths, key=lambda path: int(path.name.split(".")[-3]))

    def client(self, **options):
        import redis

        return redis.Redis("127.0.0.1", self.port, **options)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        import redis

        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False


class TlsRedis(Redis):
    """One that speaks TLS alone, and asks each client for a certificate of the same authority."""

    def __init__(self, certificates, *options: str) -> None:
        super().__init__(*options)
        self._files = [
            shutil.copy(each, self.folder)
            for each in (certificates.ca, certificates.cert, certificates.key)
        ]
        for path in self._files if os.geteuid() == 0 else ():
            os.chown(path, NOBODY, NOBODY)

    def command(self) -> list[str]:
        ca, cert, key = map(str, self._files)
        return [
            *(*super().command(), "--port", "0", "--tls-port", str(self.port)),
            *("--tls-ca-cert-file", ca, "--tls-cert-file", cert, "--tls-key-file", key),
        ]

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0"

    def _answers(self) -> bool:
        ca, cert, key = map(str, self._files)
        import redis

        options = {"ssl": True, "ssl_ca_certs": ca, "ssl_certfile": cert, "ssl_keyfile": key}
        try:
            with self.client(**options) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False


class Sentinel(Redis):
    """One Sentinel, which alone decides that a server is gone."""

    def __init__(self, primary: Redis) -> None:
        super().__init__()
        file = self.folder / "sentinel.conf"
        file.write_text(
            f"bind 127.0.0.1\nport {self.port}\ndir {self.folder}\n"
            f"sentinel monitor crawls 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds crawls 500\n"
            "sentinel failover-timeout crawls 3000\n"
        )
        if os.geteuid() == 0:  # it writes what it learns into its file
            os.chown(file, NOBODY, NOBODY)

    def command(self) -> list[str]:
        return [self._path, "sentinel.conf", "--sentinel"]

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.port}/crawls"


BUS = 10_000
"""The servers of a cluster talk with each other at ports that are higher by so much."""


class Cluster:
    """Three servers, each with a third of the slots."""

    def __init__(self) -> None:
        self.servers = [Redis("--cluster-enabled yes") for _ in range(3)]

    def start(self) -> None:
        for server in self.servers:
            while not is_free(server.port + BUS):
                [server.port] = free_ports(1)
            server.start()
        addresses = [f"127.0.0.1:{server.port}" for server in self.servers]
        command = [found("redis-cli"), "--cluster", "create", *addresses, "--cluster-yes"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        eventually(self.is_up)

    def is_up(self) -> bool:
        """Whether each server knows that all slots are served."""
        return all(_told_by(server)["cluster_state"] == "ok" for server in self.servers)

    def remove(self) -> None:
        for server in self.servers:
            server.remove()

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.servers[0].port}"


def _told_by(server: Redis) -> dict[str, str]:
    with server.client() as client:
        return client.cluster("info")


class Place:
    """One crawl in one Redis. Each run has a store of its own, as each process has."""

    def __init__(self, redis, **options):
        self.redis, self.name = redis, uuid4().hex
        self.server = RedisServer(Access(parsed(redis.url)), **options)

    def again(self):
        return RedisStore(self.server, self.name)

    def left(self):
        """What the next run finds, and what it leases."""
        store = self.again()
        try:
            found = store.open()
            return found, sorted(store.lease(1_000_000))
        finally:
            store.close()

    def key(self, name):
        return f"crawler:frontier:{{{self.name}}}:{name}"

    def names(self):
        """All keys."""
        with self.redis.client() as client:
            return sorted(key.decode() for key in client.keys(f"*{self.name}*"))


def found(program: str) -> str:
    """The path of a program of Redis; skips the test where there is none."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed; on Debian: apt install redis-server")
    return path

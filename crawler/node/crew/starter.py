"""Makes the crawl processes of a worker, and starts them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from crawler.logs import is_text
from crawler.node.crew.crawl_orders import Orders
from crawler.node.crew.launcher import Launcher
from crawler.node.crew.process import CrawlProcess
from crawler.node.crew.program import Program
from crawler.node.crew.spawner import Spawner, Zygote, secrets_of
from crawler.node.crew.told_lines import ToldLines
from crawler.node.guard.guard import Guard
from crawler.node.run.run_logs import RunLogs
from crawler.settings.alerts import AlertSettings
from crawler.settings.deploy import DeploySettings
from crawler.settings.sections import (
    ApiSettings,
    EtcdSettings,
    HistorySettings,
    ItemsSettings,
    NodeSettings,
    SecretsSettings,
    Settings,
)


class Starter:
    """Gives each process its number and its orders."""

    def __init__(
        self,
        settings: Settings,
        share: int,
        lease_s: float,
        guard: Guard,
        serve: Callable[[CrawlProcess, str, Any], None],
        next_number: Callable[[], int],
        program: Program,
        logs: RunLogs | None = None,
    ) -> None:
        """So many processes `share` the memory for responses. With `lease_s` they share hosts. They
        load that program. `logs` are those of the worker's runs."""
        self._settings = settings
        self._share = share
        self._lease_s = lease_s
        self._guard = guard
        self._serve = serve
        terminal = sys.stderr.isatty()
        as_text = is_text(settings.logs.style, terminal)
        self._lines = ToldLines(logs, as_text=as_text, colour=terminal)
        self._next_number = next_number
        self._program = program
        self.digest = program.digest
        """The bundle whose spiders its processes load; empty for those of the worker."""
        self.spawner: Spawner | None = None
        """What starts them; None before it is needed."""

    def make(self, group: int = 0) -> CrawlProcess:
        """Make a process of that group, which is not started."""
        settings = self._settings
        plain = replace(
            settings,
            etcd=EtcdSettings(),
            api=ApiSettings(),
            node=NodeSettings(),
            secrets=SecretsSettings(),
            history=HistorySettings(),
            alerts=AlertSettings(),
            items=ItemsSettings(),
            deploy=DeploySettings(),
        )
        orders = Orders(
            settings=replace(plain, tasks=()),
            number=self._next_number(),
            tell_s=settings.worker.report_s / 2,
            share=self._share,
            lease_s=self._lease_s,
            program=self._program,
        )
        process = CrawlProcess(orders, self._serve, self._lines)
        process.digest = self._program.digest
        process.group = group
        return process

    def start(self, process: CrawlProcess) -> None:
        """Start a process. Raises SpawnFailed."""
        process.start(self._living_spawner(), self._settings.worker.run_as)
        assert process.born is not None
        self._guard.watch(process.number, process.born.pidfd, process.born.pid)

    def close(self) -> None:
        """Its processes have ended. It may be called again."""
        spawner, self.spawner = self.spawner, None
        if spawner is not None:
            spawner.close()

    def _living_spawner(self) -> Spawner:
        """What starts processes; another one if it has ended. Raises SpawnFailed."""
        before = self.spawner
        if before is not None and not before.ended.is_set():
            return before
        spawner = self.spawner = self._spawner(secrets_of(self._settings))
        if before is not None:
            before.close()
        return spawner

    def _spawner(self, secrets: Collection[str]) -> Spawner:
        """A zygote has the worker's interpreter and loads nothing of a bundle."""
        if self._settings.worker.fork and not self._program.digest:
            return Zygote(secrets)
        return Launcher(secrets, self._program.python, self._program.path)

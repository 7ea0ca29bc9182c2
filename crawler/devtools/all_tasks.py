"""Runs tasks in this process: without etcd and other processes, but with the same engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent

from crawler.clock import Clock, SystemClock
from crawler.devtools.kept_tasks import KeptTasks
from crawler.engine.download.address_policy import ALL
from crawler.engine.download.http_cache import Cache
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.json_lines import JsonLinesSink
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.engine.items.sinks.targets import Targets, is_database, is_target, lasting, open_sink
from crawler.engine.politeness.sharing import SharedHosts
from crawler.engine.spiders.loader import load_spiders
from crawler.errors import ConfigError
from crawler.items.names import folder_name
from crawler.model.records import Owner, Resource, Spec
from crawler.node.run.crawl_run import CrawlRun
from crawler.settings.sections import Settings
from crawler.supervision import Supervisor
from crawler.terminal.progress import Progress

LOOK_S = 0.1
"""The seconds between two updates of the progress."""


class SharedSink:
    """Writes the items of all tasks into one file. Its owner closes it, not the crawls."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.lost = sink.lost
        self.write = sink.write
        self.flush = sink.flush
        self.mark = sink.mark

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Do nothing: the file is open."""

    def open(self) -> None:
        """Do nothing: the file is open."""

    def close(self) -> None:
        """Flush what one crawl wrote. Other crawls go on writing."""
        self._sink.flush()


@contextmanager
def tasks_of(
    settings: Settings,
    items: str,
    clock: Clock | None = None,
    kept: KeptTasks | None = None,
    shared_hosts: SharedHosts | None = None,
) -> Iterator[Tasks]:
    """All tasks of the settings, with an engine until the end of the block. Raises ConfigError.

    `items` names the place for the items of all tasks, as for `open_sink`, or a folder with a file
    for each task. With `kept`, each task goes on where it was. With `shared_hosts`, it keeps the
    pace of hosts together with others.
    """
    clock = clock or SystemClock()
    if kept is not None and _is_shared(items):
        raise ConfigError(
            f"output: {items!r} has the items of all tasks, and cannot be cut off for one of them;"
            " allowed with --resume: a folder, or a database"
        )
    if not settings.tasks:
        raise ConfigError(
            "tasks: none given; name a settings file that lists at least one task, with -c FILE"
        )
    spiders = load_spiders(settings.spiders, settings.folder)
    worker = settings.worker
    engine = Engine(
        settings.crawl,
        spiders,
        clock,
        private_targets=[ALL],
        plugins=worker.plugins,
        cache=Cache(Path(settings.folder, worker.cache_folder), worker.cache_bytes),
        shared_hosts=shared_hosts,
    )
    supervisor = Supervisor("run", clock=clock)
    engine.start()
    try:
        yield Tasks(engine, supervisor, settings.tasks, items, kept)
    finally:
        engine.stop()
        supervisor.stop()


class Tasks:
    """Runs tasks to their ends. `stop` and `cut_off` may be called from a signal handler."""

    def __init__(
        self,
        engine: Engine,
        supervisor: Supervisor,
        tasks: Sequence[Spec],
        items: str,
        kept: KeptTasks | None,
    ) -> None:
        owner = Owner("this process", "")
        self._engine = engine
        self._resources = [Resource(task, owner=owner, epoch=1) for task in tasks]
        self._runs = [CrawlRun(resource) for resource in self._resources]
        self._items = items
        self._leave_progress: Callable[[], None] = lambda: None
        self._kept = kept
        self._whole = open_sink(items) if _is_shared(items) else None
        if self._whole is not None:
            self._whole.open()
        if kept is not None:
            kept.open({run.name: task for run, task in zip(self._runs, tasks)}, self._place)
        self._greenlets = [
            supervisor.spawn(f"task {run.name}", self._execute, run) for run in self._runs
        ]

    @property
    def stopped(self) -> int:
        """How many tasks were stopped before they were done."""
        return sum(run.stops > 0 and not run.ended for run in self._runs)

    def stop(self) -> None:
        """Let all tasks end in order: their callbacks may finish, and their items are written."""
        self._leave_progress()
        for run in self._runs:
            run.stop()

    def cut_off(self) -> None:
        """End callbacks where they are. The items yielded so far are written.

        If this call interrupted a callback, which must compute then, it raises GreenletExit.
        """
        self._leave_progress()
        gevent.get_hub().loop.run_callback(self._cut_off_waiting)
        if self._engine.task_in_callback() and gevent.getcurrent() in self._greenlets:
            raise gevent.GreenletExit

    def _cut_off_waiting(self) -> None:
        """Cut off all that do not write their last items yet. The hub calls this."""
        for run, greenlet in zip(self._runs, self._greenlets):
            if not run.is_ending:
                greenlet.kill(block=False)

    def _execute(self, run: CrawlRun) -> None:
        if self._kept is None:
            run.execute(self._engine, self._sink(run))
        else:
            self._kept.execute(run, self._engine, self._sink(run))

    def run(self, progress: Progress) -> Sequence[Resource]:
        """Show the progress until all tasks have ended, and return them as they ended. One that was
        stopped before is in the state that it had then."""
        self._leave_progress = progress.leave
        while any(not greenlet.dead for greenlet in self._greenlets):
            progress.update(self._states())
            gevent.joinall(self._greenlets, timeout=LOOK_S)
        if self._whole is not None:
            self._whole.close()
        return self._states()

    def _sink(self, run: CrawlRun) -> Sink | SinkMaker:
        if self._whole is not None:
            return SharedSink(self._whole)
        if is_target(self._items):
            return Targets([self._items], task=run.name)
        return JsonLinesSink(self._file(run.name))

    def _file(self, name: str) -> Path:
        """The file of a task below the folder for items."""
        return Path(self._items) / f"{folder_name(name)}.jsonl"

    def _place(self, name: str) -> str:
        """Where the items of a task go, for later runs."""
        return lasting(self._items if is_target(self._items) else str(self._file(name)))

    def _states(self) -> list[Resource]:
        reports = [run.status() for run in self._runs]
        return [
            resource.replace(state=r.state, reason=r.reason, counts=r.counts)
            for resource, r in zip(self._resources, reports)
        ]


def _is_shared(items: str) -> bool:
    """Whether one file has the items of all tasks."""
    return is_target(items) and not is_database(items)

"""A process that crawls for a worker: an engine, and the runs that the worker deals to it.

It has no lease, no etcd and no API. What it needs it is told by the worker, and it ends when the
worker's end of its channel closes.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from gevent import Greenlet
from gevent.event import AsyncResult

from crawler import logs, redaction
from crawler.clock import Clock, SystemClock
from crawler.debugging.looks import BROKEN, Looks, Question
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.factory import Sinks
from crawler.engine.politeness.host_register import RegisterAway
from crawler.engine.politeness.sharing import SharedHosts
from crawler.engine.stats.current_callback import Called, CurrentCallback
from crawler.errors import ConfigError, CrawlerError, Overloaded
from crawler.model.records import Resource, Spec
from crawler.node.crew.channel import Channel
from crawler.node.crew.crawl_orders import Orders
from crawler.node.crew.engine_figures import figures_of
from crawler.node.crew.hosts import DistantRegister, DistantShelf, numbers
from crawler.node.crew.page import TURN_S, Page
from crawler.node.crew.printed import Printed, tell_of
from crawler.node.crew.told import status_of
from crawler.node.run.crawl_run import CrawlRun
from crawler.node.run.ended_files import end_files
from crawler.node.run.engine_of import engine_of
from crawler.node.run.going_on import GoingOn
from crawler.node.run.sharing import Sharing
from crawler.node.run.states import States, TaskStates
from crawler.supervision import OnEnd, Supervisor

log = logs.get_logger(__name__)

LOOK_S = 0.05
"""How often it looks whether runs that must stop have changed."""
ANSWER_S = 5.0
"""How long a process waits for an answer of its worker."""
NO_MEMORY = 12
"""The exit status of a process that has no memory left."""
STATISTICS = 100
"""The crawls of which one message tells."""
KEPT_S = 30.0
"""How old the statistics of a run are at most that its worker has, should this process die. They
are told often at first: each time that the run has taken about twice as long."""
KEPT_AT_ONCE = 50
"""Of how many runs they are told at once. Each takes a tenth of a millisecond."""


class PagedCallback(CurrentCallback):
    """The callback that runs now, noted in a page that the worker sees."""

    __slots__ = ("_now", "_page", "_told", "slots")

    def __init__(self, page: Page) -> None:
        self._page = page
        self._now: Called | None = None
        self._told: Called | None = None
        """Of which the page tells."""
        self.slots: dict[str, int] = {}
        """The numbers of the runs, by the names of their tasks."""

    @property
    def now(self) -> Called | None:
        """None while no code of a spider runs."""
        return self._now

    @now.setter
    def now(self, called: Called | None) -> None:
        self._now = called
        if called is None:
            self._page.leave()
            return
        if called is not self._told:
            self._told = called
            self._page.tell(called.url, called.spider.settings.callback_limit_s)
        self._page.enter(self.slots.get(called.task, 0))

    def failed(self, task: str, error: BaseException) -> None:
        """End the process if it has no memory left: whatever else it did would fail here and there,
        and nobody would know of it."""
        if isinstance(error, MemoryError):
            self._page.enter(self.slots.get(task, 0))
            log.error("no memory is left; this crawl process ends", task=task, exc_info=error)
            sys.stderr.flush()
            os._exit(NO_MEMORY)


class _Slot(NamedTuple):
    run: CrawlRun
    greenlet: Greenlet


class CrawlProcess:
    """Does what the worker says, and tells what comes of it."""

    def __init__(self, channel: Channel, page: Page, clock: Clock) -> None:
        self._channel = channel
        self._page = page
        self._clock = clock
        self._supervisor = Supervisor("crawl process", clock=clock)
        self._looks = Looks(clock)
        self._callback = PagedCallback(page)
        self._slots: dict[int, _Slot] = {}
        self._spared: set[int] = set()
        """Runs that were to be cut off while they wrote their last items, and went on."""
        self._told: dict[int, Any] = {}
        """What the worker knows of each run."""
        self._kept: dict[int, tuple[float, float]] = {}
        """When the statistics of each run are told again, and the pause after that."""
        self._told_figures: Any = None
        self._are_figures_due = False
        """Whether a run has ended since figures were told."""
        self._questions: dict[int, AsyncResult] = {}
        self._number = numbers()
        self._printed: Printed
        self._engine: Engine
        self._going_on: GoingOn
        self._states: TaskStates
        self._sinks: Sinks
        self._items: Path
        """The folder for the items of all tasks."""

    def serve(self) -> None:
        """Do what the worker says until it closes the channel or says that this is all."""
        message = self._channel.receive()
        if message is None:
            return
        orders: Orders = message[1]
        try:
            self._prepare(orders)
        except ConfigError as error:
            self._channel.send("hello", {"fault": str(error)})
            return self._channel.flush()
        described = {name: each.to_json() for name, each in self._engine.described().items()}
        self._channel.send(
            "hello",
            {
                "spiders": sorted(self._engine.spider_names()),
                "described": described,
                "pid": os.getpid(),
            },
        )
        self._engine.start()
        turn = gevent.get_hub().loop.timer(TURN_S, TURN_S)
        turn.start(self._page.turn)
        self._page.turn()  # so that it is late also if the first callback computes
        self._supervisor.spawn("tell", self._tell_forever, orders.tell_s, on_end=OnEnd.RESTART)
        while (message := self._channel.receive()) is not None:
            getattr(self, f"_do_{message[0]}")(*message[1])
        turn.stop()

    def _prepare(self, orders: Orders) -> None:
        settings, worker = orders.settings, orders.settings.worker
        logs.setup(settings.logs.level, "json")
        self._printed = tell_of(self._callback, self._callback.slots)
        sharing = Sharing.of(settings, self._clock)
        if orders.program.folder:  # now, so that no module of a bundle hides one of ours
            sys.path.insert(0, orders.program.folder)
        folder = Path(settings.folder, settings.frontier.folder)
        self._states = sharing.states or States(folder, self._clock)
        self._sinks = Sinks(worker.databases)
        hosts = sharing.hosts or self._hosts_within(orders)
        self._engine = engine_of(
            orders.program.laid_over(settings),
            self._clock,
            hosts,
            orders.share,
            self._callback,
            orders.program.folder,
        )
        self._items = Path(settings.folder, worker.items)
        self._going_on = GoingOn(self._engine, self._sinks, self._items, self._states)

    def _hosts_within(self, orders: Orders) -> SharedHosts | None:
        if not orders.lease_s:
            return None
        register = DistantRegister(self._ask, orders.lease_s)
        return SharedHosts(register, DistantShelf(self._ask), f"process {orders.number}")

    def _do_exit(self) -> None:
        Supervisor("end of a crawl process").spawn("end", self._end, on_end=OnEnd.LOG)

    def _end(self) -> None:
        """End in order. The worker is still heard: it must answer who owns which host."""
        self._supervisor.stop()
        for slot in self._slots.values():
            slot.run.break_off()
        gevent.joinall([slot.greenlet for slot in self._slots.values()], timeout=1.0)
        self._tell_figures()
        self._engine.stop()
        self._sinks.close()
        self._states.close()
        self._printed.end()
        self._channel.flush()
        self._channel.close()

    # -- what the worker says --------------------------------------------------------------------

    def _do_start(self, number: int, resource: Resource, *secrets: Mapping[str, str]) -> None:
        run = CrawlRun(resource)
        run.secrets, run.former = secrets
        redaction.remember(*secrets)
        self._callback.slots[run.name] = number
        greenlet = self._supervisor.spawn(f"run {run.name}", self._execute, number, run)
        self._slots[number] = _Slot(run, greenlet)
        greenlet.rawlink(lambda _: self._over(number, run))

    def _execute(self, number: int, run: CrawlRun) -> None:
        self._told[number] = status = status_of(run)
        self._channel.send("status", [number, status])
        self._going_on.execute(run)

    def _do_stop(self, number: int) -> None:
        if number in self._slots:
            self._slots[number].run.stop()

    def _do_break_off(self, number: int) -> None:
        if number in self._slots:
            self._slots[number].run.break_off()

    def _do_cut(self, number: int) -> None:
        """End a callback where it is. A run that writes its last items goes on once."""
        slot = self._slots.get(number)
        if slot is None:
            return
        if slot.run.is_ending and number not in self._spared:
            self._spared.add(number)
        else:
            gevent.killall([slot.greenlet], block=False)

    def cut_off_current(self, *_: object) -> None:
        """End the callback that runs now, if it is that of the run which the worker has noted. A
        signal makes the call, because a callback that computes lets nobody read messages. Raises
        GreenletExit."""
        slot = self._slots.get(self._page.cut)
        is_its_turn = slot is not None and gevent.getcurrent() is slot.greenlet
        if is_its_turn and self._callback.now is not None:
            raise gevent.GreenletExit

    def _do_adjust(self, number: int, spec: Spec) -> None:
        if number in self._slots:
            self._slots[number].run.adjust(spec)

    def _do_end_files(self, number: int, resource: Resource, *how: Any) -> None:
        name = f"files {resource.name}"
        self._supervisor.spawn(name, self._end_files, number, resource, *how, on_end=OnEnd.LOG)

    def _end_files(self, number: int, resource: Resource, *how: Any) -> None:
        """End the files of a run, which may have been that of another process, and say so."""
        try:
            gevent.get_hub().threadpool.apply(end_files, (self._items, resource, *how))
        except Exception as error:  # another try changes nothing
            log.warning("cannot end the files of a crawl", task=resource.name, why=str(error))
        self._channel.send("files", number)

    def _do_answer(self, number: int, value: Any) -> None:
        question = self._questions.pop(number, None)
        if question is not None:
            question.set(value)

    def _do_statistics(self, number: int) -> None:
        found = [each.to_json() for each in self._engine.statistics.running()]
        for at in range(0, len(found), STATISTICS):
            self._channel.send("statistics", [number, found[at : at + STATISTICS], False])
        self._channel.send("statistics", [number, [], True])

    def _do_look(self, number: int, question: Question) -> None:
        self._supervisor.spawn(f"look {question.what}", self._look, number, question)

    def _look(self, number: int, question: Question) -> None:
        found, fault = None, ""
        try:
            found = self._looks.answer(replace(question, process=0))
        except Exception as error:  # whoever asked must not wait for an answer that never comes
            fault = str(error) if isinstance(error, Overloaded) else f"{BROKEN}: {error!r}"
        self._channel.send("look", [number, found, fault])

    # -- what it tells ---------------------------------------------------------------------------

    def _over(self, number: int, run: CrawlRun) -> None:
        """Tell the end of a run, once it has ended in whatever way."""
        del self._slots[number]
        self._spared.discard(number)
        self._told.pop(number, None)
        self._kept.pop(number, None)
        if self._callback.slots.get(run.name) == number:
            del self._callback.slots[run.name]
        self._are_figures_due = True
        found = None if run.crawl is None else run.crawl.statistics.to_json()
        self._channel.send("ended", [number, status_of(run), found])
        redaction.let_go(run.secrets, run.former)

    def _tell_forever(self, tell_s: float) -> None:
        due_s = 0.0
        while True:
            now_s = self._clock.monotonic()
            stopping = [number for number, slot in self._slots.items() if slot.run.stops]
            if now_s >= due_s:
                due_s = now_s + tell_s
                self._tell_statistics(now_s, tell_s)
                self._tell(list(self._slots))
                self._tell_figures()
            elif stopping:
                self._tell(stopping)
            if self._are_figures_due:
                self._tell_figures()
            self._clock.sleep(min(LOOK_S, tell_s))

    def _tell(self, numbers: Sequence[int]) -> None:
        """Tell what has changed of these runs."""
        rows = []
        for number in numbers:
            status = status_of(self._slots[number].run)
            before = self._told.get(number)
            if before is not None and _but_counts(status) == _but_counts(before):
                if status["counts"][:3] != before["counts"][:3] or status["shards"]:
                    rows.append([number, status["counts"], status["shards"]])
            else:
                self._channel.send("status", [number, status])
            self._told[number] = status
        if rows:
            self._channel.send("counts", rows)

    def _tell_statistics(self, now_s: float, tell_s: float) -> None:
        """Tell what the history is to keep of runs, should they be cut off now."""
        told: list[tuple[int, str]] = []
        for number, slot in self._slots.items():
            due_s, pause_s = self._kept.get(number, (now_s, tell_s))
            if slot.run.has_begun and now_s >= due_s and len(told) < KEPT_AT_ONCE:
                self._kept[number] = (now_s + pause_s, min(2 * pause_s, KEPT_S))
                slot.run.note_statistics()
                told.append((number, slot.run.statistics))
        if told:
            self._channel.send("kept", told)

    def _tell_figures(self) -> None:
        self._are_figures_due = False
        totals = self._engine.statistics.totals()
        figures = {
            "sums": totals.sums,
            "failures": totals.failures,
            "filtered": totals.filtered,
            "held": list(astuple(figures_of(self._engine))),
        }
        if figures != self._told_figures:
            self._channel.send("figures", figures)
            self._told_figures = {**figures, "sums": dict(totals.sums)}

    def _ask(self, what: str, *values: Any) -> Any:
        number, answer = self._number(), AsyncResult()
        self._questions[number] = answer
        self._channel.send("ask", [number, what, *values])
        try:
            return answer.get(timeout=ANSWER_S)
        except gevent.Timeout as error:
            raise RegisterAway("the worker of this process does not answer") from error
        finally:
            self._questions.pop(number, None)


def _but_counts(status: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key not in ("counts", "shards")}


def run(channel_fd: int, page_fd: int, stack_fd: int) -> int:
    """Be a crawl process. Returns its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker hears it, and decides
    faulthandler.enable()  # a crash tells where it was
    faulthandler.register(signal.SIGUSR1, file=stack_fd, all_threads=False)
    from gevent import socket

    page = Page(page_fd)
    channel = Channel.up(socket.socket(fileno=channel_fd))
    process = CrawlProcess(channel, page, SystemClock())
    signal.signal(signal.SIGUSR2, process.cut_off_current)
    try:
        process.serve()
    except CrawlerError as error:
        log.error("a crawl process ends", pid=os.getpid(), error=str(error))
        return 1
    except Exception:
        log.error("a crawl process ends with an error", pid=os.getpid(), exc_info=True)
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0

"""One crawl process, as its worker has it."""

from __future__ import annotations

import os
import signal
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event
from gevent.socket import wait_read

from crawler.engine.stats.totals import Totals
from crawler.logs import get_logger
from crawler.model.processes import ProcessLoad
from crawler.model.records import Resource
from crawler.model.spiders import SpiderAbout, abouts_from
from crawler.node.crew.channel import Channel, ChannelBroken
from crawler.node.crew.crawl_orders import Orders
from crawler.node.crew.crew import Figures
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.output import Output
from crawler.node.crew.page import Glance, Page
from crawler.node.crew.proc import cpu_of, memory_of
from crawler.node.crew.spawner import Born, Spawner
from crawler.node.crew.told_lines import ToldLines
from crawler.node.guard import killing
from crawler.node.guard.duty import Crawling
from crawler.supervision import OnEnd, Supervisor, run_aside

log = get_logger(__name__)

HELLO_S = 300.0
"""The seconds that a process may take to load its spiders: they may load large models."""
GONE_S = 2.0
"""The seconds in which a process must be gone that has closed its channel."""
STACK_LATE_S = 2.0
"""The seconds after which a process that got no processor is not waited for any longer."""
STACK_S = 0.1
"""The seconds in which a process writes its stack."""
STACK_BYTES = 4000
LATE = 100
"""For so many runs that are over, lines may come later."""
_NONSENSE = (ChannelBroken, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What the messages of a process raise here that are none."""


class CrawlProcess:
    """A process and the runs that were dealt to it."""

    def __init__(
        self,
        orders: Orders,
        serve: Callable[[CrawlProcess, str, Any], None],
        lines: ToldLines | None = None,
    ) -> None:
        """`serve` is called with each message that is not about a run. `lines` takes what it
        writes."""
        self.number = orders.number
        self.digest = ""
        """The bundle whose spiders it has loaded; empty for those of the worker."""
        self.runs: dict[int, DistantRun] = {}
        """Its runs that are not over, by number."""
        self.spiders: frozenset[str] = frozenset()
        self.described: Mapping[str, SpiderAbout] = {}
        """What their classes show, by name."""
        self.fault = ""
        """Why it can crawl nothing, if its spiders cannot be loaded."""
        self.is_serving = False
        """Whether it takes runs."""
        self.has_loaded = False
        """Whether it has loaded its spiders, be there none."""
        self.group = 0
        """The group of suspects that it crawls; the negative number of a run that it crawls alone;
        0 if it crawls for anybody."""
        self.is_suspicious = False
        """Whether it was killed for what any of its runs may have done."""
        self.why = ""
        """Why its worker has killed it."""
        self.cause = ""
        """Why that was, in one word."""
        self.charged = 0
        """The run for which its worker has killed it."""
        self.figures = Figures()
        self.totals = Totals()
        self.cpu_s = 0.0
        """The seconds of processors that it had taken at the last look."""
        self.greeted = Event()
        """Set when it serves, and when it never will."""
        self.gone = Event()
        """Set when it does nothing more."""
        self.status: int | None = None
        """How it has ended."""
        self.born: Born | None = None
        self._orders = orders
        self._serve = serve
        self._lines = lines or ToldLines()
        self._resources: OrderedDict[int, Resource] = OrderedDict()
        """Those of its runs, by number, also of the last ones that are over: their lines may come
        later."""
        self._supervisor = Supervisor(f"process {orders.number}")
        self._page_file = Page.create()
        self._page = Page(self._page_file)
        self._stack_file = os.memfd_create("stack", os.MFD_CLOEXEC)
        self._output: Output | None = None
        self._channel: Channel | None = None

    @property
    def pid(self) -> int | None:
        """Its number for the system; None before it is there."""
        return None if self.born is None else self.born.pid

    @property
    def only(self) -> DistantRun | None:
        """Its run, if it has a single one."""
        return next(iter(self.runs.values())) if len(self.runs) == 1 else None

    @property
    def is_coming(self) -> bool:
        """Whether it may serve soon."""
        return not self.greeted.is_set() and not self.why

    def start(self, spawner: Spawner, user: str) -> None:
        """Start it, and greet it. Raises SpawnFailed."""
        ours, theirs = socket.socketpair()
        output = self._output = Output(self._shown)
        files = (theirs.fileno(), self._page_file, self._stack_file, output.file)
        try:
            self.born = spawner.start(self.number, files, user)
        except BaseException:
            ours.close()
            output.close()
            self._close_files()
            self.greeted.set()
            self.gone.set()
            raise
        finally:
            theirs.close()
        output.start(self._supervisor)
        self._channel = Channel.down(ours)
        self._channel.give_up = self._is_deaf
        self._supervisor.spawn("life", self._live, spawner, on_end=OnEnd.LOG)
        self._channel.send("hello", self._orders)

    def take_on(self, run: DistantRun) -> None:
        """Crawl a run."""
        self.runs[run.number] = run
        self._resources[run.number] = run.resource
        while len(self._resources) > len(self.runs) + LATE:
            late = next(number for number in self._resources if number not in self.runs)
            del self._resources[late]
        run.begin(self)

    def _shown(self, number: int | None, line: str) -> str:
        """Take a line that it has written. Returns how the worker's log shows it. What is no line
        of a log belongs to its run, if it has a single one."""
        if number is not None:
            return self._lines.of_log(self._resources.get(number), line)
        if self.only is not None and line:
            self._lines.other(self.only.resource, line)
        return line

    def tell(self, kind: str, *values: Any) -> None:
        """Send a message, unless the process is gone."""
        if self._channel is not None and not self.gone.is_set():
            self._channel.send(kind, values)

    def exit(self, patience_s: float) -> None:
        """Have it end in order, if it has begun. Its runs have ended."""
        self.look()
        self.is_serving = False
        self.why = self.why or "it was told to end"
        if self._channel is not None and not self.gone.is_set():
            self._channel.send("exit", ())
        if self.greeted.is_set():  # else it loads its spiders, and reads nothing
            self.gone.wait(patience_s)
        self.kill(self.why)
        self.gone.wait(patience_s)  # a greenlet that is stopped before it ran would not tell
        self._supervisor.stop()

    def kill(self, why: str, charged: int = 0) -> None:
        """End it at once. From this call on it computes, requests and writes nothing.

        `charged` is the run that is to blame.
        """
        if self.born is None or self.gone.is_set():
            return
        self.look()
        self.is_serving = False
        self.why, self.charged = self.why or why, self.charged or charged
        self._end_group()

    def _end_group(self) -> None:
        """End it, if it is there, and what its spiders have started."""
        assert self.born is not None
        killing.kill(Crawling(self.born.pidfd, self.born.pid))

    def _is_deaf(self) -> bool:
        """It has read nothing for a while. That is no fault of one whose callback computes: for
        how long it may do that, others decide."""
        if self.glance().is_sure:
            return False
        self.kill("it does not read what its worker tells it")
        return True

    def cut_off(self, number: int) -> None:
        """End the callback of a run where it is, though its process computes and reads no message.
        Only code that keeps the interpreter does not hear of it."""
        if self.born is None or self.gone.is_set() or self.glance().slot != number:
            return
        self._page.cut_off(number)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.born.pidfd, signal.SIGUSR2)

    def glance(self) -> Glance:
        """What it does at the moment, or did at its end."""
        return self._page.glance()

    def named(self, found: Any) -> dict[str, Any]:
        """Statistics that it has told, with its numbers."""
        return {**found, "process": self.number, "pid": self.pid or 0}

    def load(self) -> ProcessLoad:
        """What it does at the moment."""
        pid, tasks, late_s = self.pid or 0, len(self.runs), self._page.late_s()
        return ProcessLoad(self.number, pid, self.is_serving, tasks, self.memory(), late_s)

    def memory(self) -> int:
        """The bytes of memory that it takes; 0 if it is gone."""
        return 0 if self.born is None else memory_of(self.born.pid)

    def look(self) -> None:
        """Look at what it has taken of processors. Of one that is gone, nobody can tell."""
        if self.born is not None and not self.gone.is_set():
            self.cpu_s = max(self.cpu_s, cpu_of(self.born.pid))

    def take_late_s(self) -> float:
        """By how many seconds its hub was late since the last call, at worst."""
        return self._page.take_late_s()

    def stack(self) -> str:
        """What it executes at the moment, the innermost line last."""
        if self.born is None or self.gone.is_set():
            return ""
        os.ftruncate(self._stack_file, 0)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.born.pidfd, signal.SIGUSR1)
        self._await_stack()
        if self.gone.is_set():
            return ""
        text = os.pread(self._stack_file, STACK_BYTES, 0).decode(errors="replace")
        return "\n".join(reversed(text.splitlines()[1:]))

    def _await_stack(self) -> None:
        """Wait until it has begun to write, which needs a processor, and a moment longer."""
        for _ in range(round(STACK_LATE_S / STACK_S)):
            if self.gone.wait(STACK_S):
                return
            if os.fstat(self._stack_file).st_size:
                break
        self.gone.wait(STACK_S)

    def _live(self, spawner: Spawner) -> None:
        """Read what it tells until it is gone."""
        assert self._channel is not None
        assert self.born is not None
        self._supervisor.spawn("hello", self._await_hello, on_end=OnEnd.LOG)
        death = self._supervisor.spawn("death", self._await_death, on_end=OnEnd.LOG)
        try:
            while (message := self._channel.receive()) is not None:
                self._take(*message)
        except _NONSENSE as error:
            self.kill(f"it tells what cannot be understood: {error}")
        finally:
            death.kill(block=False)
            self._await_end(spawner)

    def _await_death(self) -> None:
        """Its channel ends with it, unless something that its spiders have forked holds that."""
        assert self._channel is not None
        assert self.born is not None
        wait_read(self.born.pidfd)
        self._channel.hear_out()

    def _await_hello(self) -> None:
        if not self.greeted.wait(HELLO_S):
            self.kill(f"it did not load its spiders within {HELLO_S:g} s")

    def _await_end(self, spawner: Spawner) -> None:
        assert self._channel is not None
        assert self.born is not None
        self.is_serving = False
        try:
            if not self._is_gone_within(GONE_S):
                self.kill("it has closed its channel, and goes on")
                self._is_gone_within(GONE_S)
        finally:
            self.status = spawner.exit_of(self.born.pid)
            if self.status is None:
                self._end_group()  # else its spawner has
            self.gone.set()
            self.greeted.set()
            self._serve(self, "gone", None)
            run_aside("files of a process", self._close)

    def _is_gone_within(self, patience_s: float) -> bool:
        assert self.born is not None
        with gevent.Timeout(patience_s, False):
            wait_read(self.born.pidfd)
            return True
        return False

    def _close(self) -> None:
        assert self._channel is not None
        assert self.born is not None
        assert self._output is not None
        self._output.drain()
        self._output.close()
        self._channel.close()
        os.close(self.born.pidfd)
        self._close_files()

    def _close_files(self) -> None:
        self._page.close()
        for file in (self._page_file, self._stack_file):
            os.close(file)

    def _take(self, kind: str, body: Any) -> None:
        if kind == "status":
            number, status = body
            if number in self.runs:
                self.runs[number].take(status)
        elif kind == "counts":
            for number, row, shards in body:
                if number in self.runs:
                    self.runs[number].take_counts(row, shards)
        elif kind == "figures":
            self._take_figures(body)
        elif kind == "hello":
            self.fault = str(body.get("fault", ""))
            self.spiders = frozenset(map(str, body.get("spiders", ())))
            self.described = abouts_from(body.get("described"))
            self.has_loaded = not self.fault
            self.is_serving = self.has_loaded and not self.why  # it may be told to end
            self.why = self.why or self.fault
            self.greeted.set()
        else:
            self._serve(self, kind, body)

    def _take_figures(self, body: Any) -> None:
        self.figures = Figures(*map(int, body["held"]))
        totals = Totals()
        for kept, told in (
            (totals.sums, body["sums"]),
            (totals.failures, body["failures"]),
            (totals.filtered, body["filtered"]),
        ):
            kept |= {name: int(count) for name, count in told.items()}
        self.totals = totals

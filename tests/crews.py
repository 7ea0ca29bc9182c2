"""A crew as a worker has it, a site for it to crawl, and spiders."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from gevent import socket
from gevent.event import AsyncResult

from crawler.clock import SystemClock
from crawler.model.records import Resource, Spec
from crawler.node.crew.channel import Channel
from crawler.node.crew.crews import crew_of
from crawler.node.crew.hosts import Hosts, numbers
from crawler.node.guard.guard import NoGuard
from crawler.node.run.run_logs import RunLogs
from crawler.node.run.sharing import Sharing
from crawler.node.run.states import States
from crawler.node.worker.runs import Runs
from crawler.settings.crawl import CrawlSettings
from crawler.settings.sections import NodeSettings, Settings
from crawler.settings.worker import WorkerSettings
from crawler.supervision import Supervisor, do_all
from tests.site import Site
from tests.site.asked import html
from tests.waiting import PATIENCE_S, eventually

SPIDERS = """
import ctypes, json, os, re, subprocess, sys, time
import gevent
import crawler


class Tree(crawler.Spider):
    name = "tree"

    def parse(self, response):
        yield {"url": response.url}
        yield from response.follow_all(css="a")


class Raising(crawler.Spider):
    name = "raising"

    def parse(self, response):
        raise ValueError("on purpose")


class Refusing(crawler.Spider):
    name = "refusing"

    def __init__(self, **given):
        raise ValueError("not like this")


class Odd(crawler.Spider):
    '''Does what `do` says on each page whose address contains `at`.'''

    name = "odd"

    def __init__(self, do, at="", leaks=10_000_000, **given):
        super().__init__(**given)
        self.do, self.at, self.leaks = do, at, leaks

    def parse(self, response):
        if self.at in response.url:
            getattr(self, self.do)()
        yield {"url": response.url}
        yield from response.follow_all(css="a")

    def exit(self):
        os._exit(7)

    def crash(self):
        ctypes.string_at(0)

    def signal(self):
        os.kill(os.getpid(), 40)

    def compute(self):
        while True:
            pass

    def be_slow(self):
        until_s, until_cpu_s = time.monotonic() + 2.5, time.process_time() + 1.2
        while time.monotonic() < until_s or time.process_time() < until_cpu_s:
            pass

    def match(self):
        re.match(r"(a+)+$", "a" * 60 + "b")

    def wait(self):
        gevent.sleep(3)

    def leak(self):
        self.kept = getattr(self, "kept", [])
        self.kept.append(bytearray(b"x") * self.leaks)

    def lack_memory(self):
        raise MemoryError

    def catch_all(self):
        while True:
            try:
                gevent.sleep(0.01)
            except BaseException:
                pass

    def have_child(self):
        started = subprocess.Popen(["sleep", "1000"])
        with open(self.settings_file, "w") as file:
            file.write(str(started.pid))

    def end_child(self):
        started = subprocess.Popen(["sleep", "1000"])
        started.terminate()
        names = "PYTHONPATH", "CRAWLER_GIVEN_PYTHONPATH"
        told = [started.wait(), *map(os.environ.get, names)]
        with open(self.settings_file, "w") as file:
            json.dump(told, file)

    def print(self):
        print("x" * 3000)

    settings_file = ""
"""


def tree(most):
    """/tree/7 links to the two pages that come after it in a heap."""

    def page(asked):
        number = int(asked.path.rsplit("/", 1)[1])
        later = [to for to in (2 * number + 1, 2 * number + 2) if to < most]
        return html(f"page {number}", *(f"{asked.path}/../{to}" for to in later))

    return page


PAGES = 40


class Place:
    """A crew that runs, with its folder and a site of `PAGES` pages."""

    def __init__(
        self, folder, processes, spiders=SPIDERS, guard=None, crawl=None, hub_limit_s=2.0, **worker
    ):
        """Without `spiders` it has none."""
        Path(folder, "spiders.py").write_text(spiders)
        self.folder = folder
        self.clock = SystemClock()
        self.settings = Settings(
            folder=str(folder),
            spiders=["spiders.py"] if spiders else [],
            node=NodeSettings(hub_limit_s=hub_limit_s),
            crawl=CrawlSettings(delay_s=0.0, robots=False, host_concurrency=4, **(crawl or {})),
            worker=WorkerSettings(
                processes=processes, private_targets=["all"], report_s=0.2, **worker
            ),
        )
        self.site = Site(pages={"tree": tree(PAGES)})
        self.states = States(Path(folder, self.settings.frontier.folder), self.clock)
        self.logs = RunLogs(self.settings.logs, str(folder), self.clock)
        self.crew = crew_of(
            self.settings, self.clock, Sharing(), self.states, guard or NoGuard(), logs=self.logs
        )
        self.ends = 0

    def __enter__(self):
        self.site.__enter__()
        try:
            self.crew.start()
            self.crew.prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        do_all(self.crew.stop, self.states.close, self.site.close)

    def runs(self, most=100):
        return Runs(self.crew, self.clock, self._note_end, most, logs=self.logs)

    def _note_end(self):
        self.ends += 1

    def resource(self, name, spider="tree", *, epoch=1, path="/tree/0", host="127.0.0.1", **given):
        """A resource of a task that begins at that path; `isolated` and parameters as given."""
        isolated = given.pop("isolated", False)
        parameters = {"start_urls": [self.site.url(path, host)], **given}
        spec = Spec(name, spider, parameters, isolated=isolated)
        return Resource(spec, id=f"id-{name}", epoch=epoch)

    def files(self, name):
        """The names of the files of a task's items."""
        return sorted(path.name for path in Path(self.folder, "items", name).glob("[!.]*"))

    def told(self, name):
        """The lines of a task's `.runs`."""
        path = Path(self.folder, "items", name, ".runs")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def items(self, name):
        """How often each page is in the items of a task; what a run has cut off is none."""
        return Counter(
            json.loads(line)["url"].rsplit("/", 1)[1]
            for path in Path(self.folder, "items", name).glob("*.jsonl*")
            if path.suffix in (".jsonl", ".part")
            for line in path.read_text().splitlines()
        )

    def serving(self):
        """The processes that take runs."""
        return [each for each in self.crew._processes.values() if each.is_serving]

    def full(self):
        """Wait until as many processes serve as there should be."""
        eventually(lambda: len(self.serving()) >= self.settings.worker.processes)
        return self.serving()


def ended(runs, name):
    """Wait for the end of a run; its report."""
    run = runs.of(name)
    eventually(lambda: run.ended, what=f"{name} ends")
    return run.status()


def pages_of(runs, name):
    """The pages of a run so far."""
    return runs.of(name).status().counts.pages


def waits_for_pages(runs, name, pages):
    """Wait until a run has fetched so many pages."""
    eventually(lambda: pages_of(runs, name) >= pages, what=f"{name} has {pages} pages")


class Questions:
    """What a worker knows of hosts, asked by its crawl processes through a channel."""

    def __init__(self, clock):
        self.hosts = Hosts(clock)
        ours, theirs = socket.socketpair()
        self._down, self._up = Channel.down(ours), Channel.up(theirs)
        self._answers = {}
        self._next = numbers()
        self._supervisor = Supervisor("questions")
        self._supervisor.spawn("worker", self._answer)
        self._supervisor.spawn("process", self._hear)

    def ask(self, process, what, *values):
        """Ask as that process, and wait for the answer."""
        number = self._next()
        self._answers[number] = answer = AsyncResult()
        self._up.send("ask", [number, process, what, *values])
        return answer.get(timeout=PATIENCE_S)

    def close(self):
        self._supervisor.stop()
        self._down.close()
        self._up.close()

    def _answer(self):
        while (message := self._down.receive()) is not None:
            number, process, what, *values = message[1]
            answer = self.hosts.answer(process, what, *values)
            self._down.send("answer", (number, answer))

    def _hear(self):
        while (message := self._up.receive()) is not None:
            number, answer = message[1]
            self._answers.pop(number).set(answer)

"""A run that is cut off wherever it may be leaves nothing behind, and counts as ended."""

import os
import sqlite3

import gevent
import pytest
from gevent import monkey

from crawler import Request
from crawler.engine.frontier import disk_queue
from crawler.engine.items.sinks import batched
from crawler.engine.items.sinks.factory import FILE_THREADS, SQLITE, RunSink, Sinks
from crawler.engine.items.sinks.targets import FORMATS
from crawler.model.records import Spec, State
from tests.depth import deep
from tests.site import Site
from tests.site.crawling import OnlyTitles, running_engine
from tests.switches import CUTS, cut_at_each_switch
from tests.waiting import PATIENCE_S, eventually

ON_DISK_AT = 100
"""So many requests are kept in memory; further ones go to disk."""
REQUESTS = 2 * ON_DISK_AT + disk_queue.CHUNK

rest = monkey.get_original("time", "sleep")


class Waits:
    """A pipeline that gives others a turn whenever it is called."""

    opened = closed = 0

    def open_spider(self):
        Waits.opened += 1
        gevent.sleep(0)

    def process_item(self, item):
        gevent.sleep(0)
        return item

    def close_spider(self):
        Waits.closed += 1
        gevent.sleep(0)


class Busy(OnlyTitles):
    """Waits wherever a spider may, and has more requests than memory takes."""

    name = "busy"
    pipelines = (Waits, Waits)
    custom_settings = {  # noqa: RUF012
        "max_pages": 2,
        "max_pending": ON_DISK_AT,
        "sinks": [*FORMATS, SQLITE],
    }

    def start(self):
        gevent.sleep(0)
        for number in range(REQUESTS):
            yield Request(f"{self.start_urls[0]}{number}", self.parse_title)

    def closed(self, reason):
        gevent.sleep(0)


@pytest.fixture
def slow_threads(monkeypatch, databases):
    """What a native thread does takes a while, so that a run is cut off in the middle of it."""

    def slowly(step):
        def slow(*args, **kwargs):
            rest(0.002)
            done = step(*args, **kwargs)
            rest(0.002)
            return done

        return slow

    monkeypatch.setattr(batched, "_caught", slowly(batched._caught))
    monkeypatch.setattr(sqlite3, "connect", slowly(sqlite3.connect))


@pytest.fixture
def databases(monkeypatch):
    """The databases for requests that wait on disk."""
    made = []
    connect = sqlite3.connect

    def noted(*args, **kwargs):
        database = connect(*args, **kwargs)
        if args == ("",):
            made.append(database)
        return database

    monkeypatch.setattr(sqlite3, "connect", noted)
    return made


def is_closed(database):
    try:
        database.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return True
    return False


@pytest.fixture
def sinks():
    """All threads that it shares are there from the start, so that one more is one too many."""
    sinks = Sinks({})
    sinks._threads.size = FILE_THREADS
    yield sinks
    sinks.close()


def what_it_holds():
    """Native threads, but for those that the hub lends; open files, with or without a name."""
    threads = len(os.listdir("/proc/self/task")) - gevent.get_hub().threadpool.size
    return threads, sorted(filter(is_file, map(target, os.listdir("/proc/self/fd"))))


def target(descriptor):
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        return ""


def is_file(name):
    return name.startswith("/") and not name.startswith("/dev/")


@pytest.mark.parametrize(
    "cut", [*(pytest.param(*c.values, marks=deep) for c in CUTS[:-1]), CUTS[-1]]
)
def test_nothing_is_left_of_a_run_wherever_it_is_cut_off(
    cut, sinks, slow_threads, databases, tmp_path
):
    with Site() as site, running_engine(Busy) as engine:
        crawls = []

        def spawn():
            task = f"task-{len(crawls)}"
            spec = Spec(task, Busy.name, parameters={"start_urls": [site.url("/page/")]})
            crawl = engine.crawl(spec, RunSink(sinks, tmp_path / task / "1-1.jsonl", task))
            crawls.append(crawl)
            return gevent.spawn(crawl.run)

        spawn().join(PATIENCE_S)
        before = what_it_holds()
        Waits.opened = Waits.closed = 0
        for number in cut_at_each_switch(spawn, cut):
            left = f"cut off {cut} at switch {number}"
            eventually(lambda: what_it_holds() == before, what=left)
            eventually(lambda: all(map(is_closed, databases)), what=left)
            assert crawls[-1].ended.is_set() == (number > 0), left
            assert Waits.opened <= Waits.closed, left
            assert engine._fetcher.in_flight == 0, left
        assert len(databases) > 10, "many had requests on disk"
        assert number > 15, "it was cut off at many moments"
        assert all(found.ended_ns for found in engine.statistics.all())
        assert not crawls[-1].stopped
        assert crawls[-1].counts.items == crawls[0].counts.items


@pytest.mark.parametrize("name", ["jsonl", SQLITE])
def test_nothing_is_left_of_a_run_whose_place_cannot_be_opened(name, sinks, tmp_path):
    path = tmp_path / "1-1.jsonl"
    path.mkdir()
    path.with_suffix(".db").mkdir()
    with running_engine(Busy) as engine:
        before = what_it_holds()
        parameters = {"start_urls": ["http://127.0.0.1:1/"], "settings": {"sinks": [name]}}
        crawl = engine.crawl(
            Spec("task", Busy.name, parameters=parameters), RunSink(sinks, path, "task")
        )
        crawl.run()
        assert crawl.outcome()[0] is State.FAILED
        eventually(lambda: what_it_holds() == before)

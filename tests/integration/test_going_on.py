"""The runs of a worker go on where they were, end in order, and tell how a crawl ended."""

import itertools
import time
from collections import Counter

import gevent
import pytest
from gevent import monkey

from crawler.clock import SystemClock
from crawler.engine.crawl import crawl as crawl_module
from crawler.engine.items.sinks.factory import Sinks
from crawler.engine.items.sinks.json_lines import JsonLines
from crawler.items import items_of
from crawler.model.records import Resource, Spec, State
from crawler.node.crew.in_process import InProcess
from crawler.node.run.states import States
from crawler.node.worker import runs as runs_module
from crawler.node.worker.runs import Runs
from tests.integration.test_processes_resume import tree
from tests.integration.trees import engine
from tests.site import Site
from tests.site.crawling import lines
from tests.switches import CUTS, cut_at_each_switch
from tests.waiting import eventually

__all__ = ["engine"]

rest = monkey.get_original("time", "sleep")

PAGES = 60
BUSH = 8
LONG_S = 600.0
"""Longer than any test may take."""


@pytest.fixture
def site():
    with Site(pages={"tree": tree(PAGES), "bush": tree(BUSH)}) as site:
        yield site


class Machine:
    """A worker's runs, and others that come after them in the same folders."""

    def __init__(self, engine, site, folder):
        self.engine, self.site, self.folder = engine, site, folder
        self.sinks = Sinks({})
        self.workers, self.states = [], []

    def worker(self):
        states = States(self.folder / "frontier", SystemClock(), patience_s=10.0)
        self.states.append(states)
        crew = InProcess(self.engine, self.sinks, self.folder / "items", states)
        runs = Runs(crew, SystemClock(), lambda: None, 10)
        self.workers.append(runs)
        return runs

    def resource(self, epoch, start_urls=None, **settings):
        start_urls = start_urls or [self.site.url("/tree/0")]
        parameters = {"start_urls": start_urls, "settings": settings}
        return Resource(Spec("task", "tree", parameters), id="7", epoch=epoch)

    def asked(self):
        return Counter(path for path in self.site.paths() if path != "/robots.txt")

    def until(self, pages):
        eventually(lambda: self.asked().total() >= pages)

    def files(self):
        names = [path.name for path in (self.folder / "items" / "task").iterdir()]
        return sorted(name for name in names if not name.endswith(("-wal", "-shm")))

    def runs(self):
        return lines(self.folder / "items" / "task" / ".runs")

    def state(self):
        """What `crawler items` says of the crawl."""
        return items_of("task", self.folder / "items").state

    def pages(self, name="7-1.jsonl"):
        return sorted(item["page"] for item in lines(self.folder / "items" / "task" / name))


@pytest.fixture
def machine(engine, site, tmp_path):
    machine = Machine(engine, site, tmp_path)
    yield machine
    for runs in machine.workers:
        runs.stop_all()
    for states in machine.states:
        states.close()
    machine.sinks.close()


def ended(runs):
    """The run of the task, when it has ended."""
    eventually(lambda: runs.all() and runs.all()[0].ended)
    return runs.all()[0].status()


def test_a_run_that_is_stopped_is_forgotten_at_once_and_ends_in_order(machine):
    runs = machine.worker()
    runs.start(machine.resource(1))
    machine.until(PAGES // 2)
    runs.stop(["task"])
    assert runs.known() == {}
    runs.start(machine.resource(2))
    report = ended(runs)
    assert (report.state, report.counts.pages, report.counts.items) == (State.DONE, PAGES, PAGES)
    assert machine.asked() == Counter({f"/tree/{page}": 1 for page in range(PAGES)})
    assert machine.files() == [".runs", "7-1.jsonl"]
    assert machine.pages() == [*range(PAGES)]
    assert machine.runs() == [
        {"id": "7", "epoch": 1, "files": ["7-1"]},
        {"id": "7", "epoch": 2, "files": ["7-1"]},
    ]
    assert not runs.tend()


def test_files_are_called_parts_until_the_crawl_has_ended(machine):
    runs = machine.worker()
    runs.start(machine.resource(1, sinks=["jsonl", "csv.gz", "sqlite"]))
    machine.until(PAGES // 2)
    assert machine.files() == [".runs", "7-1.csv.gz.part", "7-1.db", "7-1.jsonl.part"]
    ended(runs)
    assert machine.files() == [".runs", "7-1.csv.gz", "7-1.db", "7-1.jsonl"]


def test_a_run_with_other_formats_begins_files_of_its_own(machine):
    runs = machine.worker()
    runs.start(machine.resource(1))
    machine.until(PAGES // 2)
    runs.stop(["task"])
    runs.start(machine.resource(2, sinks=["jsonl", "csv"]))
    ended(runs)
    assert machine.files() == [".runs", "7-1.jsonl", "7-2.csv", "7-2.jsonl"]
    assert sorted([*machine.pages(), *machine.pages("7-2.jsonl")]) == [*range(PAGES)]
    assert machine.runs()[-1]["files"] == ["7-1", "7-2"]


def test_how_a_crawl_ended_is_told_by_the_next_run_that_fetches_nothing(machine):
    """The worker is killed after the end of the crawl and before the leader has heard of it."""
    first = machine.worker()
    first.start(machine.resource(1))
    told = ended(first)
    whole = machine.folder / "items" / "task" / "7-1.jsonl"
    whole.rename(whole.with_name("7-1.jsonl.part"))  # nor had it given the file its name
    before = machine.asked()
    second = machine.worker()
    second.start(machine.resource(2))
    again = ended(second)
    assert (again.state, again.reason) == (told.state, told.reason)
    assert again.counts.pages == told.counts.pages == PAGES
    assert machine.asked() == before
    assert machine.files() == [".runs", "7-1.jsonl"]


def test_a_failure_is_told_again_and_a_new_try_begins_anew(machine):
    first = machine.worker()
    first.start(machine.resource(1, min_items=1000))
    assert ended(first).state is State.FAILED
    eventually(lambda: machine.state() == "failed", what="its items say so")
    before = machine.asked()
    second = machine.worker()
    second.start(machine.resource(2, min_items=1000))
    assert "min_items asks for 1000" in ended(second).reason
    eventually(lambda: machine.state() == "failed")
    assert machine.asked() == before
    third = machine.worker()
    third.start(machine.resource(3).replace(failed_on=("w-1",)))
    assert ended(third).state is State.DONE
    assert machine.asked().total() == 2 * before.total()


def test_a_failure_is_not_told_of_a_run_with_other_settings(machine):
    """An update forgets on which workers the task has failed."""
    runs = machine.worker()
    runs.start(machine.resource(1, min_items=1000))
    assert ended(runs).state is State.FAILED
    runs = machine.worker()
    runs.start(machine.resource(3, min_items=PAGES))
    assert ended(runs).state is State.DONE
    assert machine.files() == [".runs", "7-1.jsonl", "7-3.jsonl"]
    assert machine.pages("7-3.jsonl") == [*range(PAGES)]


def test_a_crawl_that_could_not_write_goes_on_when_it_is_tried_again(machine, monkeypatch):
    write, full = JsonLines.write, []

    def fail(self, records):
        if full:
            raise OSError(28, "No space left on device")
        return write(self, records)

    monkeypatch.setattr(JsonLines, "write", fail)
    runs = machine.worker()
    runs.start(machine.resource(1))
    machine.until(PAGES // 2)
    full.append(True)
    report = ended(runs)
    assert report.state is State.FAILED
    assert "No space left" in report.reason
    eventually(lambda: machine.state() == "failed", what="it is noted")
    assert machine.files() == [".runs", "7-1.jsonl.part"]
    full.clear()
    runs = machine.worker()
    runs.start(machine.resource(2).replace(failed_on=("w-1",)))
    assert ended(runs).counts.pages == PAGES
    assert machine.pages() == [*range(PAGES)]
    eventually(lambda: machine.state() == "ended")


def test_a_lost_lease_stops_a_run_that_ends_in_order_too(machine, monkeypatch):
    """It waits for an answer that takes long, and holds up nobody."""
    monkeypatch.setattr(crawl_module, "FINISH_S", LONG_S)
    monkeypatch.setattr(runs_module, "END_S", LONG_S)
    runs = machine.worker()
    slow = machine.site.url(f"/slow?s={LONG_S}")
    urls = [slow, machine.site.url("/tree/0")]
    runs.start(machine.resource(1, urls, timeout_s=LONG_S))
    machine.until(PAGES // 3)
    began_s = time.monotonic()
    runs.stop(["task"])
    gevent.sleep(0.1)
    assert runs.tend()
    before = machine.asked()
    runs.stop_all()
    eventually(lambda: not runs.tend())
    assert time.monotonic() - began_s < LONG_S / 2, "none of these waited for its end in order"
    kept = machine.states[0].open(machine.resource(2, urls))
    kept.store.close()
    assert kept.found.waiting > 0
    assert machine.asked() == before


@pytest.mark.parametrize("cut", CUTS)
def test_wherever_runs_are_cut_off_the_next_goes_on_and_each_item_is_there_once(machine, cut):
    runs = machine.worker()
    epochs = itertools.count(1)

    def spawn():
        url = machine.site.url("/bush/0")
        runs.start(machine.resource(next(epochs), [url], delay_s=0.02))
        return runs._runs["task"][1]

    for number in cut_at_each_switch(spawn, cut):
        left = f"cut off {cut} at switch {number}"
        runs.stop_all()
        assert not runs.known(), left
        assert not runs.running, left
    report = runs.all()[0].status()
    assert (report.state, report.counts.pages, report.counts.items) == (State.DONE, BUSH, BUSH)
    written = [
        page for stem in machine.runs()[-1]["files"] for page in machine.pages(f"{stem}.jsonl")
    ]
    assert sorted(written) == [*range(BUSH)]
    assert number > 3


def test_the_next_run_waits_until_the_last_items_of_a_run_that_was_cut_off_are_written(
    machine, monkeypatch, caplog
):
    """The disk takes longer than a run may take to stop."""
    write, writing, may_go_on = JsonLines.write, [], []

    def slow(self, records):
        writing.append(len(records))
        while not may_go_on:
            rest(0.001)
        return write(self, records)

    runs = machine.worker()
    runs.start(machine.resource(1))
    machine.until(PAGES // 3)
    monkeypatch.setattr(JsonLines, "write", slow)
    eventually(lambda: writing)
    runs.stop_all()
    assert not runs.known()
    runs.start(machine.resource(2))
    gevent.sleep(0.3)
    assert runs.all()[0].waits
    may_go_on.append(True)
    assert ended(runs).counts.pages == PAGES
    assert machine.pages() == [*range(PAGES)]
    assert "another program writes" not in caplog.text


def test_a_run_that_takes_too_long_to_end_is_cut_off(machine, monkeypatch):
    monkeypatch.setattr(crawl_module, "FINISH_S", LONG_S)
    monkeypatch.setattr(runs_module, "END_S", 0.2)
    runs = machine.worker()
    runs.start(machine.resource(1, [machine.site.url(f"/slow?s={LONG_S}")], timeout_s=LONG_S))
    machine.until(1)
    runs.stop(["task"])
    assert runs.tend()
    eventually(lambda: not runs.tend(), what="it does not wait for its last answer")


def test_the_reason_that_keeps_a_run_from_its_state_is_its_failure(machine):
    runs = machine.worker()
    runs.start(machine.resource(5))
    ended(runs)
    late = machine.worker()
    late.start(machine.resource(4))
    report = ended(late)
    assert report.state is State.FAILED
    assert "epoch 4 is over; the last one is 5" in report.reason

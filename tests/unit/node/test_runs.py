"""How many tasks a worker runs at once, and whose turn it is next."""

import gevent
import pytest
from gevent.event import Event

from crawler.clock import SystemClock
from crawler.engine.items.sinks.factory import Sinks
from crawler.model.records import NO_SHARD_COUNTS, Counts, Resource, Spec, State
from crawler.model.statistics import Statistics
from crawler.node.crew.in_process import InProcess
from crawler.node.worker.runs import Runs
from crawler.settings.crawl import CrawlSettings
from tests.waiting import eventually


class Crawl:
    """Runs until it is told to end."""

    counts = Counts()
    shard_counts = NO_SHARD_COUNTS
    is_ending = False
    can_go_on = has_lost_steps = False
    statistics = Statistics("", "", pages=3)

    def __init__(self, spec):
        self.spec = spec
        self.over = Event()

    def run(self):
        self.over.wait()

    def stop(self):
        self.over.set()

    break_off = stop

    end = State.DONE, ""

    def outcome(self):
        return self.end


class Engine:
    """Makes such crawls; knows those that were made, by the name of the task."""

    def __init__(self):
        self.crawls = {}
        self.may_make = Event()
        self.may_make.set()

    def crawl(self, spec, sink, kept=None):
        self.crawls[spec.name] = Crawl(spec)
        self.may_make.wait()
        return self.crawls[spec.name]

    def settings_of(self, spec):
        return CrawlSettings(resume=False)

    def adjust(self, crawl, spec):
        crawl.spec = spec


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def over():
    """The runs that are over, each with the statistics that it had then."""
    return []


@pytest.fixture
def runs(engine, tmp_path, over):
    crew = InProcess(engine, Sinks({}), tmp_path)
    runs = Runs(
        *(crew, SystemClock(), lambda: None),
        most=2,
        on_over=lambda run: over.append((run.name, run.statistics)),
    )
    yield runs
    runs.stop_all()


def start(runs, *names, priority=0):
    for name in names:
        runs.start(Resource(Spec(name, priority=priority), id=f"id-{name}", epoch=1))


def begun(engine):
    """Who has begun, when nothing more happens by itself."""
    gevent.sleep(0)
    gevent.get_hub().threadpool.join()  # each looks first which runs of its task have begun
    gevent.idle()
    return sorted(engine.crawls)


def test_only_so_many_run_at_once_and_the_others_in_turn(runs, engine):
    start(runs, "a", "b", "c", "d")
    assert begun(engine) == ["a", "b"]
    assert (runs.running, runs.waiting) == (2, 2)
    engine.crawls["b"].over.set()
    eventually(lambda: begun(engine) == ["a", "b", "c"])
    assert (runs.running, runs.waiting) == (2, 1)


def test_of_those_that_wait_the_highest_priority_is_next(runs, engine):
    start(runs, "a", "b", "low")
    start(runs, "high", priority=5)
    runs.stop(["a"])
    eventually(lambda: begun(engine) == ["a", "b", "high"])


def test_who_waits_has_nothing_to_report_and_can_be_stopped(runs, engine):
    start(runs, "a", "b", "c", "d")
    begun(engine)
    assert [run.name for run in runs.all() if run.report() is not None] == ["a", "b"]
    runs.stop(["c"])
    assert sorted(runs.known()) == ["a", "b", "d"]
    runs.stop(["a"])
    eventually(lambda: begun(engine) == ["a", "b", "d"])


def test_one_that_is_cut_off_before_its_first_turn_gives_its_place_to_another(runs, engine):
    start(runs, "a", "b", "c")
    runs.stop(["a", "b"])  # neither greenlet has had a turn yet
    eventually(lambda: "c" in begun(engine))


def test_settings_that_change_while_a_spider_is_made_hold(runs, engine):
    engine.may_make.clear()
    start(runs, "a")
    assert begun(engine) == ["a"]
    slower = Spec("a", parameters={"settings": {"delay_s": 7}})
    runs.adjust([Resource(slower, id="id-a", epoch=1)])
    engine.may_make.set()
    eventually(lambda: engine.crawls["a"].spec == slower)


def test_nothing_begins_once_the_worker_leaves(runs, engine):
    start(runs, "a", "b", "c")
    begun(engine)
    runs.halt(1.0)
    assert begun(engine) == ["a", "b"]
    assert sorted(runs.known()) == ["a", "b", "c"]


def test_each_run_that_is_over_is_told_with_its_statistics_also_one_that_was_stopped(
    runs, engine, over
):
    start(runs, "a", "b")
    begun(engine)
    runs.stop(["a"])
    engine.crawls["b"].over.set()
    eventually(lambda: sorted(over) == [("a", '{"pages":3}'), ("b", '{"pages":3}')])


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("no page could be used: boom (http://h/); see the log", "; see crawler logs a"),
        ("no page could be fetched: dns (http://h/)", "dns (http://h/)"),
    ],
)
def test_a_reason_of_which_the_log_says_more_names_the_command(runs, engine, reason, told):
    start(runs, "a")
    begun(engine)
    engine.crawls["a"].end = State.FAILED, reason
    engine.crawls["a"].over.set()
    eventually(lambda: runs.of("a").ended)
    assert runs.of("a").status().reason.endswith(told)
    assert "see the log" not in runs.of("a").status().reason

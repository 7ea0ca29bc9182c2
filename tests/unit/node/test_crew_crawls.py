"""The statistics of crawls in several processes, of which some do not answer."""

import gevent
import pytest

from crawler.errors import NotFound, Unavailable
from crawler.model.processes import ProcessLoad
from crawler.model.records import Counts, Report, State
from crawler.model.statistics import Statistics
from crawler.node.crew import distant_crawls
from crawler.node.crew.distant_crawls import DistantCrawls
from crawler.node.crew.page import Glance
from tests.waiting import PATIENCE_S


def found(task, pages=1, began_ns=1, ended_ns=0):
    return Statistics(task=task, spider="s", began_ns=began_ns, ended_ns=ended_ns, pages=pages)


class Process:
    """Answers what it is asked, in parts."""

    def __init__(self, *running, is_mute=False, late_s=1.5):
        self.running = running
        self.runs = {}
        self.number, self.computes = 4, 0
        self.is_mute, self.late_s = is_mute, late_s
        self.crawls = None

    def load(self):
        return ProcessLoad(1, 4711, True, len(self.runs), 0, self.late_s)

    def glance(self):
        return Glance(self.computes, 1, 0.0, 0.0)

    def tell(self, kind, number):
        assert kind == "statistics"
        if not self.is_mute:
            gevent.spawn(self._answer, number)

    def _answer(self, number):
        for each in self.running:
            self.crawls.take(number, [each.to_json()], False)
        self.crawls.take(number, [], True)


def crawls_of(*processes):
    crawls = DistantCrawls(lambda: processes)
    for process in processes:
        process.crawls = crawls
    return crawls


def test_those_of_all_processes_are_there_and_the_ended_ones_last():
    crawls = crawls_of(Process(found("a"), found("b")), Process(), Process(found("c")))
    for task in ("d", "e"):
        crawls.ended(found(task, ended_ns=9).to_json())
    assert [each.task for each in crawls.all()] == ["a", "b", "c", "e", "d"]


def test_a_crawl_that_ends_while_others_answer_is_there_once():
    crawls = crawls_of(Process(found("a"), found("b", began_ns=5)))
    asked = gevent.spawn(crawls.all)
    gevent.sleep(0)  # the process is asked
    crawls.ended(found("b", began_ns=5, ended_ns=9).to_json())
    crawls.ended(found("a", began_ns=0, ended_ns=1).to_json())  # an earlier one
    assert [(each.task, each.ended_ns) for each in asked.get()] == [("a", 0), ("a", 1), ("b", 9)]


def test_a_process_that_computes_holds_up_nobody_for_long(monkeypatch):
    monkeypatch.setattr(distant_crawls, "ANSWER_S", 0.05)
    crawls = crawls_of(Process(found("a"), is_mute=True), Process(found("b")))
    with gevent.Timeout(PATIENCE_S):
        assert crawls.of("b").task == "b"
    with pytest.raises(NotFound):
        crawls.of("a")
    crawls.take(1, [found("late").to_json()], True)
    assert not crawls._asked


class Run:
    """A run that its process has told of."""

    def __init__(self, name, pages=0):
        self.name = name
        self._pages = pages

    def status(self):
        return Report(self.name, "1", 1, State.RUNNING, counts=Counts(self._pages, 2 * self._pages))


@pytest.mark.parametrize(
    ("pages", "told"),
    [(0, "nothing was counted yet"), (3, "3 pages and 6 items were counted")],
)
def test_a_crawl_whose_process_computes_has_begun_and_what_it_counted_is_told(
    monkeypatch, pages, told
):
    monkeypatch.setattr(distant_crawls, "ANSWER_S", 0.05)
    mute = Process(is_mute=True)
    mute.runs, mute.computes = {1: Run("a", pages)}, 1
    crawls = crawls_of(mute, Process(found("b")))
    crawls.ended(found("a", ended_ns=9).to_json())  # the crawl before
    for ask in (crawls.of, crawls.of_task):
        with pytest.raises(Unavailable, match=rf"'a' has begun, and {told}; its process has not"):
            ask("a")
        with pytest.raises(NotFound, match="did not run here lately"):
            ask("c")
    assert crawls.of("b").task == "b"


def test_of_a_crawl_that_waits_for_another_it_is_told_whose_callback_computes(monkeypatch):
    monkeypatch.setattr(distant_crawls, "ANSWER_S", 0.05)
    mute = Process(is_mute=True)
    mute.runs, mute.computes = {1: Run("a"), 2: Run("b"), 3: Run("c", 3)}, 1
    crawls = crawls_of(mute)
    for task, told in {
        "a": "'a' has begun, and nothing was counted yet; .* because a callback computes",
        "b": "'b' was given to process 4, and nothing .* because a callback of task 'a' computes",
        "c": "'c' has begun, and 3 pages .* because a callback of task 'a' computes",
    }.items():
        with pytest.raises(Unavailable, match=told):
            crawls.of(task)


def test_a_process_that_is_hardly_late_was_waited_for_nevertheless(monkeypatch):
    mute = Process(is_mute=True, late_s=0.0)
    mute.runs = {1: Run("a")}
    monkeypatch.setattr(distant_crawls, "ANSWER_S", 0.1)
    with pytest.raises(Unavailable, match=r"has not answered for 0\.1 s"):
        crawls_of(mute).of("a")


def test_a_crawl_that_has_not_begun_in_its_process_is_about_to():
    process = Process()
    process.runs = {1: Run("a")}
    with pytest.raises(NotFound, match="'a' yet; its crawl is about to begin"):
        crawls_of(process).of("a")


def test_a_task_on_several_workers_is_told_of_together():
    crawls = crawls_of(Process(found("t", 2)), Process(found("t~1", 3), found("other", 50)))
    together = crawls.of_task("t")
    assert (together.task, together.pages) == ("t", 5)


def test_of_a_task_that_has_ended_the_last_crawls_count():
    crawls = crawls_of(Process())
    crawls.ended(found("t", 7, began_ns=1, ended_ns=5).to_json())
    crawls.ended(found("t~1", 1, began_ns=1, ended_ns=6).to_json())
    for task in ("t", "t~1"):
        crawls.ended(found(task, 10, began_ns=10, ended_ns=20).to_json())
    assert crawls.of_task("t").pages == 20
    with pytest.raises(NotFound, match="no statistics of task 'u' here"):
        crawls.of_task("u")

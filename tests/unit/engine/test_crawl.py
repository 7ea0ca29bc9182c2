"""A crawl on a fake network: every moment is exact, because the clock is moved by hand."""

import errno
import logging
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import gevent
import pytest

from crawler import CloseSpider, Request, Spider, redaction
from crawler.clock import ManualClock, settle
from crawler.engine.crawl.crawl import START_AHEAD
from crawler.engine.crawl.time_slice import SLICE_S, TimeSlice
from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.http.messages import FetchError
from crawler.model.records import State
from tests.unit.engine.fakes import FakeFetcher, ListSink, crawl_of, page, shared
from tests.waiting import PATIENCE_S


@pytest.fixture
def clock():
    return ManualClock()


def spider_of(urls=(), parse=lambda self, response: None, start=None):
    members = {"name": "test", "start_urls": list(urls), "parse": parse}
    if start is not None:
        members["start"] = start
    return type("TestSpider", (Spider,), members)


class Running:
    """A crawl under way in its greenlet."""

    def __init__(self, clock, spider_class, fetcher=None, sink=None, **settings):
        self.clock, self.began_s = clock, clock.monotonic()
        self.fetcher = fetcher or FakeFetcher(clock)
        self.sink = sink if sink is not None else ListSink()
        self.crawl = crawl_of(spider_class, shared(self.fetcher, clock), self.sink, **settings)
        self.greenlet = gevent.spawn(self.crawl.run)
        self.rest()

    def rest(self):
        """Let it do all it can do without time passing."""
        done = None
        while done != (done := (len(self.fetcher.sent), self.crawl.counts.pages)):
            settle()

    def advance(self, duration_s):
        self.clock.advance(duration_s)
        self.rest()

    def finish(self, within_s, step_s=0.05):
        """Move the clock until the run has ended; the seconds it took."""
        while not self.greenlet.dead and self.clock.monotonic() - self.began_s < within_s:
            self.advance(step_s)
        self.greenlet.get(block=False)
        return self.clock.monotonic() - self.began_s

    def moments(self, url=""):
        return [at_s - self.began_s for at_s in self.fetcher.moments(url)]


def test_a_thousand_hosts_with_a_delay_go_on_at_the_ideal_rate(clock):
    urls = [f"http://h{i % 1000}/{i}" for i in range(3000)]
    it = Running(clock, spider_of(urls), delay_s=1.0, concurrency=16)
    assert it.finish(within_s=10) <= 2.1
    assert it.crawl.counts.pages == 3000
    by_host = defaultdict(list)
    for at_s, call in it.fetcher.sent:
        by_host[call.url.split("/")[2]].append(at_s)
    gaps = [later - earlier for times in by_host.values() for earlier, later in pairwise(times)]
    assert len(gaps) == 2000
    assert min(gaps) >= 1.0


def test_a_host_that_waits_holds_no_slot(clock):
    urls = [f"http://busy/{i}" for i in range(3)] + [f"http://h{i}/" for i in range(5)]
    it = Running(clock, spider_of(urls), delay_s=10.0, concurrency=1)
    assert it.moments("http://h") == [0.0] * 5
    it.finish(within_s=30)
    assert it.moments("http://busy") == pytest.approx([0.0, 10.0, 20.0])


def test_two_crawls_share_the_politeness_of_a_host(clock):
    fetcher = FakeFetcher(clock)
    parts = shared(fetcher, clock)
    crawls = [
        crawl_of(spider_of([f"http://h/{name}{i}" for i in range(4)]), parts, delay_s=delay_s)
        for name, delay_s in (("a", 0.5), ("b", 2.0))
    ]
    greenlets = [gevent.spawn(crawl.run) for crawl in crawls]
    for _ in range(200):
        clock.advance(0.1)
    assert all(greenlet.dead for greenlet in greenlets)
    both = [(at_s, call.url[9]) for at_s, call in fetcher.sent]
    while both[-1][1] == both[-2][1]:  # after the other has ended, its own delay holds
        both.pop()
    assert [name for _, name in both] == ["a", "b"] * 4
    assert min(later - earlier for (earlier, _), (later, _) in pairwise(both)) >= 2.0 - 1e-6


def test_a_retry_backs_off_and_blocks_no_other_page(clock):
    def answer_of(call):
        return page(status=500) if call.url.endswith("/bad") else page()

    urls = ["http://h/bad", *(f"http://h/{i}" for i in range(20))]
    it = Running(
        clock, spider_of(urls), FakeFetcher(clock, answer_of), retries=2, retry_delay_s=4.0
    )
    assert it.crawl.counts.pages == 20
    assert it.finish(within_s=60, step_s=0.5) == pytest.approx(12.0, abs=0.6)
    assert it.moments("http://h/bad") == pytest.approx([0.0, 4.0, 12.0])
    assert it.crawl.failures_by_reason == {"HTTP 500": 1}


def test_retry_after_is_honoured(clock):
    answers = [page(status=429, headers=[b"Retry-After: 30"]), page()]
    it = Running(clock, spider_of(["http://h/"]), FakeFetcher(clock, lambda _: answers.pop(0)))
    it.finish(within_s=60, step_s=0.5)
    assert it.moments() == pytest.approx([0.0, 30.0])
    assert it.crawl.outcome() == (State.DONE, "")


def test_no_more_in_flight_than_concurrency(clock):
    fetcher = FakeFetcher(clock, delay_s=1.0)
    it = Running(
        clock,
        spider_of([f"http://h{i}/" for i in range(10)]),
        fetcher,
        concurrency=3,
    )
    counts = []
    while not it.greenlet.dead:
        counts.append(len(fetcher.sent))
        clock.advance(1.0)
    assert counts == [3, 6, 9, 10]


def test_nothing_is_sent_while_there_is_no_memory_for_an_answer(clock):
    fetcher = FakeFetcher(clock)
    parts = replace(shared(fetcher, clock), held=BodyMemory(10))
    parts.held.take(10)
    crawl = crawl_of(spider_of(["http://h/"]), parts)
    running = gevent.spawn(crawl.run)
    settle()
    assert fetcher.sent == []
    parts.held.give_back(1)
    running.join(PATIENCE_S)
    assert crawl.counts.pages == 1
    parts.held.give_back(9)


def test_items_reach_the_sink_within_a_second_of_a_slow_crawl(clock):
    def parse(self, response):
        yield {"url": response.url}
        yield Request("http://h/never")

    fetcher = FakeFetcher(clock, lambda call: None if call.url.endswith("never") else page())
    it = Running(clock, spider_of(["http://h/"], parse), fetcher)
    assert it.sink == [{"url": "http://h/"}]
    assert it.sink.calls == ["open"]
    clock.advance(1.0)
    assert it.sink.calls == ["open", "flush"]
    it.crawl.stop()
    it.greenlet.join(PATIENCE_S)
    assert it.sink.calls[-1] == "close"


def test_stop_breaks_off_what_is_in_flight_and_frees_its_turns(clock):
    fetcher = FakeFetcher(clock, lambda call: None)
    parts = shared(fetcher, clock)
    crawl = crawl_of(spider_of([f"http://h/{i}" for i in range(9)]), parts, host_concurrency=3)
    greenlet = gevent.spawn(crawl.run)
    settle()
    assert len(fetcher.sent) == 3
    crawl.stop()
    greenlet.join(PATIENCE_S)
    assert greenlet.dead
    assert crawl.stopped
    assert len(fetcher.cancelled) == 3
    second = crawl_of(spider_of(["http://h/x"]), parts, host_concurrency=1)
    rival = gevent.spawn(second.run)
    settle()
    assert fetcher.urls()[-1] == "http://h/x"
    rival.kill()


def test_a_killed_greenlet_still_closes_its_sink(clock):
    it = Running(clock, spider_of(["http://h/"]), FakeFetcher(clock, lambda call: None))
    it.greenlet.kill()
    assert it.sink.calls == ["open", "close"]
    assert it.crawl.stopped
    assert it.crawl.ended.is_set()


def test_stop_in_the_middle_of_a_long_callback(clock):
    def parse(self, response):
        for n in range(10**9):
            if n == 100:
                it.crawl.stop()
            yield {"n": n}

    it = Running(clock, spider_of(["http://h/"], parse), FakeFetcher(clock, delay_s=1.0))
    clock.advance(1.0)
    assert it.greenlet.dead
    assert len(it.sink) == 101


class FullDisk(ListSink):
    def __init__(self, where):
        super().__init__()
        self.where = where

    def _fail(self, where):
        if where == self.where:
            raise OSError(errno.ENOSPC, "No space left on device")

    def open(self):
        super().open()
        self._fail("open")

    def write(self, item, url=""):
        self._fail("write")

    def flush(self):
        self._fail("flush")

    def close(self):
        super().close()
        self._fail("close")


@pytest.mark.parametrize("where", ["open", "write", "flush", "close"])
def test_a_full_disk_ends_the_crawl_as_failed(clock, where):
    def parse(self, response):
        yield {"url": response.url}
        yield Request("http://h/never")

    never = None if where != "close" else page()
    fetcher = FakeFetcher(clock, lambda call: never if call.url.endswith("never") else page())
    it = Running(clock, spider_of(["http://h/"], parse), fetcher, FullDisk(where))
    clock.advance(1.0)
    assert it.greenlet.dead
    state, reason = it.crawl.outcome()
    assert state is State.FAILED
    assert reason == (
        "items could not be written: [Errno 28] No space left on device; make room, then"
        f" crawler again {it.crawl.name} (or run the same command again)"
    )
    assert it.sink.calls[-1] == "close"


def test_an_os_error_of_a_callback_is_not_one_of_the_disk(clock):
    def parse(self, response):
        if response.url.endswith("1"):
            raise ConnectionError("elsewhere")

    it = Running(clock, spider_of(["http://h/1", "http://h/2"], parse))
    assert it.crawl.outcome() == (State.DONE, "")
    assert it.crawl.failures_by_reason == {"callback raised ConnectionError": 1}


def test_a_packed_page_that_ends_too_early_is_told_and_the_first_as_a_warning(clock, caplog):
    caplog.set_level(logging.DEBUG)
    fetcher = FakeFetcher(clock, lambda call: replace(page(), is_cut="/cut" in call.url))
    urls = ["http://h/cut/1", "http://h/whole", "http://h/cut/2"]
    it = Running(clock, spider_of(urls), fetcher, delay_s=0.0)
    it.finish(within_s=1)
    assert it.crawl.counts.pages == 3
    told = [each for each in caplog.records if "a packed page ends too early" in each.getMessage()]
    assert [each.levelno for each in told] == [logging.WARNING, logging.DEBUG]
    assert [each.fields["url"] for each in told] == ["http://h/cut/1", "http://h/cut/2"]
    assert {(each.fields["task"], each.fields["spider"]) for each in told} == {
        ("task", it.crawl.spider.name)
    }


def test_start_requests_are_taken_as_they_are_needed(clock):
    taken = []

    def start(self):
        for i in range(10**9):
            taken.append(i)
            yield Request(f"http://h{i}/")

    fetcher = FakeFetcher(clock, lambda call: None)
    it = Running(clock, spider_of(start=start), fetcher, concurrency=4)
    assert START_AHEAD <= len(taken) <= START_AHEAD + 10
    it.crawl.stop()
    it.greenlet.join(PATIENCE_S)
    assert it.greenlet.dead


def test_a_start_that_raises_is_told(clock):
    def start(self):
        raise KeyError("no token")
        yield

    it = Running(clock, spider_of(start=start))
    state, reason = it.crawl.outcome()
    assert state is State.FAILED
    assert reason.startswith("start raised KeyError: 'no token' at test_crawl.py:")


def test_a_start_url_that_is_none_is_a_failure_and_not_just_left_out(clock):
    it = Running(clock, spider_of(["www.example.org"]))
    state, reason = it.crawl.outcome()
    assert state is State.FAILED
    assert reason == (
        "no page could be fetched: bad url (www.example.org); start URLs begin with http:// or"
        " https://"
    )


def test_start_may_yield_items_and_take_a_moment_to_fail(clock):
    def start(self):
        yield {"from": "start"}
        yield Request("http://h/")
        raise KeyError("late")

    it = Running(clock, spider_of(start=start))
    assert it.sink == [{"from": "start"}]
    assert it.crawl.counts.pages == 1
    assert it.crawl.outcome()[0] is State.FAILED
    assert it.crawl.failures_by_reason == {"start raised KeyError": 1}


def test_counts_are_live_and_their_clock_stops_with_the_run(clock):
    it = Running(clock, spider_of(["http://h/1"]), FakeFetcher(clock, delay_s=2.0))
    clock.advance(1.5)
    assert it.crawl.counts.seconds == 1.5
    assert it.crawl.running
    clock.advance(0.5)
    clock.advance(100.0)
    assert it.crawl.counts.seconds == 2.0
    assert not it.crawl.running


def test_a_broken_engine_part_fails_the_crawl_and_closes_the_sink(clock):
    fetcher = FakeFetcher(clock, lambda call: 1 / 0)
    it = Running(clock, spider_of(["http://h/"]), fetcher)
    state, reason = it.crawl.outcome()
    assert state is State.FAILED
    assert reason == "the crawl broke: ZeroDivisionError: division by zero"
    assert it.sink.calls == ["open", "close"]


def test_the_time_of_a_request_covers_its_redirects(clock):
    hop = page(status=302, headers=[b"Location: /two"])
    slow_hop = type(hop)(hop.status, hop.header_lines, hop.body, 3.0)
    answers = [slow_hop, page()]
    it = Running(
        clock, spider_of(["http://h/"]), FakeFetcher(clock, lambda _: answers.pop(0)), timeout_s=5.0
    )
    assert [call.timeout_s for _, call in it.fetcher.sent] == [5.0, 2.0]


def test_each_attempt_has_all_of_the_time(clock):
    slow = replace(page(status=500), seconds=3.0)
    answers = [slow, page()]
    it = Running(
        clock, spider_of(["http://h/"]), FakeFetcher(clock, lambda _: answers.pop(0)), timeout_s=5.0
    )
    it.finish(within_s=10)
    assert [call.timeout_s for _, call in it.fetcher.sent] == [5.0, 5.0]


def test_robots_in_trouble_is_tried_again_with_the_page(clock):
    answers = [FetchError("connection refused"), page(status=404), page()]
    it = Running(
        clock,
        spider_of(["http://h/"]),
        FakeFetcher(clock, lambda _: answers.pop(0)),
        robots=True,
        retry_delay_s=5.0,
    )
    it.finish(within_s=30)
    assert it.moments() == pytest.approx([0.0, 5.0, 5.0])
    assert it.crawl.counts.pages == 1


def test_crawl_delay_raises_the_delay(clock):
    rules = page(body=b"User-agent: *\nCrawl-delay: 7")

    def answer_of(call):
        return rules if call.url.endswith("robots.txt") else page()

    urls = ["http://h/1", "http://h/2"]
    it = Running(clock, spider_of(urls), FakeFetcher(clock, answer_of), robots=True, delay_s=0.5)
    it.finish(within_s=30)
    assert it.moments("http://h/1") + it.moments("http://h/2") == pytest.approx([0.0, 7.0])


def test_a_slice_of_computing_ends_with_a_turn_for_the_others(clock):
    turns = []
    pace = TimeSlice(clock, lambda: turns.append(clock.monotonic()))
    pace.begin()
    for _ in range(100):
        pace.give_way()
    assert turns == []
    for _ in range(10):
        clock.advance(SLICE_S)
        pace.give_way()
        pace.give_way()
    assert len(turns) == 10


class ComputingClock(ManualClock):
    """A clock that a callback can move while nobody else runs."""

    def compute(self, duration_s):
        self._move(duration_s)


def test_requests_go_out_once_in_each_slice_while_answers_wait():
    clock = ComputingClock()

    def parse(self, response):
        clock.compute(0.002)

    urls = [f"http://h{number}/" for number in range(60)]
    it = Running(clock, spider_of(urls, parse), FakeFetcher(clock), concurrency=20)
    it.finish(within_s=1)
    moments = it.moments()
    first, later = moments[:20], sorted({round(at_s, 6) for at_s in moments[20:]})
    assert first == [0.0] * 20
    gaps = [after - before for before, after in pairwise([0.0, *later])]
    assert min(gaps) > 0.0025  # not after each answer
    assert max(gaps) <= SLICE_S + 0.002 + 1e-6


def test_a_callback_that_outlasts_its_slice_keeps_no_request_back():
    clock = ComputingClock()

    def parse(self, response):
        for _ in range(3):
            clock.compute(0.004)
            yield None

    urls = [f"http://h{number}/" for number in range(12)]
    it = Running(clock, spider_of(urls, parse), FakeFetcher(clock), concurrency=6)
    it.finish(within_s=1)
    later = [round(at_s, 6) for at_s in it.moments()[6:]]
    assert later == pytest.approx([0.012 * number for number in range(1, 7)])


def test_the_statistics_have_no_value_of_a_secret(clock, monkeypatch):
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())
    redaction.remember({"shop": "open-sesame.org"})

    def parse(self, response):
        raise CloseSpider("told open-sesame.org")

    it = Running(clock, spider_of(["http://open-sesame.org/", "http://h/"], parse), delay_s=0)
    before = str(it.crawl.statistics)
    it.finish(within_s=10)
    found = it.crawl.statistics
    assert "told secret:shop" in found.finish_reason
    assert "open-sesame" not in before + str(found)

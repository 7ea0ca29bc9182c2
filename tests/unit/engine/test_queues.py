"""Requests on disk: none is lost, none comes twice, memory is bounded, no site hides another."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.clock import ManualClock
from crawler.engine.frontier import queues
from crawler.engine.frontier.disk_queue import CHUNK, Chunk, DiskQueue, DiskQueueFailed
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.job import Job
from crawler.engine.http.request import Request
from crawler.engine.spiders.spider import Spider
from crawler.engine.stats.pending_hosts import pending_hosts
from crawler.model.records import State
from crawler.model.statistics import HELD, HostLoad
from crawler.settings.crawl import CrawlSettings
from tests.depth import deep, examples
from tests.unit.engine.fakes import FakeFetcher, crawl_of, page, shared


class Clerk(Spider):
    name = "clerk"

    def parse(self, response):
        pass

    def other(self, response):
        pass


def frontier(max_pending=100, spider=None):
    return Frontier(CrawlSettings(max_pending=max_pending), lambda: 0.0, spider=spider)


def in_memory(it):
    return len(it) - it.memory()["on_disk"]


def take(it, most=10**9):
    """The jobs that are due, one of each site in turn, as if all delays had passed."""
    jobs = []
    while len(jobs) < most and (queue := it.due()) is not None:
        jobs.append(it.pop(queue))
        it.put(queue, 0.0)
        it.forget(queue)
    return jobs


hosts = st.one_of(st.just("huge"), st.integers(0, 400).map(lambda number: f"h{number}"))
steps = st.lists(st.tuples(hosts, st.integers(-1, 1), st.integers(0, 3)), max_size=60)


@settings(max_examples=examples(40))
@given(steps)
def test_all_that_is_admitted_comes_out_once(steps):
    it = frontier()
    sent, came = [], []
    for number, (host, priority, taken) in enumerate(steps):
        for part in range(40):
            url = f"http://{host}/{number}/{part}"
            assert it.admit(Request(url, priority=priority, meta={"part": part}), 1) == ""
            sent.append((url, part))
        came += take(it, taken)
        assert len(it) == len(sent) - len(came)
    came += take(it)
    assert sorted((job.url, job.request.meta["part"]) for job in came) == sorted(sent)
    assert len(it) == it.memory()["on_disk"] == 0
    assert it.sites() == []


@pytest.mark.parametrize(
    "hosts", [pytest.param(3, marks=deep), pytest.param(40, marks=deep), 1, 5000]
)
def test_only_so_many_are_in_memory(hosts):
    it = frontier(max_pending=1000)
    for number in range(5000):
        it.admit(Request(f"http://h{number % hosts}/{number}"), 1)
        assert in_memory(it) <= 1000 + CHUNK
    assert len(it) == 5000
    while take(it, 50):
        assert in_memory(it) <= 1000 + queues.ADOPTED * CHUNK
    assert len(it) == 0


def test_requests_of_one_site_keep_their_order():
    it = frontier()
    for number in range(3000):
        it.admit(Request(f"http://h/{number}"), 1)
    assert it.memory()["on_disk"] > 2000
    assert [job.url for job in take(it)] == [f"http://h/{number}" for number in range(3000)]


def test_a_better_request_overtakes_those_on_disk():
    it = frontier()
    for number in range(2000):
        it.admit(Request(f"http://h/{number}"), 1)
    it.admit(Request("http://h/best", priority=1), 1)
    assert take(it, 1)[0].url == "http://h/best"


def test_a_huge_site_keeps_no_other_on_disk():
    it = frontier()
    for number in range(5000):
        it.admit(Request(f"http://huge/{number}"), 1)
    for number in range(60):
        it.admit(Request(f"http://small{number}/"), 1)
    first = {job.url for job in take(it, 70)}
    assert {f"http://small{number}/" for number in range(60)} <= first


def test_sites_that_found_no_room_come_in_as_it_gets_free():
    it = frontier()
    for number in range(1000):
        it.admit(Request(f"http://h{number}/"), 1)
    assert len(it.sites()) <= 100 + 1
    assert len({job.url for job in take(it)}) == 1000


def test_what_a_site_has_on_disk_is_told_with_what_it_has_in_memory():
    it = frontier()
    for number in range(3000):
        it.admit(Request(f"http://huge/{number}"), 0)
    found = pending_hosts(it.sites(), {"huge": 2.0}, lambda host: 0.25, lambda host: HELD)
    load = HostLoad(3000, rests_s=2.0, pause_s=0.25, lease=HELD)
    assert found == ({"huge": load}, 1)
    take(it, 2500)
    left = pending_hosts(it.sites(), {}, lambda host: 0.25, lambda host: "")
    assert left.largest["huge"].waiting == 500


def test_of_many_hosts_the_largest_are_told_and_how_many_there_are():
    it = frontier()
    for number in range(5):
        for path in range(number + 1):
            it.admit(Request(f"http://h{number}/{path}"), 0)
    found = pending_hosts(it.sites(), {}, lambda host: 0.0, lambda host: "", most=2)
    assert [*found.largest] == ["h4", "h3"]
    assert found.total == 5
    take(it)


def test_callbacks_are_names_on_disk():
    spider = Clerk()
    it = frontier(spider=spider)
    for number in range(1000):
        it.admit(Request(f"http://h/{number}", spider.other, cb_kwargs={"n": number}), 7)
    jobs = take(it)
    assert [job.request.cb_kwargs["n"] for job in jobs] == list(range(1000))
    assert {job.depth for job in jobs} == {7}
    assert jobs[500].request.callback == "other"
    assert jobs[0].request.callback == spider.other, "the first stayed in memory"


def test_what_cannot_be_written_stays_in_memory(caplog):
    def callback(response):
        pass

    it = frontier(spider=Clerk())
    for number in range(1000):
        own = callback if number % 3 else None
        it.admit(Request(f"http://h/{number}", own), 1)
    assert 0 < it.memory()["on_disk"] < 334
    jobs = take(it)
    assert {job.url for job in jobs} == {f"http://h/{number}" for number in range(1000)}
    assert sum(job.request.callback is callback for job in jobs) == 666
    assert caplog.text.count("more requests than max_pending stay in memory") == 1


def test_a_job_is_the_same_when_it_was_written_down():
    job = Job(Request("http://h/a#x", method="POST", body=b"\xff", priority=3), "http://h/a", 4, 5)
    job.attempts, job.hops = 2, ("http://h/old",)
    job.url, job.method, job.body = "http://h/b", "PUT", b"\xfe"
    again = Job.from_record(json.loads(json.dumps(job.to_record(None))))
    for name in ("url", "depth", "order", "attempts", "method", "body", "hops"):
        assert getattr(again, name) == getattr(job, name), name
    assert again.request.to_dict() == job.request.to_dict()


def test_sites_are_adopted_by_age_and_once():
    disk = DiskQueue()
    disk.write([Chunk(site, True, 0, 1, b"[1]") for site in "abcab"])
    assert (disk.size, disk.orphans) == (5, 5)
    assert [(each.site, each.records) for each in disk.adopt(2)] == [("a", [1, 1]), ("b", [1, 1])]
    assert (disk.size, disk.orphans) == (1, 1)
    assert disk.take("c").records == [1]
    assert (disk.size, disk.orphans) == (0, 0)
    assert disk.adopt(2) == []
    disk.close()


def test_the_best_of_a_site_come_first_and_what_is_left_is_told():
    disk = DiskQueue()
    many = json.dumps(list(range(CHUNK))).encode()
    disk.write([Chunk("a", True, priority, CHUNK, many) for priority in (1, 3, 2)])
    (first,) = disk.adopt(5)
    assert (len(first.records), first.more, first.priority) == (CHUNK, True, 2)
    assert disk.orphans == 0, "the site is known from now on"
    second = disk.take("a")
    assert (second.more, second.priority) == (True, 1)
    assert not disk.take("a").more
    assert disk.size == 0


def test_a_disk_that_fails_ends_the_crawl_with_its_reason(monkeypatch):
    clock = ManualClock()

    def broken(self, chunks):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DiskQueue, "_write", broken)
    with pytest.raises(DiskQueueFailed, match="No space left"):
        DiskQueue().write([])
    links = [f"/{number}" for number in range(1000)]

    class Many(Spider):
        name = "many"
        start_urls = ("http://h/",)

        def parse(self, response):
            yield from response.follow_all(css="a")

    fetcher = FakeFetcher(clock, lambda call: page(*links))
    crawl = crawl_of(Many, shared(fetcher, clock), max_pending=100)
    crawl.run()
    state, reason = crawl.outcome()
    assert state is State.FAILED
    assert "No space left on device" in reason
    assert "max_pending" in reason

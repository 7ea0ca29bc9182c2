"""Crawls among hosts that throttle, are down or slow, on a clock moved by hand."""

import pytest

from crawler import Request
from crawler.clock import ManualClock
from crawler.engine.http.messages import FetchError
from crawler.engine.politeness.slots import PATIENCE_S
from crawler.model.statistics import HostLoad
from tests.unit.engine.fakes import FakeFetcher, page
from tests.unit.engine.test_crawl import Running, spider_of


@pytest.fixture
def clock():
    return ManualClock()


def answering(**by_host):
    """Answers of hosts by name: a value, or what it says of the call; others have pages."""

    def answer_of(call):
        answer = by_host.get(call.url.split("/")[2], page())
        return answer(call) if callable(answer) else answer

    return answer_of


def test_a_host_that_throttles_rests_as_a_whole_and_others_go_on(clock):
    answers = iter([page(status=429, headers=[b"Retry-After: 100"])])
    urls = [f"http://{host}/{i}" for i in range(5) for host in ("busy", "other")]
    fetcher = FakeFetcher(clock, answering(busy=lambda call: next(answers, page())))
    it = Running(clock, spider_of(urls), fetcher, host_concurrency=1, concurrency=1)
    assert len(it.moments("http://other")) == 5
    assert it.crawl.statistics.resting == {"hosts": 1, "longest_s": pytest.approx(100.0)}
    assert it.crawl.statistics.hosts == {"busy": HostLoad(4, rests_s=pytest.approx(100.0))}
    assert it.finish(within_s=200, step_s=1.0) == pytest.approx(100.0, abs=1.1)
    assert it.moments("http://busy") == pytest.approx([0.0] + [100.0] * 5)
    assert it.crawl.counts.pages == 10
    assert it.crawl.statistics.resting == {"hosts": 0, "longest_s": 0.0}
    assert not it.crawl.statistics.hosts


def test_the_ports_of_a_host_share_its_delay(clock):
    urls = [f"http://h:{port}/{i}" for i in range(2) for port in (80, 81)]
    it = Running(clock, spider_of([*urls, "https://h/"]), delay_s=10.0)
    it.finish(within_s=60)
    assert it.moments() == pytest.approx([0.0, 10.0, 20.0, 30.0, 40.0], abs=0.1)


def test_a_host_with_a_cooldown_is_not_asked_for_robots_txt_either(clock):
    def start(self):
        yield Request("http://h/", errback=self.failed)

    def failed(self, failure):
        yield Request("http://h:81/")

    def answer_of(call):
        throttles = call.url == "http://h/"
        return page(status=429, headers=[b"Retry-After: 100"]) if throttles else page()

    spider = type("Moving", (spider_of(start=start),), {"failed": failed})
    it = Running(clock, spider, FakeFetcher(clock, answer_of), robots=True, retries=0)
    it.finish(within_s=200, step_s=1.0)
    assert it.fetcher.urls()[2:] == ["http://h:81/robots.txt", "http://h:81/"]
    assert it.moments("http://h:81") == pytest.approx([100.0, 100.0])


@pytest.mark.parametrize("domain", ["", "h"])
def test_robots_txt_is_asked_for_with_the_secrets_of_its_host_alone(clock, domain):
    """Else a site that shows nothing to strangers has no rules for those who may come in."""
    it = Running(
        clock,
        spider_of(["http://h/", "http://other/"]),
        robots=True,
        headers={"Authorization": "Bearer x", "Cookie": "a=b"},
        http_user="me",
        http_auth_domain=domain,
    )
    it.finish(within_s=10)
    asked = {call.url: call for _, call in it.fetcher.sent}
    home, abroad = asked["http://h/robots.txt"], asked["http://other/robots.txt"]
    assert {"Authorization: Bearer x", "Cookie: a=b"} <= set(home.headers)
    assert home.credentials.user == "me"
    assert not any(line.startswith(("Authorization", "Cookie")) for line in abroad.headers)
    assert abroad.credentials is None


def test_a_host_that_throttles_its_robots_txt_is_left_alone_and_then_crawled(clock):
    answers = [page(status=429, headers=[b"Retry-After: 100"]), page(status=404)]

    def answer_of(call):
        return answers.pop(0) if call.url.endswith("/robots.txt") else page()

    it = Running(clock, spider_of(["http://h/"]), FakeFetcher(clock, answer_of), robots=True)
    it.finish(within_s=200, step_s=1.0)
    assert it.fetcher.urls() == ["http://h/robots.txt", "http://h/robots.txt", "http://h/"]
    assert it.moments() == pytest.approx([0.0, 100.0, 100.0], abs=1.1)
    assert it.crawl.counts.pages == 1


def test_a_host_that_always_throttles_is_asked_less_and_less_often(clock):
    fetcher = FakeFetcher(clock, answering(h=page(status=503)))
    it = Running(clock, spider_of(["http://h/"]), fetcher, throttle_s=60.0, retries=4)
    it.finish(within_s=3000, step_s=5.0)
    gaps = [later - earlier for earlier, later in zip(it.moments(), it.moments()[1:])]
    assert len(gaps) == 4
    assert all(60 * 2**n <= gap <= 66 * 2**n + 5 for n, gap in enumerate(gaps))
    assert it.crawl.failures_by_reason == {"HTTP 503": 1}


def test_a_crawl_does_not_wait_for_a_host_for_ever(clock):
    answer = page(status=429, headers=[b"Retry-After: 5000"])
    urls = [f"http://h/{i}" for i in range(10)]
    fetcher = FakeFetcher(clock, answering(h=answer))
    it = Running(clock, spider_of(urls), fetcher, host_concurrency=1, max_wait_s=600.0)
    assert it.finish(within_s=10) <= 1.0
    assert len(it.fetcher.sent) == 1
    assert it.crawl.failures_by_reason == {"HTTP 429": 1, "host rests too long": 9}


@pytest.mark.parametrize("robots", [False, True])
def test_the_urls_of_a_host_that_stays_down_end_after_some_probes(clock, robots):
    urls = [f"http://dead/{i}" for i in range(50)] + [f"http://h{i}/" for i in range(50)]
    fetcher = FakeFetcher(clock, answering(dead=FetchError("connection refused")))
    it = Running(
        clock, spider_of(urls), fetcher, robots=robots, retries=2, dead_rest_s=5.0, delay_s=0.01
    )
    assert it.crawl.counts.pages == 50
    took_s = it.finish(within_s=400, step_s=0.5)
    assert took_s < 90
    assert len(it.moments("http://dead")) <= 10
    failures = it.crawl.failures_by_reason
    assert set(failures) <= {"host is down", "connection refused"}
    assert sum(failures.values()) == 50


def test_a_host_that_comes_back_loses_no_page(clock):
    answers = iter([FetchError("connection refused")] * 6)
    urls = [f"http://h/{i}" for i in range(20)]
    fetcher = FakeFetcher(clock, answering(h=lambda call: next(answers, page())))
    it = Running(clock, spider_of(urls), fetcher, retries=5, delay_s=0.01)
    it.finish(within_s=100, step_s=0.5)
    assert it.crawl.counts.pages == 20


def test_hosts_that_do_not_answer_leave_their_slots_to_others(clock):
    silent = {f"silent{i}": lambda call: None for i in range(8)}
    urls = [f"http://silent{i}/" for i in range(8)] + [f"http://h{i}/" for i in range(100)]
    it = Running(clock, spider_of(urls), FakeFetcher(clock, answering(**silent)), concurrency=4)
    assert it.moments("http://h") == []
    it.advance(PATIENCE_S)
    it.advance(PATIENCE_S)
    assert len(it.moments("http://h")) == 100
    it.crawl.stop()
    it.greenlet.join(PATIENCE_S)


def test_slots_are_kept_where_the_setting_says_so(clock):
    silent = {f"silent{i}": lambda call: None for i in range(4)}
    urls = [f"http://silent{i}/" for i in range(4)] + [f"http://h{i}/" for i in range(9)]
    fetcher = FakeFetcher(clock, answering(**silent))
    it = Running(clock, spider_of(urls), fetcher, concurrency=4, slow_concurrency=0)
    for _ in range(10):
        it.advance(PATIENCE_S)
    assert it.moments("http://h") == []
    it.crawl.stop()
    it.greenlet.join(PATIENCE_S)


def test_a_slow_host_is_sent_no_more_at_once_than_slots(clock):
    fetcher = FakeFetcher(clock, lambda call: page(), delay_s=10 * PATIENCE_S)
    urls = [f"http://slow/{i}" for i in range(5)]
    it = Running(clock, spider_of(urls), fetcher, concurrency=1, host_concurrency=9)
    it.advance(5 * PATIENCE_S)
    assert len(it.fetcher.sent) == 1
    it.crawl.stop()
    it.greenlet.join(PATIENCE_S)


def test_start_requests_of_one_host_do_not_hold_up_those_of_the_next(clock):
    def start(self):
        for host in range(5):
            for number in range(1500):
                yield Request(f"http://h{host}/{number}")

    it = Running(clock, spider_of(start=start), delay_s=1.0)
    assert {call.url.split("/")[2] for _, call in it.fetcher.sent} == {f"h{n}" for n in range(5)}
    it.crawl.stop()
    it.greenlet.join(PATIENCE_S)

"""Every request that is found has one end, and the counts add up at every moment."""

import random

import gevent
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.clock import ManualClock, settle
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.http.request import Request
from crawler.engine.spiders.spider import Spider
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.outcome import outcome_of
from crawler.model.records import State
from crawler.settings.crawl import CrawlSettings
from tests.depth import examples
from tests.unit.engine.fakes import FakeFetcher, crawl_of, page, shared


def adds_up(crawl):
    """Whether the counts agree with what waits and is on its way; the statistics, if so."""
    found = crawl.statistics
    failed = sum(n for reason, n in found.failures.items() if " raised " not in reason)
    ends = found.pages + sum(found.filtered.values()) + failed
    assert found.discovered == ends + found.pending, found
    assert crawl.counters.pending == found.pending, found
    return found


class Wild(Spider):
    """Yields links that are known, new, broken, or lead elsewhere; now and then it raises."""

    name = "wild"
    start_urls = ("http://h0/", "http://h1/0", "nonsense", "http://h0/#again")
    allowed_domains = ("h0", "h1", "h2")

    def parse(self, response):
        chosen = random.Random(f"{self.seed} {response.url}")
        for _ in range(chosen.randrange(12)):
            host, path = chosen.randrange(4), chosen.randrange(150)
            url = f"http://h{host}/{path}?{'x' * chosen.choice([0, 0, 90])}"
            priority, own = chosen.randrange(2), chosen.choice([None, self.parse_other])
            url = chosen.choice([url, url, url, "ftp://h0/", "http://[", "http://h0/deny"])
            yield Request(url, own, priority=priority, errback=chosen.choice([None, self.wrong]))
            adds_up(self.crawl)
        if chosen.random() < 0.1:
            raise KeyError("of the spider")

    def parse_other(self, response):
        return self.parse(response)

    def wrong(self, failure):
        yield Request(f"{failure.request.url}&again")


def answers_by(seed):
    """An answer for each URL and attempt: pages, redirects, errors, statuses."""
    counts = {}

    def answer(call):
        counts[call.url] = counts.get(call.url, 0) + 1
        chosen = random.Random(f"{seed} {call.url} {counts[call.url]}")
        kind = chosen.randrange(8)
        if kind == 0:
            return FetchError(chosen.choice(["timeout", "dns", "too large", "connection closed"]))
        if kind == 1:
            return FetchAnswer(chosen.choice([404, 500, 302, 301]), [b"HTTP/1.1 404 x"], b"", 0.0)
        if kind == 2:
            target = f"http://h{chosen.randrange(4)}/{chosen.randrange(150)}"
            return page(status=302, headers=[f"Location: {target}".encode()])
        return page()

    return answer


@settings(max_examples=examples(15))
@given(st.integers(0, 10**9), st.sampled_from([100, 100_000]))
def test_the_counts_add_up_at_every_moment(seed, max_pending):
    clock = ManualClock()
    fetcher = FakeFetcher(clock, answers_by(seed), delay_s=0.1)
    crawl = crawl_of(
        type("Wild", (Wild,), {"seed": seed}),
        shared(fetcher, clock),
        max_pending=max_pending,
        max_url_length=80,
        max_depth=6,
        deny_urls=["/deny"],
        max_pages_per_host=100,
        host_concurrency=8,
    )
    crawl.spider.crawl = crawl
    running = gevent.spawn(crawl.run)
    for _ in range(3000):
        settle(3)
        adds_up(crawl)
        if crawl.ended.is_set():
            break
        clock.advance(1.0)
    running.get()
    assert "broke" not in crawl.outcome()[1]
    assert adds_up(crawl).pending == 0


def test_what_a_stop_breaks_off_is_pending():
    clock = ManualClock()
    fetcher = FakeFetcher(clock, lambda call: None)

    class Many(Spider):
        name = "many"
        start_urls = tuple(f"http://h{number}/" for number in range(10))

    crawl = crawl_of(Many, shared(fetcher, clock), concurrency=4)
    running = gevent.spawn(crawl.run)
    settle()
    assert adds_up(crawl).pending == 10
    crawl.stop()
    running.get()
    assert len(fetcher.cancelled) == 4
    assert adds_up(crawl).pending == 10


def test_a_callback_that_raises_is_told_beside_the_page_it_had():
    counters = Counters(ManualClock())
    counters.discovered = counters.pages = 1
    counters.blame("callback raised KeyError", "http://h/")
    assert (counters.pending, counters.failures) == (0, 1)
    assert counters.failures_by_reason == {"callback raised KeyError": 1}
    assert outcome_of(counters, CrawlSettings()) == (State.DONE, "")

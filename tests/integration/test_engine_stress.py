"""Requests of every kind, begun and broken off at random: none is lost, told twice, or left over.

What it looks for besides is a crash: libcurl's handles are reused, shared with jars of cookies,
paused, cancelled inside the end of another, and closed while they are busy.
"""

import gc
import random
import time
from collections import Counter

import gevent
import pytest

from crawler.engine.download.address_policy import ALL, AddressPolicy
from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.cookies import CookieJar
from crawler.engine.download.curl import CurlFetcher
from crawler.engine.http.messages import FetchCall, FetchError, FetchLimits
from crawler.settings.crawl import CrawlSettings
from tests.depth import deep
from tests.site import Site
from tests.site.asked import HTML, Reply
from tests.site.proxy import Proxy
from tests.waiting import PATIENCE_S

LEAST_TOLD = 300
ENDS = {"answer", "timeout", "too large", "connection closed", "stopped"}
"""What a storm must have seen before it is over."""
DEAD = "http://127.0.0.1:1"
PATHS = (
    "/sized",
    "/sized",
    "/pieces",
    "/page/1",
    "/slow?s=0.1",
    "/drop",
    "/truncated",
    "/slow-body?s=1",
    "/endless",
    "/gzip-bomb?bytes=3000000",
    "/packed?coding=gzip&bytes=100000",
)


def sized(asked):
    """A body of some size, and a cookie."""
    size = (10, 2_000, 70_000, 400_000)[asked.count % 4]
    return Reply(b"x" * size, 200, [HTML, ("Set-Cookie", f"c{asked.count % 50}=v; Path=/")])


def pieces(asked):
    """A body that comes little by little."""

    def parts():
        for _ in range(20):
            gevent.sleep(0.005)
            yield b"z" * 5000

    return Reply(parts(), 200, [HTML])


class Storm:
    """Sends at random through one fetcher, from its start to its stop."""

    def __init__(self, dice, site, proxy):
        self.dice, self.site, self.proxy = dice, site, proxy
        self.held = BodyMemory(dice.choice([1, 50_000, 300_000, 10**9]))
        networks = dice.choice([[ALL], ["127.0.0.0/8"]])
        self.fetcher = CurlFetcher(AddressPolicy(networks), held=self.held)
        self.jars = [CookieJar(), CookieJar(), None]
        self.open = {}
        self.told = Counter()
        self.sent = 0
        self.over = False

    def blow(self):
        dice, fetcher = self.dice, self.fetcher
        fetcher.start()
        most, until_s = dice.randrange(1, 100), time.monotonic() + dice.random() * 0.5
        while time.monotonic() < until_s and not self.over:
            for _ in range(most - len(self.open)):
                self.send()
            for number in dice.sample(list(self.open), min(len(self.open), dice.randrange(4))):
                self.cancel(number)
            gevent.sleep(dice.choice([0, 0, 0.001, 0.01]))
            if dice.random() < 0.05:
                gc.collect()
            if dice.random() < 0.05:
                gevent.get_hub().threadpool.spawn(gc.collect).get()
        self.over = True
        fetcher.stop()
        assert fetcher.in_flight == 0
        assert self.held.held == 0
        assert not self.open, "each was told of its end"

    def send(self):
        if self.over:
            return
        number = self.sent = self.sent + 1
        self.open[number] = None  # it may be told of its end while it is being sent
        try:
            transfer = self.fetcher.submit(self.call(), lambda end: self.tell(number, end))
        except FetchError as error:
            self.tell(number, error)
        else:
            if number in self.open:
                self.open[number] = transfer

    def call(self):
        dice = self.dice
        settings = CrawlSettings(
            max_body_bytes=dice.choice([1000, 100_000, 10**7]),
            stall_timeout_s=dice.choice([0.05, 5]),
            first_byte_timeout_s=dice.choice([0.05, 5]),
        )
        return FetchCall(
            self.site.url(dice.choice(PATHS), f"127.0.0.{dice.randrange(1, 4)}"),
            ("User-Agent: storm",),
            FetchLimits.of(settings),
            dice.choice([0.02, 0.2, 3.0]),
            method=dice.choice(["GET"] * 5 + ["POST", "HEAD"]),
            jar=dice.choice(self.jars),
            proxy=dice.choice([""] * 6 + [self.proxy.url(), DEAD]),
        )

    def tell(self, number, end):
        assert number in self.open, "told twice, or though it was cancelled"
        del self.open[number]
        self.told[end.reason if isinstance(end, FetchError) else "answer"] += 1
        chance = self.dice.random()
        if chance < 0.3:
            self.send()
        elif chance < 0.4 and self.open:
            self.cancel(next(iter(self.open)))
        elif chance < 0.401:
            self.over = True
            self.fetcher.stop()

    def cancel(self, number):
        transfer = self.open.pop(number)
        if transfer is None:
            self.open[number] = None
        else:
            transfer.cancel()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=deep)])
def test_nothing_is_lost_or_doubled_in_a_storm_of_requests(seed, caplog):
    dice, told = random.Random(seed), Counter()
    until_s = time.monotonic() + 3 * PATIENCE_S
    with Site(pages={"sized": sized, "pieces": pieces}) as site, Proxy() as proxy:
        while told.total() < LEAST_TOLD or not set(told) >= ENDS:
            assert time.monotonic() < until_s, told
            storm = Storm(dice, site, proxy)
            storm.blow()
            told += storm.told
    assert "the receiver of an answer failed" not in caplog.text

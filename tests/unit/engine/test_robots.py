"""robots.txt: what its status and its lines allow, and how often it is asked for."""

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.clock import ManualClock, settle
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.politeness.robots import (
    KEPT_S,
    MAX_BYTES,
    OLD_KEPT_S,
    Robots,
    Rules,
    read,
    token,
    way_of,
)
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor
from tests.unit.engine.fakes import FakeFetcher

RULES = b"""User-agent: *
Disallow: /private
Allow: /private/open
Crawl-delay: 4

User-agent: crawler
Disallow: /only-for-others
"""
SITE = "http://h:81"


def answer(status=200, body=b"", *headers):
    return FetchAnswer(status, headers, body, 0.0)


@pytest.mark.parametrize(
    ("path", "agent", "allowed"),
    [
        ("/private/x", "other/1.0", False),
        ("/private/open", "other/1.0", True),
        ("/x", "other/1.0", True),
        ("/private/x", "crawler/0.1 (+http://me)", True),
        ("/only-for-others", "crawler/0.1", False),
        ("/only-for-others", "Crawler/7", False),
    ],
)
def test_rules_are_those_of_the_first_word_of_the_user_agent(path, agent, allowed):
    assert read(answer(body=RULES)).allows(SITE + path, agent) is allowed


@pytest.mark.parametrize(
    ("agent", "name"),
    [("crawler/0.1", "crawler"), ("My Bot/2", "My"), ("bot", "bot"), ("", ""), (" / ", "")],
)
def test_the_token_is_the_first_word(agent, name):
    assert token(agent) == name


@pytest.mark.parametrize(
    ("status", "allowed"), [(200, True), (401, True), (403, True), (404, True), (429, True)]
)
def test_no_rules_allow_everything(status, allowed):
    assert read(answer(status)).allows(SITE, "a") is allowed


@pytest.mark.parametrize("status", [500, 503, 599])
def test_a_broken_site_allows_nothing(status):
    rules = read(answer(status, b"User-agent: *\nAllow: /"))
    assert not rules.allows(SITE, "a")
    assert rules.trouble == f"robots.txt: HTTP {status}"


def test_crawl_delay_is_that_of_the_agent_and_has_a_limit():
    rules = read(answer(body=RULES))
    assert rules.delay_s("other/1.0") == 4.0
    assert rules.delay_s("crawler/0.1") == 0.0
    assert Rules().delay_s("a") == 0.0
    assert read(answer(body=b"User-agent: *\nCrawl-delay: 99999")).delay_s("a") == 300.0


def test_what_lies_beyond_the_limit_is_ignored():
    body = b"User-agent: *\nDisallow: /early\n" + b"#" * MAX_BYTES + b"\nDisallow: /late\n"
    rules = read(answer(body=body))
    assert not rules.allows(f"{SITE}/early", "a")
    assert rules.allows(f"{SITE}/late", "a")


class Asking:
    """Robots on a fake network."""

    def __init__(self, *answers, delay_s=0.0):
        self.clock = ManualClock()
        queue = list(answers)
        self.fetcher = FakeFetcher(
            self.clock, lambda call: queue.pop(0) if len(queue) > 1 else queue[0], delay_s
        )
        self.robots = Robots(self.fetcher, Supervisor("test"), self.clock)
        self.told = 0

    def ask(self, origin=SITE, way=0):
        self.robots.ask(origin, CrawlSettings(), (), self._ready, way=way)
        settle()

    def _ready(self):
        self.told += 1


def test_who_asks_in_another_way_has_rules_of_its_own():
    """A task with a proxy of its own says nothing of what others may fetch."""
    settings = CrawlSettings(proxies=("http://p:1",))
    usual, own = way_of(CrawlSettings(), ("User-Agent: a",)), way_of(settings, ("User-Agent: a",))
    it = Asking(answer(body=RULES), answer(status=404))
    it.ask(way=usual)
    assert it.robots.rules(SITE, own) is None
    it.ask(way=own)
    assert it.robots.rules(SITE, own).allows(f"{SITE}/private", "a")
    assert not it.robots.rules(SITE, usual).allows(f"{SITE}/private", "a")
    assert way_of(CrawlSettings(), ("User-Agent: a", "Host: other")) != usual
    assert way_of(CrawlSettings(verify_tls=False), ("User-Agent: a",)) != usual
    assert way_of(CrawlSettings(retries=9), ("User-Agent: a",)) == usual


def test_concurrent_asks_share_one_fetch():
    it = Asking(answer(body=RULES), delay_s=1.0)
    for _ in range(5):
        it.ask()
    assert it.robots.rules(SITE) is None
    it.clock.advance(1.0)
    assert it.told == 5
    assert it.fetcher.urls() == [f"{SITE}/robots.txt"]
    assert it.robots.rules(SITE) is not None


def test_scheme_host_and_port_each_have_their_own():
    it = Asking(answer(404))
    for origin in ("http://h", "https://h", "http://h:81", "http://i"):
        it.ask(origin)
    assert len(it.fetcher.sent) == 4


def test_rules_are_kept_for_a_day():
    it = Asking(answer(404), answer(body=RULES))
    it.ask()
    it.clock.advance(KEPT_S - 1.0)
    assert it.robots.rules(SITE).allows(f"{SITE}/private", "a")
    it.clock.advance(1.0)
    assert it.robots.rules(SITE) is None
    it.ask()
    assert not it.robots.rules(SITE).allows(f"{SITE}/private", "a")


def test_trouble_is_forgotten_soon():
    it = Asking(FetchError("connection refused"), answer(404))
    it.ask()
    assert it.robots.rules(SITE).trouble == "connection refused"
    it.clock.advance(1.0)
    assert it.robots.rules(SITE) is None
    it.ask()
    assert it.robots.rules(SITE).allows(SITE, "a")


def test_redirects_are_followed_but_not_for_ever():
    hop = answer(302, b"", b"Location: /elsewhere")
    it = Asking(hop, answer(body=RULES))
    it.ask()
    assert it.fetcher.urls() == [f"{SITE}/robots.txt", f"{SITE}/elsewhere"]
    assert not it.robots.rules(SITE).allows(f"{SITE}/private", "a")
    loop = Asking(hop)
    loop.ask()
    assert len(loop.fetcher.sent) == 6
    assert loop.robots.rules(SITE).allows(f"{SITE}/private", "a")


def test_a_redirect_to_another_scheme_is_not_followed():
    it = Asking(answer(302, b"", b"Location: file:///etc/passwd"))
    it.ask()
    assert it.fetcher.urls() == [f"{SITE}/robots.txt"]


def test_the_number_of_sites_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("crawler.engine.politeness.robots.MAX_SITES", 3)
    it = Asking(answer(404))
    for i in range(5):
        it.ask(f"http://h{i}")
    known = [i for i in range(5) if it.robots.rules(f"http://h{i}") is not None]
    assert known == [2, 3, 4]


def test_who_asked_is_told_even_when_the_fetch_is_cut_off():
    clock = ManualClock()
    supervisor = Supervisor("test")
    robots = Robots(FakeFetcher(clock, delay_s=1e9), supervisor, clock)
    told = []
    robots.ask(SITE, CrawlSettings(), (), lambda: told.append(1))
    gevent.sleep(0)
    supervisor.stop()
    assert told == [1]


@pytest.mark.parametrize("trouble", [FetchError("connection refused"), answer(500)])
def test_known_rules_hold_on_while_a_site_is_in_trouble(trouble):
    it = Asking(answer(body=RULES), trouble, answer(404))
    it.ask()
    it.clock.advance(KEPT_S + 1)
    it.ask()
    rules = it.robots.rules(SITE)
    assert not rules.allows(f"{SITE}/private/x", "other/1.0")
    assert rules.allows(f"{SITE}/x", "other/1.0")
    it.clock.advance(OLD_KEPT_S + 1)
    assert it.robots.rules(SITE) is None
    it.ask()
    assert it.robots.rules(SITE).allows(f"{SITE}/private/x", "other/1.0")


def test_groups_of_one_agent_are_one():
    body = b"User-agent: a\nDisallow: /1\n\nUser-agent: b\nUser-agent: a\nDisallow: /2\n"
    rules = read(answer(body=body))
    assert [rules.allows(f"{SITE}/{n}", "a/1") for n in (1, 2, 3)] == [False, False, True]
    assert [rules.allows(f"{SITE}/{n}", "b/1") for n in (1, 2, 3)] == [True, False, True]


LINES = st.sampled_from([b"User-agent: *", b"Disallow: /", b"Crawl-delay: ", b"Allow: *$", b"\r"])


@given(st.lists(st.one_of(st.binary(max_size=40), LINES)), st.sampled_from([b"\n", b"", b": "]))
def test_no_bytes_break_the_reader(parts, between):
    rules = read(answer(body=between.join(parts)))
    assert rules.allows(f"{SITE}/%ff?a=1#x", "crawler/1") in (True, False)
    assert 0 <= rules.delay_s("crawler/1") <= 300

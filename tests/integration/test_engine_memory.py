"""Responses in memory: however many large ones there are at once, only so much is held."""

import pytest

from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.engine import Engine
from crawler.settings.crawl import CrawlSettings
from tests.site import Site
from tests.site.crawling import HASTE, ListSink, OnlyTitles, run, spec
from tests.site.pages import HTML, Reply

BODY = 2_000_000
CHUNK = 16_384
"""libcurl hands over so much at most."""


class Watched(BodyMemory):
    """Knows the most that was ever held."""

    def __init__(self, most_bytes):
        super().__init__(most_bytes)
        self.peak = 0

    def take(self, size):
        super().take(size)
        self.peak = max(self.peak, self.held)


@pytest.fixture
def watched(monkeypatch):
    monkeypatch.setattr("crawler.engine.engine.BodyMemory", Watched)


def crawled(most_bytes, urls):
    """The engine, and a crawl of these URLs that has ended."""
    settings = {**HASTE, "host_concurrency": 16}
    known = {OnlyTitles.name: OnlyTitles}
    engine = Engine(
        CrawlSettings(**settings),
        known,
        private_targets=["all"],
        most_response_bytes=most_bytes,
    )
    engine.start()
    try:
        crawl = engine.crawl(spec(OnlyTitles, *urls), ListSink())
        run(crawl)
    finally:
        engine.stop()
    return engine, crawl


def large(asked):
    """A body in pieces, so that many come in side by side."""
    return Reply((b"x" * 50_000 for _ in range(BODY // 50_000)), 200, [HTML])


def test_large_responses_wait_where_they_are_until_there_is_room(watched):
    with Site(pages={"large": large}) as site:
        urls = [site.url(f"/large/{number}") for number in range(24)]
        engine, crawl = crawled(1_000_000, urls)
        assert (crawl.counts.pages, crawl.counts.failures) == (24, 0)
        # The oldest goes on to its end, and once more when it is handed over to its callback.
        assert 1_000_000 <= engine.held.peak <= 1_000_000 + 2 * BODY + 16 * CHUNK
        assert engine.held.held == 0


def test_without_a_bound_that_matters_they_come_in_side_by_side(watched):
    with Site(pages={"large": large}) as site:
        urls = [site.url(f"/large/{number}") for number in range(24)]
        engine, _ = crawled(1_000_000_000, urls)
        assert engine.held.peak > 3 * BODY


def test_what_was_broken_off_gives_its_memory_back():
    with Site() as site:
        urls = [site.url("/truncated"), site.url("/drop"), site.url("/big?bytes=100000")]
        engine, _ = crawled(1_000_000, urls)
        assert engine.held.held == 0


def test_who_waits_is_told_once_there_is_room():
    told = []
    memory = BodyMemory(10)
    memory.take(12)
    assert memory.full
    memory.when_free(lambda: told.append("now"))
    memory.give_back(1)
    assert told == []
    memory.give_back(5)
    memory.give_back(5)
    assert told == ["now"]

"""A fetcher of a plugin is asked for by name, and never sees what may not be fetched."""

import pytest

from crawler import Request, Spider
from crawler.engine.plugins import load
from crawler.errors import ConfigError
from tests.integration import canned
from tests.site import Site
from tests.site.crawling import OnlyTitles, crawled

PLUGIN = "tests.integration.canned"


@pytest.fixture(autouse=True)
def site():
    canned.asked.clear()
    canned.life.clear()
    with Site(robots="User-agent: *\nDisallow: /private") as site:
        yield site


def test_a_crawl_asks_for_a_fetcher_by_name(site):
    url = site.url("/page/1")
    _, items = crawled(OnlyTitles, url, plugins=[PLUGIN], fetcher="canned")
    assert items == [{"url": url, "title": f"canned {url}"}]
    assert canned.asked == [url]
    assert canned.life == ["start", "stop"]
    assert site.hits == []


def test_a_request_may_ask_for_one(site):
    class Mixed(Spider):
        name = "mixed"

        def start(self):
            yield Request(site.url("/page/1"))
            yield Request(site.url("/page/2"), meta={"fetcher": "canned"})

        def parse(self, response):
            yield {"title": response.css("title::text").get()}

    _, items = crawled(Mixed, plugins=[PLUGIN])
    assert sorted(item["title"] for item in items) == ["/page/1", f"canned {site.url('/page/2')}"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
def test_it_never_sees_what_the_worker_may_not_reach(site, host):
    crawl, _ = crawled(
        OnlyTitles,
        site.url("/page/1", host),
        plugins=[PLUGIN],
        fetcher="canned",
        private_targets=[],
    )
    assert crawl.failures_by_reason == {"forbidden address": 1}
    assert canned.asked == []


def test_it_never_sees_what_robots_txt_forbids(site):
    crawl, _ = crawled(
        OnlyTitles, site.url("/private"), plugins=[PLUGIN], fetcher="canned", robots=True
    )
    assert crawl.filtered == {"robots": 1}
    assert canned.asked == []


@pytest.mark.parametrize(("path", "reason"), [("/bad", "crashed"), ("/raise", "fetcher failed")])
def test_its_failures_are_counted_as_others_are(site, path, reason):
    crawl, _ = crawled(OnlyTitles, site.url(path), plugins=[PLUGIN], fetcher="canned", retries=1)
    assert crawl.failures_by_reason == {reason: 1}
    assert len(canned.asked) == 2


def test_a_fetcher_that_nobody_brings_is_a_failure(site):
    crawl, _ = crawled(OnlyTitles, site.url("/page/1"), fetcher="canned", retries=5)
    assert crawl.failures_by_reason == {"no fetcher": 1}


def test_a_plugin_that_cannot_be_loaded_is_told():
    with pytest.raises(ConfigError, match=r"worker.plugins: 'no.such.module' cannot be loaded"):
        load(["no.such.module"])

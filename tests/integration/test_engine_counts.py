"""Whatever a site does, each request has one counted end, and no trap holds a crawl."""

import gevent
import pytest

from crawler import Request, Spider
from crawler.model.records import State
from tests.site import Site
from tests.site.crawling import ListSink, Titles, adds_up, crawled, running_engine, spec

TROUBLES = (
    *(
        "/page/1",
        "/links?n=30",
        "/links?n=40",
        "/status/404",
        "/status/500",
        "/status/204",
        "/drop",
    ),
    *("/flaky?fails=1&status=500", "/slow?s=9", "/redirect?n=3", "/redirect?n=9", "/redirect-loop"),
    *("/redirect?to=file:///etc/passwd", "/redirect?to=/page/1", "/truncated", "/gzip-bomb"),
    *("/charset/gbk", "/charset/latin1", "/big?bytes=900000", "/private/x", "/no/such/page"),
    *("/redirect?to=/private/y", "/calendar", "/maze/", "/shelf"),
)


class Curious(Spider):
    """Follows every link, and others that are none; now and then it raises."""

    name = "curious"

    def parse(self, response):
        yield {"url": response.url}
        yield from response.follow_all(css="a")
        yield Request("ftp://127.0.0.1/", errback=self.wrong)
        yield Request("http://elsewhere.example/")
        if response.url.endswith("7"):
            raise KeyError("of the spider")

    def wrong(self, failure):
        yield Request(f"{failure.request.url}#again")


def run_watched(crawl):
    """Run a crawl; its counts add up all the time. How often that was seen."""
    running = gevent.spawn(crawl.run)
    watched = 0
    with gevent.Timeout(60, AssertionError("the crawl did not end")):
        while not crawl.ended.wait(0.005):
            adds_up(crawl)
            watched += 1
    running.get()
    return watched


@pytest.mark.parametrize("max_pending", [100, 100_000])
def test_the_counts_add_up_on_a_site_where_everything_goes_wrong(max_pending):
    with Site(robots="User-agent: *\nDisallow: /private/\n") as site:
        settings = {
            "robots": True,
            "retries": 1,
            "timeout_s": 1.0,
            "max_redirects": 5,
            "max_body_bytes": 200_000,
            "max_queries_per_path": 50,
            "max_pending": max_pending,
        }
        with running_engine(Curious, **settings) as engine:
            urls = [site.url(path) for path in TROUBLES]
            parameters = spec(Curious, *urls)
            parameters.parameters["allowed_domains"] = ["127.0.0.1"]
            crawl = engine.crawl(parameters, ListSink())
            assert run_watched(crawl) > 3
    found = adds_up(crawl)
    assert found.pending == 0
    assert crawl.outcome()[0] is State.DONE
    assert {"duplicate", "offsite", "scheme", "robots", "query limit", "path repeats"} <= set(
        found.filtered
    )
    assert {
        "HTTP 404",
        "HTTP 500",
        "timeout",
        "too large",
        "truncated",
        "connection closed",
        "too many redirects",
        "redirect loop",
        "forbidden redirect",
        "callback raised KeyError",
    } <= set(found.failures)
    assert found.filtered["robots"] == 2


def test_what_a_stop_leaves_is_pending_and_the_counts_add_up():
    with Site() as site, running_engine(Titles) as engine:
        crawl = engine.crawl(spec(Titles, site.url("/links?n=3000")), ListSink())
        running = gevent.spawn(crawl.run)
        while crawl.counts.pages < 20:
            gevent.sleep(0.01)
        crawl.stop()
        running.get()
    found = adds_up(crawl)
    assert found.discovered == 3001
    assert found.pending > 0


@pytest.mark.parametrize(
    ("path", "settings", "reason", "pages"),
    [
        ("/calendar", {"max_queries_per_path": 20}, "query limit", 21),
        ("/shelf", {"max_queries_per_path": 30}, "query limit", 31),
        ("/shelf", {"max_pages_per_host": 25}, "host limit", 25),
        ("/maze/", {}, "path repeats", 6),
        ("/maze/", {"max_path_repeats": 0, "max_url_length": 100}, "url length", None),
        ("/chain/0", {"max_depth": 9}, "depth", 10),
        ("/chain/0", {"deny_urls": ["/5$"]}, "denied", 5),
    ],
)
def test_a_trap_ends_by_its_limit_and_is_told(path, settings, reason, pages):
    with Site() as site:
        crawl, items = crawled(Titles, site.url(path), **settings)
    assert crawl.outcome() == (State.DONE, "")
    assert crawl.filtered[reason] >= 1
    assert set(crawl.filtered) <= {reason, "duplicate"}
    assert pages in (None, len(items))
    assert adds_up(crawl).pending == 0


def test_a_calendar_ends_with_the_pages_a_crawl_may_have():
    with Site() as site:
        crawl, items = crawled(Titles, site.url("/calendar"), max_pages=40)
    assert len(items) == 40
    assert crawl.outcome() == (State.DONE, "")
    assert adds_up(crawl).pending > 0

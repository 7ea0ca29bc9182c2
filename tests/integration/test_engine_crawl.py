"""Real crawls of a site that misbehaves: what is fetched, what is counted, what comes out."""

import logging
import time
from itertools import pairwise

import gevent
import pytest

from crawler import Request, Spider
from crawler.engine.engine import Engine
from crawler.engine.items.pipelines import DropItem
from crawler.engine.spiders.declarative import compile_declaration
from crawler.errors import InvalidArgument, NotFound
from crawler.model.records import Spec, State
from crawler.settings.crawl import CrawlSettings
from tests.site import Site
from tests.site.crawling import (
    ListSink,
    OnlyTitles,
    Titles,
    crawled,
    run,
    running_engine,
    spec,
)
from tests.site.pages import Reply, html
from tests.waiting import PATIENCE_S


@pytest.fixture
def site():
    with Site() as site:
        yield site


def titles(items):
    return [item["title"] for item in items]


def test_every_start_url_and_every_other_page_is_fetched_once(site):
    crawl, items = crawled(Titles, site.url("/links?n=20"), site.url("/links?n=20#again"))
    pages = [f"/page/{i}" for i in range(20)]
    assert sorted(site.paths()) == sorted([*["/links?n=20"] * 2, *pages])
    assert sorted(titles(items)) == sorted(["links", "links", *pages])
    assert (crawl.counts.pages, crawl.counts.items, crawl.counts.failures) == (22, 22, 0)
    assert crawl.filtered == {"duplicate": 20}
    assert crawl.outcome() == (State.DONE, "")


def test_a_site_that_closes_after_each_answer_is_crawled_to_the_end():
    """The numbers of its sockets come back again and again, each time for another one."""
    closing = [*html("bye").headers, ("Connection", "close")]
    with Site(pages={"bye": lambda asked: Reply(b"bye", 200, closing)}) as site:
        urls = [site.url(f"/bye/{number}") for number in range(100)]
        crawl, _ = crawled(OnlyTitles, *urls, host_concurrency=8)
        assert (crawl.counts.pages, crawl.counts.failures) == (100, 0)
        assert len(site.connections) == 100


def test_a_crawl_with_most_of_its_requests_on_disk_is_the_same(site):
    crawl, items = crawled(Titles, site.url("/links?n=300"), max_pending=20)
    assert sorted(site.paths()) == sorted(["/links?n=300", *(f"/page/{i}" for i in range(300))])
    assert (crawl.counts.pages, crawl.counts.failures, len(items)) == (301, 0, 301)
    assert crawl.outcome() == (State.DONE, "")


def test_links_are_followed_as_deep_as_asked(site):
    crawl, _ = crawled(Titles, site.url("/chain/0"), max_depth=3)
    assert site.paths() == ["/chain/0", "/chain/1", "/chain/2", "/chain/3"]
    assert crawl.filtered == {"depth": 1}


def test_a_failing_page_is_tried_again_with_growing_pauses(site):
    crawl, items = crawled(
        OnlyTitles, site.url("/flaky?fails=2"), site.url("/page/1"), retries=2, retry_delay_s=0.2
    )
    assert sorted(titles(items)) == ["/page/1", "worked at last"]
    assert crawl.counts.failures == 0
    first, second = site.gaps("/flaky")
    assert first >= 0.2
    assert second >= 0.4
    assert site.times("/page/1")[0] < site.times("/flaky")[1], "the other page did not wait"


def test_after_so_many_attempts_a_page_is_a_failure(site):
    crawl, _ = crawled(OnlyTitles, site.url("/status/503"), site.url("/page/1"), retries=3)
    assert len(site.times("/status/503")) == 4
    assert crawl.failures_by_reason == {"HTTP 503": 1}
    assert crawl.outcome() == (State.DONE, "")


def test_retry_after_is_honoured(site):
    crawled(OnlyTitles, site.url("/flaky?fails=1&status=429&after=1"))
    assert site.gaps("/flaky")[0] >= 1.0


@pytest.mark.parametrize(
    ("path", "attempts", "reason"),
    [
        ("/status/404", 1, "HTTP 404"),
        ("/big?bytes=50000", 1, "too large"),
        ("/big?bytes=50000&chunked=1", 1, "too large"),
        ("/gzip-bomb?bytes=5000000", 1, "too large"),
        ("/truncated", 2, "truncated"),
        ("/redirect?n=5", 4, "too many redirects"),
        ("/redirect-loop", 2, "redirect loop"),
        ("/redirect?to=file:///etc/passwd", 1, "forbidden redirect"),
        ("/redirect?to=gopher://127.0.0.1/", 1, "forbidden redirect"),
        ("/slow?s=9", 2, "timeout"),
    ],
)
def test_what_goes_wrong_is_counted_by_reason(site, path, attempts, reason):
    crawl, items = crawled(
        OnlyTitles,
        site.url(path),
        retries=1,
        max_redirects=3,
        max_body_bytes=10_000,
        timeout_s=0.3 if reason == "timeout" else 30,
    )
    assert items == []
    assert crawl.failures_by_reason == {reason: 1}
    assert crawl.counts.failures == 1
    assert len(site.hits) == attempts
    state, text = crawl.outcome()
    assert state is State.FAILED
    assert text.startswith(f"no page could be fetched: {reason} (http://127.0.0.1:")


def test_a_dropped_connection_is_a_failure_in_the_end(site):
    crawl, _ = crawled(OnlyTitles, site.url("/drop"), site.url("/page/1"), retries=1)
    assert crawl.failures_by_reason == {"connection closed": 1}
    assert crawl.counts.pages == 1


def test_a_site_that_is_down_is_told_with_a_hint():
    with Site() as site:
        url = site.url("/")
    crawl, _ = crawled(OnlyTitles, url, retries=0, robots=True)
    assert crawl.outcome() == (
        State.FAILED,
        f"no page could be fetched: connection refused ({url}); is the site up?",
    )


def test_redirects_are_followed_to_where_they_lead(site):
    _, items = crawled(OnlyTitles, site.url("/redirect?n=3"))
    assert items == [{"url": site.url("/page/end"), "title": "/page/end"}]


def test_a_redirect_to_a_known_page_is_a_duplicate(site):
    crawl, _ = crawled(OnlyTitles, site.url("/page/end"), site.url("/redirect?n=1"))
    assert site.paths().count("/page/end") == 1
    assert crawl.filtered == {"duplicate": 1}
    assert crawl.counts.failures == 0


def test_robots_are_obeyed_also_after_a_redirect():
    rules = "User-agent: crawler\nDisallow: /page/end\nDisallow: /links\n"
    with Site(robots=rules) as site:
        urls = [site.url(path) for path in ("/links", "/redirect?n=1", "/page/1")]
        crawl, items = crawled(OnlyTitles, *urls, robots=True, user_agent="crawler/9")
    assert sorted(site.paths()) == ["/page/1", "/redirect?n=1"]
    assert titles(items) == ["/page/1"]
    assert crawl.filtered == {"robots": 2}
    assert crawl.counts.failures == 0
    assert len(site.robots_hits) == 1
    assert {hit.agent for hit in [*site.hits, *site.robots_hits]} == {"crawler/9"}


def test_robots_are_not_even_asked_for_when_switched_off():
    with Site(robots="User-agent: *\nDisallow: /") as site:
        crawl, _ = crawled(OnlyTitles, site.url("/page/1"), robots=False)
    assert crawl.counts.pages == 1
    assert site.robots_hits == []


def test_a_site_whose_robots_are_broken_is_left_alone():
    with Site(robots=503) as site:
        crawl, _ = crawled(OnlyTitles, site.url("/page/1"), robots=True, retries=1)
    assert site.hits == []
    assert crawl.failures_by_reason == {"robots.txt: HTTP 503": 1}
    assert crawl.outcome()[0] is State.FAILED


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("latin1", "café – naïve"),
        ("gbk", "中文網頁"),
        ("meta", "Привет"),
        ("bom", "żółw"),
        ("none", "naïve ☃"),
    ],
)
def test_pages_are_read_in_their_encoding(site, name, title):
    _, items = crawled(OnlyTitles, site.url(f"/charset/{name}"))
    assert titles(items) == [title]


class Careless(Spider):
    """Its callback raises on every second page, after an item."""

    name = "careless"

    def parse(self, response):
        for i in range(6):
            yield response.follow(f"/page/{i}", self.parse_page, cb_kwargs={"number": i})

    def parse_page(self, response, number):
        yield {"number": number}
        if number % 2:
            raise ValueError("odd number")


def test_a_callback_that_raises_costs_its_page_only(site, caplog):
    caplog.set_level(logging.ERROR)
    crawl, items = crawled(Careless, site.url("/page/start"))
    assert sorted(item["number"] for item in items) == list(range(6))
    assert crawl.counts.pages == 7
    assert crawl.failures_by_reason == {"callback raised ValueError": 3}
    assert crawl.outcome() == (State.DONE, "")
    record = caplog.records[0]
    assert record.fields["spider"] == "careless"
    assert record.fields["url"].startswith(site.url("/page/"))
    assert "odd number" in caplog.text
    assert "parse_page" in caplog.text, "the traceback"


class Poster(Spider):
    name = "poster"

    def start(self):
        url = self.start_urls[0]
        for method, body in [("GET", None), ("POST", "a=1"), ("PUT", b"x"), ("GET", None)]:
            yield Request(url, method=method, body=body, headers={"X-A": "b"}, dont_filter=True)

    def parse(self, response):
        return {"title": response.css("title::text").get(), "status": response.status}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"meta": {"download_timeout": "soon"}}, "bad meta"),
        ({"meta": {"download_timeout": float("inf")}}, "bad meta"),
        ({"meta": {"download_timeout": float("nan")}}, "bad meta"),
        ({"meta": {"cookiejar": []}}, "bad meta"),
        ({"meta": {"handle_httpstatus_list": 404}}, "bad meta"),
        ({"meta": {"max_retry_times": "x"}}, "bad meta"),
        ({"meta": {"proxy": 5}}, "bad proxy"),
        ({"cookies": "a=b"}, "bad cookies"),
        ({"cookies": [1]}, "bad cookies"),
        ({"headers": {"X": "a\0b"}}, "bad request"),
        ({"headers": {"X": "\ud800"}}, "bad request"),  # others go as UTF-8
        ({"method": "\u2603"}, "bad request"),
    ],
)
def test_a_request_that_cannot_be_meant_costs_itself_only(site, arguments, reason):
    class Odd(Spider):
        name = "odd"

        def start(self):
            yield Request(site.url("/status/503"), **arguments)
            yield Request(site.url("/page/1"))

        def parse(self, response):
            yield {"url": response.url}

    crawl, items = crawled(Odd, retries=0)
    assert items == [{"url": site.url("/page/1")}]
    assert crawl.failures_by_reason == {reason: 1}
    assert crawl.outcome()[0] is State.DONE
    assert crawl.statistics.pending == 0
    assert crawl._dispatcher.under_way == 0


def leave():
    raise SystemExit(3)


def give_up():
    raise gevent.Timeout(1)


class Leaving(Spider):
    """Raises, in one of its methods or its pipeline, what no `except Exception` catches."""

    name = "leaving"
    where = ""
    raises = staticmethod(leave)

    def at(self, place):
        if place == self.where:
            self.raises()

    def start(self):
        yield from super().start()
        self.at("start")

    def parse(self, response):
        yield {"title": response.css("title::text").get()}
        self.at("callback")

    def closed(self, reason):
        self.at("closed")

    class Pipeline:
        def open_spider(self, spider):
            self._spider = spider

        def process_item(self, item):
            self._spider.at("pipeline")
            return item

    pipelines = (Pipeline,)


@pytest.mark.parametrize("how", [leave, give_up])
@pytest.mark.parametrize(
    ("where", "items", "blamed"),
    [("callback", 2, 2), ("start", 2, 1), ("closed", 2, 1), ("pipeline", 0, 0)],
)
def test_a_spider_that_exits_ends_no_process(site, how, where, items, blamed):
    class This(Leaving):
        raises = staticmethod(how)

    This.where = where
    crawl, found = crawled(This, site.url("/page/1"), site.url("/page/2"))
    assert not crawl.stopped
    assert crawl.counts.pages == 2
    assert len(found) == items
    assert sum(n for why, n in crawl.failures_by_reason.items() if "raised" in why) == blamed


def test_methods_and_bodies_are_sent(site):
    _, items = crawled(Poster, site.url("/echo"), host_concurrency=1, concurrency=1)
    assert [item["title"].strip() for item in items] == ["GET", "POST a=1", "PUT x", "GET"]


def test_a_declared_spider_runs_like_any_other(site):
    declared = compile_declaration(
        {
            "name": "declared",
            "follow": [{"css": "a", "deny": ["/page/3$"]}],
            "items": [{"match": "/page/", "fields": {"title": "title", "url": {"from": "url"}}}],
        }
    )
    crawl, items = crawled(declared, site.url("/links?n=5"))
    assert sorted(titles(items)) == ["/page/0", "/page/1", "/page/2", "/page/4"]
    assert crawl.counts.pages == 5


def test_allowed_domains_keep_the_crawl_on_its_hosts():
    other = []
    with Site(pages={"": lambda asked: html("root", *other, "/page/1")}) as site:
        other.append(site.url("/page/elsewhere", host="127.0.0.2"))
        spider = type("Bounded", (Titles,), {"name": "bounded", "allowed_domains": ["127.0.0.1"]})
        crawl, _ = crawled(spider, site.url("/"))
    assert {hit.host.partition(":")[0] for hit in site.hits} == {"127.0.0.1"}
    assert crawl.filtered == {"offsite": 1}


def test_settings_of_the_task_go_before_the_spiders_and_the_workers(site):
    spider = type(
        "Own",
        (OnlyTitles,),
        {"name": "own", "custom_settings": {"user_agent": "spider", "retries": 7}},
    )
    with running_engine(spider, user_agent="worker", retries=1, max_depth=5) as engine:
        crawl = engine.crawl(spec(spider, site.url("/page/1"), settings={"retries": 3}), ListSink())
        assert crawl.spider.settings.user_agent == "spider"
        assert crawl.spider.settings.retries == 3
        assert crawl.spider.settings.max_depth == 5
        run(crawl)
    assert site.hits[0].agent == "spider"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"settings": {"dely_s": 1}}, "parameters.settings.dely_s: unknown crawl setting"),
        ({"settings": {"delay_s": -1}}, "parameters.settings.delay_s: -1 is not allowed; allowed:"),
        ({"settings": 3}, "parameters.settings: 3 is not allowed; allowed: a mapping"),
        ({"start_urls": ["ftp://h/"]}, "parameters.start_urls[0]: 'ftp://h/' is not allowed;"),
        ({"start_urls": 3}, "parameters.start_urls: 3 is not allowed; allowed: a list"),
        ({"parse": "x"}, "parameters.parse: not allowed"),
        ({"name": "x"}, "parameters.name: not allowed"),
        ({}, "parameters.start_urls: spider 'titles' has no start URL"),
    ],
)
def test_bad_parameters_are_refused_by_name(parameters, says):
    with running_engine() as engine, pytest.raises(InvalidArgument) as raised:
        engine.crawl(Spec("titles", parameters=parameters), ListSink())
    assert says in str(raised.value)


def test_a_constructor_may_refuse_parameters():
    class Picky(Titles):
        name = "picky"

        def __init__(self, category, **rest):
            super().__init__(**rest)

    with running_engine(Picky) as engine, pytest.raises(InvalidArgument, match="category"):
        engine.crawl(Spec("picky"), ListSink())


def test_a_missing_spider_is_told_with_those_there_are():
    with running_engine() as engine:
        assert engine.spider_names() == {"titles", "only-titles"}
        with pytest.raises(NotFound, match=r"no spider 'nobody' here.* only-titles, titles"):
            engine.crawl(Spec("task", spider="nobody"), ListSink())


def test_several_crawls_and_engines_run_side_by_side(site):
    sinks = [ListSink() for _ in range(4)]
    with running_engine() as one, running_engine() as other:
        crawls = [
            engine.crawl(spec(Titles, site.url("/links?n=30")), sink)
            for engine, sink in zip((one, other, one, other), sinks)
        ]
        gevent.joinall([gevent.spawn(crawl.run) for crawl in crawls], timeout=PATIENCE_S)
    assert [crawl.counts.items for crawl in crawls] == [31] * 4
    assert len(site.hits) == 4 * 31


def test_an_engine_that_was_not_started_fails_its_crawls(site):
    engine = Engine(CrawlSettings(robots=False, retries=0), {"titles": Titles})
    crawl = engine.crawl(spec(Titles, site.url("/page/1")), ListSink())
    run(crawl)
    assert crawl.outcome()[0] is State.FAILED
    engine.stop()


class Grinder(Spider):
    """Computes for a millisecond before each of its many outputs."""

    name = "grinder"

    def parse(self, response):
        for _ in range(400):
            sum(range(40_000))
            yield {"x": 1}


@pytest.mark.faults  # where nothing else runs
def test_a_crawl_that_computes_lets_the_rest_of_the_process_live(site):
    beats = []

    def beat():
        while True:
            beats.append(time.monotonic())
            gevent.sleep(0.001)

    heart = gevent.spawn(beat)
    try:
        crawl, _ = crawled(Grinder, *(site.url(f"/page/{i}") for i in range(4)))
    finally:
        heart.kill()
    assert crawl.counts.items == 1600
    longest_s = max(later - earlier for earlier, later in pairwise(beats))
    assert longest_s < crawl.counts.seconds / 10


@pytest.mark.parametrize("error", [DropItem("unwanted"), RuntimeError("broken")])
def test_what_is_said_of_an_item_shows_no_password_of_its_page(site, caplog, error):
    class Picky:
        def process_item(self, item):
            raise error

    class Tells(Spider):
        name = "tells"
        pipelines = (Picky,)

        def parse(self, response):
            yield {"a": 1}

    caplog.set_level(logging.DEBUG)
    crawl, _ = crawled(Tells, site.url("/page/1").replace("://", "://me:secret@"))
    assert crawl.counts.pages == 1
    said = [vars(record) for record in caplog.records]
    assert any("item" in entry["message"] for entry in said)
    assert "secret" not in str(said)

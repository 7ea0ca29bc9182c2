"""The HTTP cache: what it gives back unasked, what it asks about, and what it never keeps."""

import time

import pytest

from crawler import Request, Spider
from crawler.engine.download.http_cache import Cache
from crawler.model.records import Spec
from tests.site import Site
from tests.site.asked import HTML, Reply
from tests.site.crawling import ListSink, crawled, run, running_engine, spec


class Flags(Spider):
    """Tells how each page was come by."""

    name = "flags"

    def parse(self, response):
        yield {"text": response.text, "flags": response.flags}
        yield from response.follow_all(css="a")


def said(asked):
    """/said?h=Name:value;Name:value: a page with these headers; its text is the count."""
    headers = [HTML, *(tuple(line.split(":", 1)) for line in asked.query["h"].split(";"))]
    etag = dict(headers).get("ETag", "nothing")
    if asked.headers.get("HTTP_IF_NONE_MATCH") == etag:
        return Reply(b"", 304, [("ETag", etag), ("Cache-Control", "max-age=60")])
    return Reply(str(asked.count).encode(), int(asked.number("status", 200)), headers)


@pytest.fixture
def site():
    with Site(pages={"said": said}) as site:
        yield site


@pytest.fixture
def stored(tmp_path):
    cache = Cache(tmp_path / "cache", 1_000_000)
    yield cache
    cache.close()


def texts(stored, *urls, **settings):
    """The pages, and whether each came from the cache, with the statistics of the crawl."""
    crawl, items = crawled(Flags, *urls, stored=stored, **{"retries": 0, **settings})
    return crawl, [(item["text"], "cached" in item["flags"]) for item in items]


def twice(site, stored, path, **settings):
    """The second of two crawls of a page."""
    texts(stored, site.url(path), **settings)
    return texts(stored, site.url(path), **settings)[1]


def test_without_it_every_page_is_fetched(site, stored):
    assert twice(site, stored, "/said?h=Cache-Control:max-age=60", cache="none") == [("2", False)]


def test_always_is_whatever_came_once_and_waits_for_no_delay(site, stored):
    urls = [site.url(f"/said?h=Cache-Control:no-store&n={number}") for number in range(5)]
    texts(stored, *urls, cache="always")
    began_s = time.monotonic()
    crawl, found = texts(stored, *urls, cache="always", delay_s=30.0)
    assert time.monotonic() - began_s < 30.0
    assert found == [("1", True)] * 5
    assert len(site.hits) == 5
    assert crawl.statistics.from_cache == 5
    assert crawl.counts.pages == 5


def test_a_request_may_leave_it_aside(site, stored):
    class Fresh(Flags):
        def start(self):
            yield Request(self.url, meta={"dont_cache": True})

    Fresh.url = site.url("/said?h=Cache-Control:max-age=60")
    assert texts(stored, Fresh.url, cache="always")[1] == [("1", False)]
    _, items = crawled(Fresh, stored=stored, cache="always")
    assert [item["text"] for item in items] == ["2"], "it was sent"
    assert texts(stored, Fresh.url, cache="always")[1] == [("1", True)], "and not kept"


def test_what_has_expired_is_fetched_anew(site, stored):
    path = "/said?h=X:y"
    assert twice(site, stored, path, cache="always", cache_expires_s=0.000001) == [("2", False)]


def test_a_failure_that_may_pass_is_not_kept(site, stored):
    twice(site, stored, "/said?h=X:y&status=503", cache="always")
    assert len(site.hits) == 2


@pytest.mark.parametrize(
    ("headers", "second"),
    [
        ("Cache-Control:max-age=60", ("1", True)),
        ("Cache-Control:max-age=60, no-store", ("2", False)),
        ("Cache-Control:max-age=0", ("2", False)),
        ("Cache-Control:no-cache", ("2", False)),
        ("Cache-Control:max-age=60;Age:61", ("2", False)),
        ("Cache-Control:max-age=60;Vary:*", ("2", False)),
        ("Cache-Control:max-age=60;Vary:Accept", ("1", True)),
        ("Expires:Thu, 01 Jan 2099 00:00:00 GMT", ("1", True)),
        ("Expires:0", ("2", False)),
        ("Last-Modified:Thu, 01 Jan 2015 00:00:00 GMT", ("1", True)),
        ("X:y", ("2", False)),
        ('ETag:"a"', ("1", True)),
    ],
)
def test_after_rfc_9111(site, stored, headers, second):
    path = f"/said?h={headers}".replace(" ", "%20").replace(";", "%3B").replace('"', "%22")
    assert twice(site, stored, path, cache="rfc9111") == [second]


def test_what_was_validated_is_fresh_again(site, stored):
    url = site.url("/said?h=ETag:a")
    for _ in range(3):
        texts(stored, url, cache="rfc9111")
    assert len(site.hits) == 2, "the 304 said that it is fresh for a minute"


def test_a_page_that_varies_is_another_for_another_agent(site, stored):
    url = site.url("/said?h=Cache-Control:max-age=60%3BVary:User-Agent")
    texts(stored, url, cache="rfc9111", user_agent="one")
    assert texts(stored, url, cache="rfc9111", user_agent="two")[1] == [("2", False)]
    assert texts(stored, url, cache="rfc9111", user_agent="two")[1] == [("2", True)]


@pytest.mark.parametrize(
    ("by", "one", "two"),
    [
        ("Cookie", {"headers": {"Cookie": "lang=de"}}, {"headers": {"Cookie": "lang=en"}}),
        ("Cookie", {}, {"headers": {"Cookie": "lang=en"}}),
        ("Authorization", {}, {"http_user": "me"}),
        ("Authorization", {"http_user": "you"}, {"http_user": "me"}),
    ],
)
def test_a_page_that_varies_is_another_for_another_cookie_and_user(site, stored, by, one, two):
    url = site.url(f"/said?h=Cache-Control:max-age=60%3BVary:{by}")
    texts(stored, url, cache="rfc9111", **one)
    assert texts(stored, url, cache="rfc9111", **one)[1] == [("1", True)]
    assert texts(stored, url, cache="rfc9111", **two)[1] == [("2", False)]
    assert texts(stored, url, cache="rfc9111", **two)[1] == [("2", True)]


def test_it_stays_within_its_size(site, stored):
    urls = [site.url(f"/big?bytes=100000&n={number}") for number in range(25)]
    crawled(Flags, *urls, stored=stored, cache="always", concurrency=1, host_concurrency=1)
    assert [cached for _, cached in texts(stored, *urls[-5:], cache="always")[1]] == [True] * 5
    assert [cached for _, cached in texts(stored, *urls[:5], cache="always")[1]] == [False] * 5


def test_a_broken_file_is_no_answer_and_no_fault(site, tmp_path):
    (tmp_path / "answers.sqlite").write_bytes(b"not a database" * 1000)
    assert twice(site, Cache(tmp_path), "/said?h=X:y", cache="always") == [("1", True)]


def test_redirects_come_from_it_too(site, stored):
    url = site.url("/redirect?n=2")
    for _ in range(2):
        with running_engine(Flags, stored=stored, cache="always") as engine:
            sink = ListSink()
            run(engine.crawl(spec(Flags, url), sink))
            assert len(sink.items) == 1
    assert len(site.hits) == 3


def test_what_one_task_was_given_is_not_for_another(site, stored):
    with running_engine(Flags, stored=stored, cache="always") as engine:

        def read(task):
            sink = ListSink()
            asked = {"start_urls": [site.url("/said?h=X:y")]}
            run(engine.crawl(Spec(task, "flags", asked), sink))
            return [(item["text"], "cached" in item["flags"]) for item in sink.items]

        assert read("one") == [("1", False)]
        assert read("other") == [("2", False)]
        assert read("one") == [("1", True)]

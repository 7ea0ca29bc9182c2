"""What is not fetched: unwanted URLs, and sites that go on for ever."""

import pytest

from crawler.engine.frontier.filters import Filters, Quota, repeats
from crawler.engine.http import urls
from crawler.settings.crawl import CrawlSettings


def refusal(url, domains=(), **settings):
    return Filters(CrawlSettings(**settings), domains).refusal(urls.parse(url))


@pytest.mark.parametrize(
    ("url", "settings", "reason"),
    [
        ("http://h/" + "x" * 2074, {}, ""),
        ("http://h/" + "x" * 2075, {}, "url length"),
        ("http://h/" + "x" * 9000, {"max_url_length": 0}, ""),
        ("http://h/a?print=1", {"deny_urls": ["[?&]print="]}, "denied"),
        ("http://h/print", {"deny_urls": ["[?&]print="]}, ""),
        ("http://h" + "/a" * 5, {}, ""),
        ("http://h" + "/a" * 6, {}, "path repeats"),
        ("http://h/x" + "/a" * 5 + "/y", {}, ""),
        ("http://h/x" + "/a" * 6 + "/y", {}, "path repeats"),
        ("http://h/x" + "/a/b" * 2 + "/y", {"max_path_repeats": 2}, ""),
        ("http://h" + "/a" * 60, {"max_path_repeats": 0}, ""),
        ("http://h/x" + "/a/b" * 3 + "/y", {"max_path_repeats": 2}, "path repeats"),
    ],
)
def test_unwanted_urls_have_a_reason(url, settings, reason):
    assert refusal(url, **settings) == reason


def test_allowed_domains_are_compared_as_hosts_are():
    domains = ["Bücher.example", ".Example.org"]
    assert refusal("http://www.bücher.example/", domains) == ""
    assert refusal("http://EXAMPLE.org:81/", domains) == ""
    assert refusal("http://badexample.org/", domains) == "offsite"


@pytest.mark.parametrize(
    ("path", "times"),
    [
        ("/", 1),
        ("/a/b/c", 1),
        ("/a/a", 2),
        ("/x/a/b/a/b/a/b", 3),
        ("/a/b/a", 1),
        ("/a/b/c/a/b/c/a/b/x", 2),
        ("/1/2/1/3/1/4/1/5", 1),
        ("//////", 6),
    ],
)
def test_the_longest_repetition_of_a_path(path, times):
    assert repeats(path) == times


def exhausted(filters, url):
    return filters.exhausted(urls.parse(url))


def test_the_queries_of_one_path_are_limited():
    filters = Filters(CrawlSettings(max_queries_per_path=2))
    assert [exhausted(filters, f"http://h/list?page={i}") for i in range(3)] == [
        "",
        "",
        "query limit",
    ]
    assert exhausted(filters, "http://h/list") == ""
    assert exhausted(filters, "http://h/other?page=1") == ""
    assert exhausted(filters, "http://other/list?page=1") == ""


def test_the_urls_of_one_host_are_limited():
    filters = Filters(CrawlSettings(max_pages_per_host=2))
    asked = ["http://h/1", "http://h:81/2", "http://h/3", "http://g/1"]
    assert [exhausted(filters, url) for url in asked] == ["", "", "host limit", ""]


def test_without_a_limit_there_is_none():
    filters = Filters(CrawlSettings())
    assert {exhausted(filters, f"http://h/?{i}") for i in range(1000)} == {""}


def test_a_quota_remembers_the_busiest_when_there_are_too_many():
    quota = Quota(50, most=100)
    assert all(quota.take("trap") for _ in range(50))
    for number in range(1000):
        assert quota.take(f"path {number}")
        assert not quota.take("trap")

"""Outputs of callbacks that nobody can use: each costs itself, and is told with its page."""

import logging

import pytest

from crawler import Request, Spider
from crawler.clock import ManualClock
from crawler.engine.http import meta
from crawler.engine.items.sinks.json_lines import JsonLinesSink
from tests.unit.engine.fakes import FakeFetcher, ListSink, crawl_of, page, shared


class Unreadable:
    def __str__(self):
        raise RuntimeError("do not read")


def rotten(**changes):
    request = Request("http://h/next")
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def endless():
    found = []
    found.append(found)
    return found


def crawled(outputs, sink=None, **members):
    """A crawl of one page, whose callback yields these outputs."""

    def parse(self, response):
        if response.url == "http://h/":
            yield from outputs

    kind = {"name": "one", "start_urls": ["http://h/"], "parse": parse, **members}
    clock = ManualClock()
    fetcher = FakeFetcher(clock, lambda call: page())
    sink = ListSink() if sink is None else sink
    crawl = crawl_of(type("One", (Spider,), kind), shared(fetcher, clock), sink)
    crawl.run()
    return crawl, sink, fetcher


@pytest.mark.parametrize(
    ("bad", "reason", "told"),
    [
        (5, "callback yielded int", "int is not allowed; allowed: a Request, or an item"),
        ("http://h/next", "callback yielded str", "str is not allowed; allowed: a Request"),
        ([{"n": 3}], "callback yielded list", "list is not allowed"),
        (
            Request("http://h/next", "parse_it"),
            "callback yielded a bad Request",
            "callback: 'parse_it' is not allowed, spider 'one' has no such method; allowed:",
        ),
        (
            Request("http://h/next", errback="name"),
            "callback yielded a bad Request",
            "errback: 'name' is not allowed",
        ),
        (rotten(url=None), "callback yielded a bad Request", "url: None is not allowed; allowed"),
        (rotten(priority="high"), "callback yielded a bad Request", "priority: 'high' is not"),
    ],
)
def test_an_output_that_nobody_can_use_costs_only_itself(bad, reason, told, caplog):
    caplog.set_level(logging.ERROR)
    crawl, sink, fetcher = crawled([{"n": 1}, bad, {"n": 2}, Request("http://h/after")])
    assert sink == [{"n": 1}, {"n": 2}]
    assert fetcher.urls() == ["http://h/", "http://h/after"]
    assert crawl.failures_by_reason == {reason: 1}
    [line] = caplog.records
    assert line.fields["page"] == "http://h/"
    assert line.fields["spider"] == "one"
    assert told in line.fields["error"]
    assert crawl.statistics.pending == 0


@pytest.mark.parametrize("value", [endless(), Unreadable(), {1: {2: Unreadable()}}])
def test_an_item_that_cannot_be_written_costs_only_itself(value, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    sink = JsonLinesSink(tmp_path / "items.jsonl")
    crawl, *_ = crawled([{"n": 1}, {"n": value}, {"n": 2}], sink)
    assert (tmp_path / "items.jsonl").read_text() == '{"n": 1}\n{"n": 2}\n'
    assert crawl.statistics.items_failed == {"cannot be written": 1}
    assert crawl.failures_by_reason == {}
    [line] = caplog.records
    assert line.fields["url"] == "http://h/"


def test_what_start_yields_in_vain_costs_only_itself():
    def start(self):
        yield 5
        yield Request("http://h/", "nobody")
        yield {"n": 1}
        yield Request("http://h/")

    crawl, sink, _ = crawled([], start=start)
    assert sink == [{"n": 1}]
    assert crawl.counts.pages == 1
    assert crawl.failures_by_reason == {"start yielded int": 1, "start yielded a bad Request": 1}


def test_a_link_that_is_no_url_is_told_once(caplog):
    caplog.set_level(logging.WARNING)
    crawl, *_ = crawled([Request("page/2"), Request("page/3"), Request("http://h/2")])
    assert crawl.filtered == {"url": 2}
    assert crawl.counts.pages == 2
    [line] = caplog.records
    assert (line.fields["url"], line.fields["page"]) == ("page/2", "http://h/")
    assert "response.follow" in line.fields["reason"]


KEYS = [
    "allow_offsite",
    "autothrottle_dont_adjust_delay",
    "bindaddress",
    "cookiejar",
    "depth_reset",
    "dont_cache",
    "dont_merge_cookies",
    "dont_obey_robotstxt",
    "dont_redirect",
    "dont_retry",
    "download_fail_on_dataloss",
    "download_latency",
    "download_maxsize",
    "download_slot",
    "download_timeout",
    "download_warnsize",
    "ftp_local_filename",
    "ftp_passive",
    "ftp_password",
    "ftp_user",
    "give_up_log_level",
    "handle_httpstatus_all",
    "handle_httpstatus_list",
    "http_auth_domain",
    "http_pass",
    "http_user",
    "is_start_request",
    "max_retry_times",
    "priority_adjust",
    "proxy",
    "redirect_reasons",
    "redirect_times",
    "redirect_ttl",
    "redirect_urls",
    "referrer_policy",
    "retry_times",
    "verbatim_url",
]
"""The special keys of Scrapy's `meta`, by its documentation."""
TAKEN = [
    "allow_offsite",
    "cookiejar",
    "dont_cache",
    "dont_merge_cookies",
    "dont_obey_robotstxt",
    "dont_redirect",
    "dont_retry",
    "download_timeout",
    "handle_httpstatus_all",
    "handle_httpstatus_list",
    "max_retry_times",
    "proxy",
    "referrer_policy",
]
SET_BY_THE_ENGINE = [
    "download_latency",
    "is_start_request",
    "redirect_times",
    "redirect_urls",
    "retry_times",
]
MISSING = ["redirect_reasons"]
"""What Scrapy's engine sets and this one does not; docs/spiders.md says so."""


def test_each_key_of_scrapys_meta_is_taken_or_named():
    assert set(KEYS) <= {*TAKEN, *SET_BY_THE_ENGINE, *MISSING, *meta.UNSUPPORTED}
    assert not set(TAKEN) & meta.UNSUPPORTED.keys()


def test_a_key_without_effect_is_named_once(caplog):
    caplog.set_level(logging.WARNING)
    asked = [Request(f"http://h/{n}", meta={"download_slot": "x", "mine": n}) for n in range(3)]
    crawl, *_ = crawled([*asked, Request("http://h/9", meta={"bindaddress": "10.0.0.1"})])
    assert crawl.counts.pages == 5
    one, other = caplog.records
    assert one.message.startswith("meta['download_slot'] has no effect: requests to one host")
    assert other.message.startswith("meta['bindaddress'] has no effect: ")


def test_a_request_need_not_obey_robots_txt():
    def answer(call):
        return page(body=b"User-agent: *\nDisallow: /") if "robots" in call.url else page()

    free = {"dont_obey_robotstxt": True}
    urls, _ = obeying(answer, Request("http://h/1", meta=free), Request("http://h/2"))
    assert urls == ["http://h/robots.txt", "http://h/1"]


def obeying(answer, *asked):
    """The URLs that a crawl of these requests fetches when it obeys robots.txt, and the crawl."""
    members = {"name": "one", "start": lambda self: asked, "parse": lambda self, response: None}
    clock = ManualClock()
    fetcher = FakeFetcher(clock, answer)
    crawl = crawl_of(type("One", (Spider,), members), shared(fetcher, clock), robots=True)
    crawl.run()
    return fetcher.urls(), crawl


def test_a_callback_finds_whether_its_request_was_one_of_the_first():
    found = {}

    def parse(self, response):
        found[response.url] = response.meta.get("is_start_request")
        yield Request("http://h/next")

    crawled([], parse=parse)
    assert found == {"http://h/": True, "http://h/next": None}

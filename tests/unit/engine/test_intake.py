"""Outputs of callbacks that nobody can use: each costs itself, and is told with its page."""

import logging

import pytest

from crawler import Request, Spider
from crawler.clock import ManualClock
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

"""`allowed_domains` in all the forms that spiders give it."""

import logging

import pytest

from crawler import Request, Spider
from crawler.clock import ManualClock
from crawler.engine.spiders.declarative import compile_declaration
from crawler.engine.spiders.domains import NOWHERE, fault_of, of_spider
from tests.unit.engine.fakes import FakeFetcher, crawl_of, page, shared


class Wandering(Spider):
    name = "wandering"
    start_urls = ("http://shop.example/",)

    def parse(self, response):
        yield Request("http://shop.example/2")
        yield Request("http://other.example/3")


def asked(spider, answer_of=lambda call: page()):
    """The URLs that a crawl asks for."""
    clock = ManualClock()
    fetcher = FakeFetcher(clock, answer_of)
    crawl_of(spider, shared(fetcher, clock)).run()
    return fetcher.urls()


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (None, []),
        ([], []),
        ((), []),
        ("shop.example", ["shop.example"]),
        ({"shop.example": 1}, ["shop.example"]),
        ([None, "shop.example"], ["shop.example"]),
        (["http://shop.example/", "books.example"], ["books.example"]),
        (["::1"], ["::1"]),
        ([None], [NOWHERE]),
        (["http://shop.example/"], [NOWHERE]),
        (5, [NOWHERE]),
    ],
)
def test_entries_that_are_no_hosts_are_left_out(given, taken):
    assert of_spider(type("One", (Wandering,), {"allowed_domains": given})()) == taken


@pytest.mark.parametrize(
    ("entry", "write"),
    [
        ("https://shop.example/books?x", "write 'shop.example'"),
        ("//shop.example", "write 'shop.example'"),
        ("shop.example/books", "write 'shop.example'"),
        ("shop.example:8080", "it has a port; write 'shop.example'"),
        ("*.shop.example", "write 'shop.example'"),
        (None, "it is no text but NoneType; write the name of a host"),
        (b"shop.example", "it is no text but bytes"),
    ],
)
def test_a_warning_says_what_to_write(entry, write, caplog):
    caplog.set_level(logging.WARNING)
    assert write in fault_of(entry)
    of_spider(type("One", (Wandering,), {"allowed_domains": [entry, "books.example"]})())
    [line] = caplog.records
    assert line.message.startswith(f"allowed_domains: {entry!r} is left out, ")


@pytest.mark.parametrize(
    ("given", "others"),
    [
        ("shop.example", ["http://shop.example/2"]),
        (["books.example"], []),
        ([None], []),
        (None, ["http://shop.example/2", "http://other.example/3"]),
    ],
)
def test_start_urls_are_asked_for_whatever_the_domains(given, others):
    spider = type("One", (Wandering,), {"allowed_domains": given})
    assert asked(spider) == ["http://shop.example/", *others]


def test_start_urls_are_no_duplicates_and_make_none():
    def parse(self, response):
        yield Request("http://shop.example/")

    spider = type("One", (Wandering,), {"parse": parse, "start_urls": ["http://shop.example/"] * 2})
    assert asked(spider) == ["http://shop.example/"] * 3


def test_a_start_url_may_lead_elsewhere():
    spider = type("One", (Wandering,), {"allowed_domains": ["shop.example"], "parse": ignored})
    hop = page(status=302, headers=[b"Location: http://other.example/"])
    answers = {"http://shop.example/": hop}
    assert len(asked(spider, lambda call: answers.get(call.url, page()))) == 2


def ignored(self, response):
    return None


def test_requests_that_a_spider_makes_itself_are_like_any_other():
    def start(self):
        yield Request("http://shop.example/1")
        yield Request("http://shop.example/1")
        yield Request("http://other.example/")

    members = {"start": start, "allowed_domains": ["shop.example"], "parse": ignored}
    assert asked(type("One", (Wandering,), members)) == ["http://shop.example/1"]


def test_a_declared_spider_asks_for_each_start_url_once():
    spider = compile_declaration(
        {
            "name": "declared",
            "start_urls": ["http://shop.example/", "http://shop.example/"],
            "allowed_domains": ["other.example"],
            "items": [{"fields": {"title": "title"}}],
        }
    )
    assert asked(spider) == ["http://shop.example/"]

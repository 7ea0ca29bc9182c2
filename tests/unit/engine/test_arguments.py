"""Arguments of a spider that were not given: the error says which to give, and how."""

import logging

import pytest

from crawler import CloseSpider, Request, Spider
from crawler.clock import ManualClock
from crawler.engine.spiders.factory import make_spider
from crawler.errors import InvalidArgument
from crawler.model.records import State
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import FakeFetcher, crawl_of, page, shared

URL = "http://h/"


class Needing(Spider):
    name = "needing"
    start_urls = (URL,)

    def __init__(self, category, shelf, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Defaulting(Spider):
    name = "defaulting"
    start_urls = (URL,)

    def __init__(self, category=None, **kwargs):
        super().__init__(**kwargs)
        self.words = category.split()


class Relying(Spider):
    name = "relying"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.start_urls = [URL + self.category]


class Broken(Spider):
    name = "broken"
    start_urls = (URL,)

    def __init__(self, **kwargs):
        raise ValueError("no reason")


@pytest.mark.parametrize(
    ("spider", "given", "advice"),
    [
        (Needing, {}, "category, shelf not given: give it as a parameter of the task, on the"),
        (Needing, {"category": "a"}, "on the command line: -a shelf=VALUE"),
        (Defaulting, {}, "category not given: give it as a parameter"),
        (Relying, {}, "command line: -a category=VALUE"),
    ],
)
def test_the_refusal_says_which_argument_to_give(spider, given, advice):
    with pytest.raises(InvalidArgument, match="refuses") as told:
        make_spider(spider, given, CrawlSettings(), trusts_tasks=True)
    assert advice in str(told.value)


def test_another_fault_gets_no_advice():
    with pytest.raises(InvalidArgument, match=r"ValueError: no reason$"):
        make_spider(Broken, {}, CrawlSettings(), trusts_tasks=True)


def ended(start):
    """How a crawl ends that begins so, and the spider's pages."""
    members = {"name": "one", "start": start, "parse": lambda self, response: None}
    clock = ManualClock()
    fetcher = FakeFetcher(clock, lambda call: page())
    crawl = crawl_of(type("One", (Spider,), members), shared(fetcher, clock))
    crawl.run()
    return (*crawl.outcome(), crawl.counts.pages)


def test_a_start_that_lacks_an_argument_says_so_in_one_line(caplog):
    def start(self):
        yield Request(URL)
        yield Request(URL + self.category)

    caplog.set_level(logging.INFO)
    state, reason, pages = ended(start)
    assert (state, pages) == (State.FAILED, 1)
    assert reason.startswith(
        "start raised AttributeError: 'One' object has no attribute 'category'"
    )
    assert " at test_arguments.py:" in reason
    assert reason.endswith("-a category=VALUE")
    [line] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (line.message, line.exc_info) == (reason, None)


def test_a_start_that_is_no_generator_may_raise_too():
    def start(self):
        return [Request(URL + number) for number in None]

    state, reason, _ = ended(start)
    assert state is State.FAILED
    assert reason.startswith("start raised TypeError: ")


def test_a_start_may_close_the_crawl():
    def start(self):
        raise CloseSpider("enough")
        yield

    assert ended(start) == (State.DONE, "", 0)

"""The base class: how spiders begin, log, and what their `async def` methods may do."""

import asyncio
import logging
from collections import Counter

import pytest

from crawler import CrawlSpider, Request, Response, Rule, Spider
from crawler.coroutines import ForeignAwait
from crawler.engine.spiders.callbacks import checked, outputs

URL = "http://h/"


def begun(spider):
    return [request.url for request in checked(spider.start())]


class Legacy(Spider):
    name = "legacy"

    def start_requests(self):
        yield Request("http://legacy/")


class Modern(Spider):
    name = "modern"
    start_urls = ("http://own/",)

    async def start(self):
        yield Request("http://first/")
        async for request in super().start():
            yield request


class Plain(Spider):
    name = "plain"
    start_urls = (URL,)

    def start(self):
        yield from super().start()


@pytest.mark.parametrize(
    ("spider", "urls"),
    [
        (Legacy, ["http://legacy/"]),
        (Modern, ["http://first/", "http://own/"]),
        (Plain, [URL]),
        (type("Super", (Legacy,), {}), ["http://legacy/"]),
    ],
)
def test_a_spider_begins_in_any_way_scrapy_has_known(spider, urls):
    assert begun(spider()) == urls


def test_whether_it_needs_start_urls():
    assert Legacy.begins_itself()
    assert Modern.begins_itself()
    assert not type("None", (Spider,), {}).begins_itself()


class Awaiting(Spider):
    name = "awaiting"

    async def one(self, response):
        return {"url": await self.url_of(response)}

    async def many(self, response):
        yield {"n": 1}
        yield {"url": await self.url_of(response)}

    async def listed(self, response):
        return [{"n": 1}, {"n": 2}]

    async def nothing(self, response):
        pass

    async def foreign(self, response):
        yield {"n": 1}
        await asyncio.sleep(0)

    async def url_of(self, response):
        return response.url


@pytest.mark.parametrize(
    ("callback", "items"),
    [
        ("one", [{"url": URL}]),
        ("many", [{"n": 1}, {"url": URL}]),
        ("listed", [{"n": 1}, {"n": 2}]),
        ("nothing", []),
    ],
)
def test_a_callback_may_be_a_coroutine(callback, items):
    response = Response(URL, request=Request(URL, callback))
    assert list(outputs(Awaiting(), response)) == items


def test_a_coroutine_that_needs_an_event_loop_is_told_so():
    found = outputs(Awaiting(), Response(URL, request=Request(URL, "foreign")))
    assert next(found) == {"n": 1}
    with pytest.raises(ForeignAwait, match=r"needs an event loop; allowed: .*Yield a Request"):
        next(found)


def test_the_logger_takes_arguments_and_fields(caplog):
    caplog.set_level(logging.INFO)
    spider = Legacy()
    spider.logger.info("a %s of %d", "page", 3)
    spider.logger.warning("slow", url=URL)
    spider.log("told", logging.INFO)
    assert [record.getMessage() for record in caplog.records] == ["a page of 3", "slow", "told"]
    assert caplog.records[1].fields == {"url": URL}
    assert {record.name for record in caplog.records} == {"crawler.spider.legacy"}


def test_it_remembers():
    spider = Legacy()
    spider.state["seen"] = 1
    assert spider.state == {"seen": 1}
    assert Legacy().state == {}

    class Own(Spider):
        def __init__(self):
            self.mine = 1

    assert Own().state == {}


def test_the_name_may_be_given():
    assert Spider("other", tag="a").name == "other"
    assert Spider("other", tag="a").tag == "a"


class Shelf(CrawlSpider):
    name = "shelf"
    allowed_domains = ["h"]  # noqa: RUF012
    counts = {"pages": [1]}  # noqa: RUF012
    words = Counter()  # noqa: RUF012
    rules = [Rule()]  # noqa: RUF012

    def __init__(self, *args, **kwargs):
        self.rules.append(Rule(callback="parse"))
        super().__init__(*args, **kwargs)
        self.start_urls.append(URL)
        self.allowed_domains.append("other")
        self.handle_httpstatus_list.append(404)
        self.counts["pages"].append(2)
        self.words["a"] += 1


def test_what_a_spider_appends_reaches_no_other_spider():
    for spider in (Shelf(), Shelf()):
        assert spider.start_urls == [URL]
        assert spider.allowed_domains == ["h", "other"]
        assert spider.handle_httpstatus_list == [404]
        assert (spider.counts, spider.words) == ({"pages": [1, 2]}, {"a": 1})
        assert len(spider.rules) == 2
    assert (Shelf.start_urls, Shelf.allowed_domains, len(Shelf.rules)) == ([], ["h"], 1)
    assert Spider().start_urls == Spider().handle_httpstatus_list == []


def test_a_spider_may_append_without_asking_its_base_first():
    class Alone(Spider):
        name = "alone"

        def __init__(self):
            self.start_urls.append(URL)

    assert begun(Alone()) == begun(Alone()) == [URL]


@pytest.mark.parametrize("given", [5, None, [b"http://h/"], ["http://h/", None]])
def test_start_urls_that_are_no_texts_are_named(given):
    spider = type("Odd", (Spider,), {"name": "odd", "start_urls": given})()
    with pytest.raises(TypeError, match=r"^start_urls: .* is not allowed; allowed: a list"):
        list(spider.start_requests())


def test_a_single_start_url_may_be_a_text():
    spider = type("One", (Spider,), {"name": "one", "start_urls": "http://h/"})()
    assert [request.url for request in spider.start_requests()] == ["http://h/"]

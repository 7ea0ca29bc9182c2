"""Spiders with rules."""

import pytest

from crawler import CrawlSpider, LinkExtractor, Request, Response, Rule
from crawler.engine.spiders.callbacks import outputs
from tests.site.crawling import crawled
from tests.site.pages import html
from tests.site.site import Site

PAGES = {
    "": lambda asked: html("root", "/list/1", "/item/a", "/other"),
    "list": lambda asked: html(asked.path, "/list/2", "/item/b", "/item/a"),
    "item": lambda asked: html(asked.path, "/item/deep"),
    "other": lambda asked: html(asked.path, "/item/hidden"),
}


class Shop(CrawlSpider):
    name = "shop"
    rules = (
        Rule(LinkExtractor(allow=r"/list/")),
        Rule(LinkExtractor(allow=r"/item/"), callback="parse_item", cb_kwargs={"kind": "item"}),
    )

    def parse_start_url(self, response):
        return {"start": response.css("title::text").get()}

    def parse_item(self, response, kind):
        yield {kind: response.css("title::text").get(), "by": response.meta["link_text"]}


def items_of(spider):
    with Site(pages=PAGES) as site:
        crawl, items = crawled(spider, site.url("/"))
        return items, site.paths(), crawl


def test_rules_say_what_is_followed_and_who_gets_it():
    items, paths, _ = items_of(Shop)
    assert sorted(map(str, items)) == sorted(
        map(
            str,
            [
                {"start": "root"},
                {"item": "/item/a", "by": "/item/a"},
                {"item": "/item/b", "by": "/item/b"},
            ],
        )
    )
    assert sorted(paths) == ["/", "/item/a", "/item/b", "/list/1", "/list/2"]


def test_follow_can_be_asked_for_with_a_callback():
    class Deep(Shop):
        name = "deep"
        rules = (Rule(LinkExtractor(allow="/item/"), "parse_item", {"kind": "item"}, follow=True),)

    items, _, _ = items_of(Deep)
    assert {"item": "/item/deep", "by": "/item/deep"} in items


def test_links_and_requests_can_be_changed_or_dropped():
    class Changing(Shop):
        name = "changing"
        rules = (
            Rule(
                LinkExtractor(),
                callback="parse_item",
                cb_kwargs={"kind": "item"},
                process_links="without_lists",
                process_request="marked",
            ),
        )

        def without_lists(self, links):
            return (link for link in links if "/list" not in link.url)

        def marked(self, request, response):
            if "other" in request.url:
                return None
            return request.replace(meta={**request.meta, "link_text": response.url})

    items, paths, _ = items_of(Changing)
    assert sorted(paths) == ["/", "/item/a"]
    assert items[1]["by"].startswith("http://127.0.0.1")


def test_the_errback_of_a_rule_gets_failures():
    class Failing(Shop):
        name = "failing"
        rules = (Rule(LinkExtractor(allow="/other"), "parse_item", errback="failed"),)

        def failed(self, failure):
            yield {"failed": failure.response.status}

    pages = {**PAGES, "other": lambda asked: html("gone", status=410)}
    with Site(pages=pages) as site:
        _, items = crawled(Failing, site.url("/"))
    assert items == [{"start": "root"}, {"failed": 410}]


def test_of_two_rules_for_a_link_the_first_counts():
    class Twice(Shop):
        rules = (Rule(LinkExtractor(), callback="one"), Rule(LinkExtractor(), callback="two"))

        def one(self, response): ...

        two = one

    response = Response("http://h/", body=b"<a href=/x>x</a>", request=Request("http://h/"))
    found = [output for output in outputs(Twice(), response) if isinstance(output, Request)]
    assert [request.meta["rule"] for request in found] == [0]
    assert Request.from_dict(found[0].to_dict()).callback == "_callback"


def test_results_can_be_processed():
    class Counting(Shop):
        def process_results(self, response, results):
            return [*results, {"n": 1}]

    response = Response("http://h/", body=b"<title>t</title>")
    assert list(outputs(Counting(), response)) == [{"start": "t"}, {"n": 1}]


@pytest.mark.parametrize("role", ["callback", "process_links", "process_request", "errback"])
def test_a_name_that_is_no_method_is_told_at_once(role):
    spider = type("Wrong", (Shop,), {"rules": (Rule(**{role: "nobody"}),)})
    with pytest.raises(ValueError, match=rf"rules\[0\].{role}: 'nobody' is not allowed; allowed"):
        spider()

"""Spiders as data: what they do, and every fault at once."""

import pytest
import yaml

from crawler.engine.http.response import Headers, Response
from crawler.engine.spiders import callbacks
from crawler.engine.spiders.declarative import compile_declaration
from crawler.engine.spiders.spider import Request, Spider
from crawler.errors import ConfigError
from crawler.settings.crawl import CrawlSettings

BOOKS = """
name: books
start_urls: [http://books.example/]
settings: {delay_s: 0.1}
follow:
  - css: nav a
    allow: [/book/, /page/]
    deny: [/book/secret]
  - {xpath: "//link/@href", match: /page/}
items:
  - match: /book/
    fields:
      title: h1
      price: {css: .price::text, regex: "([0-9.]+) EUR", type: float}
      pages: {css: .pages, type: int}
      tags: {xpath: "//i", many: true}
      url: {from: url}
  - match: /page/
    each: li
    fields:
      name: a::text
      href: a::attr(href)
      status: {from: status}
"""
BOOK = b"""<h1> The <b>Title</b> </h1><p class="price">only 12.50 EUR</p><p class="pages">many</p>
<i>a</i><i> b </i>
<nav><a href="/book/2">2</a><a href="/book/secret">s</a><a href="/x">x</a></nav>"""
PAGE = b"""<ul><li><a href="/book/1">One</a></li><li>nothing</li><li><a href="/book/2">Two</a></li>
</ul><link href="/page/2"><nav><a href="/about">about</a></nav>"""


@pytest.fixture(scope="module")
def books():
    return compile_declaration(yaml.safe_load(BOOKS))


def outputs(spider_class, url, body, kind="text/html"):
    spider = spider_class()
    found = list(spider.parse(Response(url, 200, Headers([("content-type", kind)]), body)))
    items = [each for each in found if not isinstance(each, Request)]
    return items, [each.url for each in found if isinstance(each, Request)]


def test_it_becomes_an_ordinary_spider_class(books):
    assert issubclass(books, Spider)
    assert books.name == "books"
    assert books.custom_settings == {"delay_s": 0.1}
    assert [request.url for request in books().start()] == ["http://books.example/"]


def test_fields_of_a_page(books):
    items, links = outputs(books, "http://books.example/book/1", BOOK)
    assert items == [
        {
            "title": "The Title",
            "price": 12.5,
            "pages": None,
            "tags": ["a", "b"],
            "url": "http://books.example/book/1",
        }
    ]
    assert links == ["http://books.example/book/2"]


def test_an_item_for_each_element_that_has_something(books):
    items, links = outputs(books, "http://books.example/page/1", PAGE)
    assert items == [
        {"name": "One", "href": "/book/1", "status": 200},
        {"name": "Two", "href": "/book/2", "status": 200},
    ]
    assert links == ["http://books.example/page/2"]


def test_pages_that_no_rule_matches_and_no_text_give_nothing(books):
    assert outputs(books, "http://books.example/other", BOOK)[0] == []
    assert outputs(books, "http://books.example/book/1", BOOK, "image/png") == ([], [])


def test_follow_without_a_selector_takes_every_link():
    spider = compile_declaration({"name": "all", "follow": [{"deny": ["secret"]}]})
    assert outputs(spider, "http://h/", BOOK)[1] == ["http://h/book/2", "http://h/x"]


def test_it_stays_on_the_hosts_it_starts_at_unless_told(books):
    assert books().allowed_domains == ["books.example"]
    assert books(start_urls=["http://a/", "http://b:1/"]).allowed_domains == ["a", "b"]
    declared = {"name": "x", "start_urls": ["http://a/"], "allowed_domains": ["c"]}
    assert list(compile_declaration(declared)().allowed_domains) == ["c"]
    everywhere = compile_declaration({**declared, "allowed_domains": []})()
    assert list(everywhere.allowed_domains) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"nam": 1}, "s.nam: unknown key; allowed: name, start_urls,"),
        ({"name": ""}, "s.name: '' is not allowed; allowed: any value that is not empty"),
        ({"name": 7}, "s.name: 7 is not allowed; allowed: a text"),
        ({"start_urls": "http://h/"}, "s.start_urls: 'http://h/' is not allowed; allowed: a list"),
        (
            {"start_urls": ["ftp://h/"]},
            "s.start_urls[0]: 'ftp://h/' is not allowed; allowed: an ab",
        ),
        ({"settings": {"delay_s": -1}}, "s.settings.delay_s: -1 is not allowed; allowed: a number"),
        (
            {"settings": {"dely": 1}},
            "s.settings.dely: unknown crawl setting; did you mean delay_s?",
        ),
        ({"settings": 3}, "s.settings: 3 is not allowed; allowed: a mapping"),
        ({"follow": [{"css": "a["}]}, "s.follow[0].css: 'a[' is not allowed; not a valid CSS"),
        ({"follow": ["a["]}, "s.follow[0].css: 'a[' is not allowed; not a valid CSS"),
        ({"follow": [{"xpath": "//a["}]}, "s.follow[0].xpath: '//a[' is not allowed; not valid XP"),
        ({"follow": [{"css": "a", "xpath": "//a"}]}, "allowed: one of css and xpath"),
        ({"follow": [{"allow": ["("]}]}, "s.follow[0].allow[0]: '(' is not allowed; missing )"),
        ({"follow": [{"alow": []}]}, "s.follow[0].alow: unknown key; allowed: css, xpath, allow"),
        ({"items": [{}]}, "s.items[0].fields: missing; allowed:"),
        ({"items": [{"fields": {}}]}, "s.items[0].fields: {} is not allowed; allowed: a mapping"),
        ({"items": [{"fields": {"a": "b::"}}]}, "s.items[0].fields.a.css: 'b::' is not allowed;"),
        ({"items": [{"fields": {"a": {}}}]}, "allowed: exactly one of css, xpath, from"),
        (
            {"items": [{"fields": {"a": {"css": "b", "type": "flot"}}}]},
            "s.items[0].fields.a.type: 'flot' is not allowed; allowed: one of str, int, float",
        ),
        (
            {"items": [{"fields": {"a": {"from": "url", "many": True}}}]},
            "allowed: from, without any other key",
        ),
        ({"items": [{"fields": {"a": "b"}, "match": "["}]}, "s.items[0].match: '[' is not allowed"),
    ],
)
def test_a_fault_names_path_value_and_what_is_allowed(change, fault):
    with pytest.raises(ConfigError) as raised:
        compile_declaration({"name": "n", **change}, "s")
    [line] = str(raised.value).splitlines()
    assert fault in line
    assert "allowed: " in line or "did you mean" in line


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_it_must_be_a_mapping(data):
    with pytest.raises(ConfigError, match="allowed: a mapping with name, start_urls"):
        compile_declaration(data)


def test_all_faults_are_told_at_once():
    bad = {"follow": [{"css": "a["}], "items": [{"fields": {"a": {"type": "x", "css": "["}}}]}
    with pytest.raises(ConfigError) as raised:
        compile_declaration(bad, "s")
    paths = {line.partition(": ")[0] for line in str(raised.value).splitlines()}
    assert paths == {
        "s.name",
        "s.follow[0].css",
        "s.items[0].fields.a.type",
        "s.items[0].fields.a.css",
    }


SITEMAPS = """
name: mapped
sitemaps: {urls: ["http://shop.example/robots.txt"], allow: [/book/], deny: [secret]}
items: [{fields: {title: h1}}]
"""
MAP = b"""<urlset><url><loc>http://shop.example/book/1</loc></url>
<url><loc>http://shop.example/book/secret</loc></url><url><loc>http://shop.example/x</loc></url>
</urlset>"""


def test_it_may_begin_at_sitemaps():
    spider = compile_declaration(yaml.safe_load(SITEMAPS))()
    spider.settings = CrawlSettings()
    assert spider.begins_itself()
    assert list(spider.allowed_domains) == ["shop.example"]
    [first] = spider.start()
    assert first.url == "http://shop.example/robots.txt"
    robots = Response(first.url, body=b"Sitemap: /map.xml", request=first)
    [second] = checked_outputs(spider, robots)
    pages = checked_outputs(spider, Response(second.url, body=MAP, request=second))
    assert [request.url for request in pages] == ["http://shop.example/book/1"]
    page = Response("http://shop.example/book/1", body=b"<h1>One</h1>", request=pages[0])
    assert checked_outputs(spider, page) == [{"title": "One"}]


def test_a_list_of_sitemaps_is_enough():
    data = {"name": "short", "sitemaps": ["http://h/a.xml", "http://h/b.xml"]}
    assert list(compile_declaration(data).sitemap_urls) == ["http://h/a.xml", "http://h/b.xml"]
    assert not compile_declaration({"name": "none"}).begins_itself()
    with pytest.raises(ConfigError, match=r"spider.sitemaps.urls\[0\]: 'a.xml' is not allowed"):
        compile_declaration({"name": "wrong", "sitemaps": ["a.xml"]})


def checked_outputs(spider, response):
    return list(callbacks.outputs(spider, response))

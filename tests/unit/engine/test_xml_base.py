"""Links in XML are joined with the `xml:base` around them, whoever reads them."""

import time

import pytest

from crawler import LinkExtractor, Response
from crawler.engine.spiders.declarative import compile_declaration

HREFS = "//@href"


def page(body, kind="application/xml"):
    return Response("http://shop/news/all", headers={"content-type": kind}, body=body)


def followed(response):
    """The URLs of all `href`, found in every way that a spider may take."""
    ways = [
        [request.url for request in response.follow_all(xpath=HREFS)],
        [request.url for request in response.follow_all(xpath="//*[@href]")],
        [request.url for request in response.follow_all(css="[href]")],
        [request.url for request in response.follow_all(css="::attr(href)")],
        [request.url for request in response.follow_all(response.xpath(HREFS))],
        [response.follow(link).url for link in response.css("[href]")],
        [response.follow(link).url for link in response.xpath(HREFS)],
        [link.url for link in LinkExtractor(tags="*").extract_links(response)],
    ]
    assert all(way == ways[0] for way in ways), ways
    return ways[0]


def test_a_base_counts_for_its_element_and_all_in_it():
    feed = page(
        "<news xml:base='//cdn/'><to href='1'/><day xml:base='mon/'><to href='2'/>"
        "<to xml:base='late/' href='3'/></day><to href='4'/></news>"
    )
    urls = ["http://cdn/1", "http://cdn/mon/2", "http://cdn/mon/late/3", "http://cdn/4"]
    assert followed(feed) == urls


@pytest.mark.parametrize("base", ["", ".", "http://[", "mailto:me@shop", "/" + "a" * 5000])
def test_a_base_that_is_none_leaves_that_around_it(base):
    body = f"<news xml:base='/old/'><day xml:base='{base}'><to href='x'/></day></news>"
    assert followed(page(body)) == ["http://shop/old/x"]


def test_other_attributes_and_texts_are_no_bases():
    body = (
        "<news base='/no/' title=' xml:base=' xmlns:x='urn:x' x:base='/no/'><to href='x'/></news>"
    )
    assert followed(page(body)) == ["http://shop/news/x"]


def test_a_text_that_names_no_place_has_the_base_of_the_root():
    feed = page("<news xml:base='/root/'><day xml:base='day/'><to>x</to>tail</day></news>")
    assert feed.urljoin("x") == feed.follow("x").url == "http://shop/root/x"
    assert feed.urljoin("/x") == "http://shop/x"
    assert feed.urljoin(None) == "http://shop/root/"
    texts = feed.xpath("//text()")
    assert [feed.follow(text).url for text in texts] == [
        "http://shop/root/day/x",
        "http://shop/root/day/tail",
    ]
    assert [type(text) for text in texts.getall()] == [str, str]


def test_a_base_stays_when_a_callback_removes_namespaces():
    feed = page("<f:news xmlns:f='urn:f' xml:base='/b/'><f:to href='x'/></f:news>")
    feed.selector.remove_namespaces()
    assert followed(feed) == ["http://shop/b/x"]
    assert feed.follow(feed.css("to")[0]).url == "http://shop/b/x"


def test_links_inside_an_element_have_a_base_each():
    feed = page(
        "<news><p xml:base='/1/'><a href='x'/></p><p xml:base='/2/'><a href='x'/></p></news>"
    )
    found = [request.url for request in feed.follow_all(css="news")]
    assert found == ["http://shop/1/x", "http://shop/2/x"]


def test_a_broken_link_costs_no_other():
    links = "<to href='http://['/><to href='mailto:me'/><to href='x'/>"
    feed = page(f"<news xml:base='/b/'>{links}</news>")
    found = [list(feed.follow_all(xpath=HREFS)), list(feed.follow_all(feed.xpath(HREFS)))]
    assert [[request.url for request in each] for each in found] == [["http://shop/b/x"]] * 2


@pytest.mark.parametrize("kind", ["text/html", "application/xhtml+xml"])
def test_html_has_no_such_attribute(kind):
    body = "<html xml:base='/no/'><head><title/></head><body><a href='x'>x</a></body></html>"
    assert followed(page(body, kind)) == ["http://shop/news/x"]
    assert page(body, kind).urljoin("x") == "http://shop/news/x"


def test_rules_of_a_declaration_follow_with_bases_and_know_capitals_of_xml():
    spider = compile_declaration(
        {
            "name": "news",
            "follow": ["newsLink", {"xpath": "//old/@href"}],
            "items": [
                {"each": "newsItem", "fields": {"day": "pubDate", "at": "::attr(dayNumber)"}}
            ],
        }
    )
    body = (
        "<news xml:base='/n/'><newsLink href='1'/><old xml:base='o/' href='2'/>"
        "<newsItem dayNumber='7'><pubDate>Mon</pubDate></newsItem></news>"
    )
    item, *requests = spider().parse(page(body))
    assert item == {"day": "Mon", "at": "7"}
    assert [request.url for request in requests] == ["http://shop/n/1", "http://shop/n/o/2"]


def test_thousands_of_nested_bases_fill_no_memory_and_take_no_long_time():
    """A second of processor; what grows with the square of the depth takes seven."""
    levels, begun = 15_000, time.process_time()
    body = "<p xml:base='some-longer-name/'>" * levels + "<to href='x'/>" + "</p>" * levels
    [request] = page(body).follow_all(xpath=HREFS)
    assert time.process_time() - begun < 3
    assert request.url.endswith("some-longer-name/x")
    assert len(request.url) < 5000

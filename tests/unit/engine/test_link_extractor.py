"""Link extractors where they are not compared with Scrapy's (test_extraction.py does that)."""

import pytest

from crawler import Link, LinkExtractor, Response

PAGE = b"""<a href=/1>one</a> <a href=/2#x rel=nofollow>two</a> <a href=http://h:81/3>three</a>
<a href=ftp://h/4>four</a> <a href=/5.zip>five</a> <area href=/6> <a href=http://[bad>x</a>"""


def found(body=PAGE, **options):
    return LinkExtractor(**options).extract_links(Response("http://h/", body=body))


def urls(**options):
    return [link.url for link in found(**options)]


def test_links_have_a_text_and_say_nofollow():
    assert found()[:2] == [
        Link("http://h/1", "one"),
        Link("http://h/2#x", "two", nofollow=True),
    ]


@pytest.mark.parametrize("rel", ["NoFollow", "NOFOLLOW", "ugc, noFollow"])
def test_nofollow_is_said_in_any_case(rel):
    assert found(f'<a href=/1 rel="{rel}">x</a>'.encode())[0].nofollow


def test_a_port_does_not_matter_unless_it_is_said():
    assert "http://h:81/3" in urls(allow_domains="h")
    assert urls(allow_domains="h:81") == ["http://h:81/3"]
    assert urls(deny_domains="h") == []


def test_what_is_no_regular_expression_or_selector_is_told_at_once():
    for options in ({"allow": "("}, {"restrict_css": "a["}, {"restrict_xpaths": "//["}):
        with pytest.raises(Exception, match=r"unterminated|Expected|no XPath expression"):
            LinkExtractor(**options)


def test_matches():
    extractor = LinkExtractor(allow="/a", deny="/ab", allow_domains="h")
    assert extractor.matches("http://h/a")
    assert not extractor.matches("http://h/ab")
    assert not extractor.matches("http://other/a")


@pytest.mark.parametrize("body", [b"", b"{}", b"\x00\xff", b"<a href>"])
def test_a_page_without_links(body):
    assert found(body) in ([], [Link("http://h/")])


def test_the_text_in_utf_16_and_its_base_are_read():
    body = "\ufeff<html><head><base href='/b/'></head><a href='x?q=ж'>ж</a>".encode("utf-16-le")
    assert found(body) == [Link("http://h/b/x?q=%D0%B6", "ж")]


def test_each_image_of_a_list_is_a_link():
    body = b"<img src=/1 srcset=' /2?a,b 1x, /3 2x ,/4'><source srcset=/5,6><img srcset=','>"
    found = urls_of(body, tags=("img", "source"), attrs=("src", "srcset"))
    assert found == [f"http://h/{path}" for path in ("1", "2?a,b", "3", "4", "5,6")]


def test_links_are_found_in_xhtml_that_is_sent_as_xml():
    page = Response(
        "http://h/",
        headers={"Content-Type": "application/xml"},
        body=b"<html xmlns='http://www.w3.org/1999/xhtml'><a href='/1'>x</a><b href='/2'/></html>",
    )
    assert [link.url for link in LinkExtractor().extract_links(page)] == ["http://h/1"]
    everything = LinkExtractor(tags="*", deny_tags="a").extract_links(page)
    assert [link.url for link in everything] == ["http://h/2"]


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("\n/a\tb\r\nc ", "http://h/abc"),
        ("//other\\x", "http://other/x"),
        ("\\a\\b", "http://h/a/b"),
        (";p", "http://h/;p"),
        ("?q", "http://h/?q"),
        ("#f", "http://h/#f"),
        ("http:a", "http://h/a"),
        ("&#x2F;a&amp;b&copy=1", "http://h/a&b&copy=1"),
    ],
)
def test_odd_links_lead_where_browsers_go(href, url):
    assert urls_of(f'<a href="{href}">x</a>'.encode()) == [url]


def urls_of(body, **options):
    return [link.url for link in found(body, **options)]

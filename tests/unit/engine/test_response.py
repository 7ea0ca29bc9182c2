"""What a callback can ask of a response."""

import pytest

from crawler import Request, Response
from crawler.engine.http.response import Headers

PAGE = b"""<html><head><title>T</title></head><body>
<a href="/a">A</a> <a href="b?x=1">B</a> <a href="mailto:me@x">M</a> <a name="none">N</a>
<a href="http://[broken">X</a>
<div class="box"><a href=" //other.org/c ">C</a></div></body></html>"""


def response(body=PAGE, url="http://h/dir/page", **headers):
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Response(url, 200, Headers(lines), body, Request(url, meta={"key": 1}))


def test_headers_are_found_in_any_case_and_the_last_block_counts():
    lines = b"HTTP/1.1 100 Continue\r\nOld: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:  2 \r\n\r\n"
    headers = Headers.parse(lines.splitlines(keepends=True))
    assert headers["X-a"] == "2"
    assert headers.getall("X-A") == ["1", "2"]
    assert dict(headers) == {"x-a": "2"}
    assert "old" not in headers
    assert headers.get("none") is None


def test_selectors_find_what_parsel_finds():
    it = response()
    assert it.css("title::text").get() == "T"
    assert it.xpath("//a[@href='/a']/text()").getall() == ["A"]
    assert it.xpath("//a[@href=$h]/text()", h="/a").get() == "A"


def test_xml_is_parsed_as_xml():
    feed = response(b"<rss><Item><link>x</link></Item></rss>", content_type="application/rss+xml")
    assert feed.xpath("//Item/link/text()").get() == "x"


def test_links_are_joined_with_the_url_or_with_base():
    assert response().urljoin("x") == "http://h/dir/x"
    based = response(b'<html><head><base href="/other/"></head></html>')
    assert based.urljoin("x") == "http://h/other/x"


@pytest.mark.parametrize("base", ["//[", "http://[x", "mailto:me@x", "javascript:x"])
def test_a_base_that_is_none_does_not_count(base):
    page = response(f'<base href="{base}"><a href="x">x</a>'.encode())
    assert page.urljoin("x") == "http://h/dir/x"


def test_base_counts_in_html_only():
    xml = response(b'<feed><base href="/other/"/></feed>', content_type="text/xml")
    assert xml.urljoin("x") == "http://h/dir/x"


def test_follow_takes_urls_and_selectors():
    it = response()
    request = it.follow("x", "parse_x", priority=3, cb_kwargs={"a": 1})
    assert (request.url, request.callback, request.priority) == ("http://h/dir/x", "parse_x", 3)
    assert it.follow(it.css("a")[1]).url == "http://h/dir/b?x=1"
    assert it.follow(it.css("a::attr(href)")[0]).url == "http://h/a"
    with pytest.raises(ValueError, match="no href"):
        it.follow(it.css("div")[0])


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({"css": "a"}, ["http://h/a", "http://h/dir/b?x=1", "http://other.org/c"]),
        ({"css": "div.box"}, ["http://other.org/c"]),
        ({"css": "a::attr(href)"}, ["http://h/a", "http://h/dir/b?x=1", "http://other.org/c"]),
        ({"xpath": "//div//a/@href"}, ["http://other.org/c"]),
        ({"urls": ["1", "2"]}, ["http://h/dir/1", "http://h/dir/2"]),
    ],
)
def test_follow_all_leaves_out_what_is_no_web_page(how, found):
    requests = list(response().follow_all(callback="cb", **how))
    assert [request.url for request in requests] == found
    assert {request.callback for request in requests} == {"cb"}


def test_follow_all_wants_one_source():
    with pytest.raises(ValueError, match="one of"):
        response().follow_all(css="a", xpath="//a")


def test_json_and_meta():
    it = response(b'{"a": [1]}', content_type="application/json")
    assert it.json() == {"a": [1]}
    assert it.meta == {"key": 1}
    with pytest.raises(ValueError, match="Expecting"):
        response(b"no").json()


@pytest.mark.parametrize(
    ("kind", "text"),
    [("text/html; charset=x", True), ("application/xhtml+xml", True), ("image/png", False)],
)
def test_what_is_text(kind, text):
    assert response(content_type=kind).is_text is text
    assert response().is_text

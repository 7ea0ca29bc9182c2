"""What a callback can ask of a response."""

from urllib.parse import urljoin

import parsel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from lxml.html import defs

from crawler import FormRequest, LinkExtractor, Request, Response, Selector
from crawler.engine.http import encoding
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


def test_elements_are_of_the_classes_that_lxml_has_for_them():
    names = [*sorted(defs.tags), "x-own", "svg:a", "INPUT"]
    body = "".join(f"<{name} a=1>x</{name}><!-- c --><?pi x>" for name in names)
    theirs = [type(node) for node in parsel.Selector(text=body).root.iter()]
    assert [type(node) for node in response(body.encode()).selector.root.iter()] == theirs
    assert {html.FormElement, html.InputElement, html.HtmlComment} < set(theirs)


@pytest.mark.parametrize("query", ["//a[1]", "//a/@href", "//div//text()", "1 = 1", "count(//a)"])
def test_what_was_found_is_told_as_parsel_tells_it(query):
    ours, theirs = response().xpath(query), parsel.Selector(text=PAGE.decode()).xpath(query)
    assert ours.get() == theirs.get()
    assert ours.getall() == theirs.getall() == [each.extract() for each in ours]


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


def typed(body, content_type=None):
    headers = Headers([("Content-Type", content_type)]) if content_type else Headers([])
    return Response(
        "http://h/dir/page", 200, headers, body if isinstance(body, bytes) else body.encode()
    )


GENERAL = [None, "application/octet-stream", "binary/octet-stream", "text/plain", "*/*"]


@pytest.mark.parametrize("content_type", [*GENERAL, "text/html", "application/rss"])
@pytest.mark.parametrize(
    "feed",
    [
        "<rss><channel><item><link>http://h/1</link></item></channel></rss>",
        "<!-- made by hand -->\n<feed><item><link>http://h/1</link></item></feed>",
        "\ufeff<?xml version='1.0'?>\n<?xml-stylesheet href='x'?>\n<rss><item><link>http://h/1"
        "</link></item></rss>",
    ],
)
def test_a_feed_is_xml_under_every_type(feed, content_type):
    page = typed(feed, content_type)
    assert page.css("item link::text").get() == "http://h/1"
    assert page.selector.type == "xml"
    assert page.is_text


@pytest.mark.parametrize("content_type", GENERAL)
def test_what_begins_as_xml_is_xml_unless_its_type_says_something(content_type):
    document = "<?xml version='1.0'?><list><Link>a</Link></list>"
    assert typed(document, content_type).css("Link::text").get() == "a"
    assert typed(document.encode("utf-16"), content_type).css("Link::text").get() == "a"
    assert typed(document, "text/html").selector.type == "html"


XHTML = (
    '<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title/>'
    '<base href="/base/"/></head><body><script src="x"/><a href="x">&nbsp;a &amp; b</a></body>'
    "</html>"
)


@pytest.mark.parametrize("content_type", GENERAL)
def test_xhtml_without_a_type_is_xml_and_is_asked_like_a_page(content_type):
    page = typed(XHTML, content_type)
    assert page.selector.type == "xml"
    assert page.css("a::text").get() == "\xa0a & b"
    assert [request.url for request in page.follow_all(xpath="//a")] == ["http://h/base/x"]


def test_xhtml_of_its_own_type_is_parsed_as_xml_and_selected_as_html():
    page = typed(XHTML, "application/xhtml+xml; charset=utf-8")
    assert page.selector.type == "html"
    assert page.css("A::text").get() == "\xa0a & b"
    assert page.urljoin("x") == "http://h/base/x"


def test_xhtml_that_is_not_well_formed_and_xhtml_sent_as_html_are_html():
    broken = XHTML.replace("</a>", "<br>").replace("<title/>", "").replace('<script src="x"/>', "")
    kinds = (None, "text/html; charset=utf-8", "application/xhtml+xml")
    for page in (typed(broken, kind) for kind in kinds):
        assert page.selector.type == "html"
        assert page.css("a::attr(href)").get() == "x"


def test_one_error_in_xml_costs_nothing_behind_it():
    feed = "<r><a>x&nbsp;y & z < 1</a><b>c &amp; d</b><c><![CDATA[e & &nbsp;]]></c>\x08<d/></r>"
    page = typed(feed, "text/xml")
    assert page.xpath("string(//a)").get() == "x\xa0y & z < 1"
    assert page.xpath("string(//b)").get() == "c & d"
    assert page.xpath("string(//c)").get() == "e & &nbsp;"
    assert page.xpath("count(//d)").get() == "1.0"
    declared = typed("<!DOCTYPE rss SYSTEM 'rss.dtd'><rss><a>x&eacute;y</a></rss>", "text/xml")
    assert declared.xpath("string(//a)").get() == "xéy"


@pytest.mark.parametrize(
    "page",
    [
        "<html><body><p>a</p></body></html>{}<!-- end -->",
        "<html></html>{}",
        "<b><i></b></p></i></html>{}</head>",
        "<p>a</p></body></html></html>{}</body></html><p>b</p>",
        "<html><head><title>t</title></head></html>{}",
        "<p>a</p></body></html>text {} text",
        "<html><body><p>a</p></body></html><html><head></head><body>{}</body></html>",
    ],
)
def test_what_stands_behind_the_end_of_a_page_is_part_of_it(page):
    page = typed(page.format("<a href=/x>in</a> <form action=/f><input name=q></form>"))
    assert page.css("a::text").getall() == ["in"]
    assert [link.url for link in LinkExtractor().extract_links(page)] == ["http://h/x"]
    assert FormRequest.from_response(page).url == "http://h/f?q="


@pytest.mark.parametrize("levels", [300, 2100, 5000])
def test_deep_nesting_hides_nothing(levels):
    inside = "<a href=/x>in</a><form action=/f><input name=q value=1></form>"
    page = typed("<body>" + "<div>" * levels + inside + "</div>" * levels + "<p>behind</p>")
    assert page.css("a::text").get() == "in"
    assert page.xpath("//div//a/@href").getall() == ["/x"]
    assert page.css("p::text").get() == "behind"
    assert [link.url for link in LinkExtractor().extract_links(page)] == ["http://h/x"]
    assert FormRequest.from_response(page).url == "http://h/f?q=1"


@pytest.mark.parametrize("levels", [300, 2100, 5000])
def test_deep_nesting_of_xml_hides_nothing(levels):
    page = typed(
        "<r>" + "<s>" * levels + "<link>in</link>" + "</s>" * levels + "<p>b</p></r>", "text/xml"
    )
    assert (page.css("link::text").get(), page.css("p::text").get()) == ("in", "b")
    assert typed("<s>" * levels + "<link>in", "text/xml").css("link::text").get() == "in"


def test_a_link_of_an_image_needs_no_text_of_it(monkeypatch):
    image = typed(b"\x89PNG <base href=/no/>" + bytes(range(256)) * 100, "image/png")
    monkeypatch.setattr(encoding, "decode", lambda *_: pytest.fail("the image is decoded"))
    assert image.urljoin("x") == "http://h/dir/x"


def test_a_page_of_a_general_type_has_its_base():
    assert typed("\n<base href=/b/>", "application/octet-stream").urljoin("x") == "http://h/b/x"


def test_a_base_counts_in_all_of_the_head():
    head = "<script>" + "x;" * 5000 + "</script><link rel=x href=y>"
    assert (
        typed(f"<head>{head}<BASE target=_top><base HREF=' /b/ '>").urljoin("x") == "http://h/b/x"
    )
    hidden = (
        "<!-- <base href=/no/> --><script>'<base href=/no/>'</script><a title='<base href=/no/>'>"
    )
    assert typed(f"<head>{hidden}<base href='/a&amp;b/'>").urljoin("x") == "http://h/a&b/x"
    assert typed("<base href=/first/><base href=/second/>").urljoin("x") == "http://h/first/x"


@pytest.mark.parametrize(
    "content_type", [None, "text/html; charset=iso-8859-1", "application/json"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_read_as_unicode_whatever_else_is_said(content_type, encoding):
    page = typed('{"a": "é"}'.encode(encoding), content_type)
    assert page.json() == {"a": "é"}
    assert page.jmespath("a").get() == "é"


def test_json_of_another_encoding_is_read_as_its_header_says():
    assert typed('["é"]'.encode("latin-1"), "text/json; charset=latin1").json() == ["é"]
    assert Response("http://h/", body='["ж"]', encoding="cp1251").json() == ["ж"]


LINES = [b"HTTP/1.1 200 OK", b"Set-Cookie: a=1", b"set-cookie: b=2", "X-City: Köln".encode()]


def test_headers_answer_like_bytes_too():
    headers = Headers.parse(LINES)
    assert headers.get(b"Set-Cookie") == b"b=2"
    assert headers["Set-Cookie"].decode() == "b=2" == headers[b"set-cookie"]
    assert b"b=" in headers["set-cookie"]
    assert headers["set-cookie"].startswith((b"x", b"b"))
    assert headers["set-cookie"].endswith(b"2")
    assert headers["set-cookie"].split(b"=") == ["b", "2"]
    assert headers["set-cookie"] != b"a=1"
    assert [value.decode() for value in headers.getlist("Set-Cookie")] == ["a=1", "b=2"]
    assert headers.getlist("none", "x") == ["x"]
    assert headers.getlist("none") == []
    assert headers["x-city"].decode() == "Köln"
    assert [name.decode() for name in headers] == ["set-cookie", "x-city"]
    assert headers.to_unicode_dict()["set-cookie"] == "a=1,b=2"
    assert {"b=2": 1}[headers["set-cookie"]] == 1


def test_headers_may_be_given_as_bytes_and_lists():
    it = Response("http://h/", headers={b"Content-Type": b"text/css", "X": [b"1", "2"]})
    assert (it.headers["content-type"], it.headers.getlist(b"x")) == ("text/css", ["1", "2"])
    asked = Request("http://h/", headers={b"X-A": [b"1", "2"]}).headers
    assert (asked[b"x-a"].decode(), asked.getlist("X-A"), asked.getlist("b")) == (
        "1, 2",
        ["1, 2"],
        [],
    )
    asked.appendlist(b"B", b"3")
    asked.setlist("C", ["4", "5"])
    asked["D"] = None
    assert asked.to_unicode_dict() == {"X-A": "1, 2", "B": "3", "C": "4, 5"}


@pytest.mark.parametrize(
    ("href", "url"),
    [
        (None, "http://h/dir/page"),
        ("", "http://h/dir/page"),
        ("/a é?q=ü", "http://h/a é?q=ü"),
        ("HTTPS://Other.org", "HTTPS://Other.org"),
        ("../%7ex", "http://h/%7ex"),
    ],
)
def test_urljoin_leaves_characters_as_they_are(href, url):
    assert response().urljoin(href) == url


@given(st.text("/.a?=#&%; é:", max_size=8), st.sampled_from(["http://h/d/p", "http://h:8/", "x"]))
def test_urljoin_is_that_of_python(href, url):
    assert Response(url).urljoin(href) == urljoin(url, href)


def test_follow_makes_a_url_as_it_is_sent():
    latin = response(b'<meta charset="latin-1"><a href="?q=\xe9">x</a>')
    [request] = latin.follow_all(css="a")
    assert request.url == latin.follow("?q=é").url == "http://h/dir/page?q=%E9"


@pytest.mark.parametrize(
    ("link", "told"),
    [
        (None, "no link: None; allowed: a URL, a selector of a link, or a Link"),
        (5, "no link: 5; allowed"),
        (response().css("a"), "a list of selectors; allowed: one of them, or follow_all"),
        (response().css("title"), "no link: a list"),
        (response().css("title")[0], "no link: <title> has no href"),
        (response().xpath("count(//a)")[0], "no link: a selector of 6.0"),
    ],
)
def test_what_is_no_link_is_told(link, told):
    with pytest.raises(ValueError, match=told.replace("(", r"\(")):
        response().follow(link)


@pytest.mark.parametrize("query", ["count(//a)", "boolean(//a)"])
def test_what_a_selector_finds_and_is_no_link_is_told(query):
    with pytest.raises(ValueError, match=r"finds .*, no link; allowed: elements and texts"):
        list(response().follow_all(xpath=query))


def test_a_selector_of_a_response_or_of_a_text():
    it = response()
    for made in (Selector(it), Selector(response=it)):
        assert (made.css("title::text").get(), made.response) == ("T", it)
    for made in (Selector("<p>x</p>"), Selector(text="<p>x</p>")):
        assert (made.css("p::text").get(), made.response) == ("x", None)
    feed = response(b"<rss><Item>x</Item></rss>", content_type="text/xml")
    assert Selector(feed).xpath("//Item/text()").get() == "x"
    assert all(isinstance(each, Selector) for page in (it, feed) for each in page.xpath("//*"))
    with pytest.raises(ValueError, match="a response or a text, not both"):
        Selector(it, text="x")


def test_copies_keep_the_encoding():
    given = Response("http://h/", body="é", encoding="latin-1")
    assert (given.copy().text, given.copy().encoding) == ("é", "latin-1")
    changed = given.replace(body="è")
    assert (changed.body, changed.text) == (b"\xe8", "è")
    assert given.replace(encoding="utf-8", body="è").body == "è".encode()
    image = response(b"\x89PNG", content_type="image/png")
    assert image.replace(url="http://h/2").body == image.body


def test_each_selector_of_json_reads_it():
    page = response(b'{"names": ["a", "\xc3\xa9"]}', content_type="application/json")
    for selector in (page, page.selector, Selector(response=page), Selector(page)):
        assert selector.jmespath("names[*]").getall() == ["a", "é"]
    assert Selector(page).type == "json"
    assert page.css("a").getall() == []
    assert list(page.follow_all(css="a")) == []

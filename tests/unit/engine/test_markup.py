"""What pages say to crawlers in their markup, and what a crawl makes of it."""

import gevent
import pytest

from crawler import Spider
from crawler.clock import ManualClock
from crawler.engine.http import markup
from crawler.engine.http.headers import Headers
from crawler.engine.http.response import Response
from tests.unit.engine.fakes import FakeFetcher, ListSink, crawl_of, page, shared
from tests.waiting import PATIENCE_S

HTML = Headers([("Content-Type", "text/html")])


def response(body, headers=HTML):
    return Response("http://h/dir/page", 200, headers, body.encode())


def refreshing(content, around="{}"):
    tag = f'<meta http-equiv="Refresh" content="{content}">'
    return response(f"<html><head>{around.format(tag)}</head><body>x</body></html>")


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("0; url=/new", "http://h/new"),
        ("5;URL='new'", "http://h/dir/new"),
        ("0; url=http://other/", "http://other/"),
        ("0; url=/new#part", "http://h/new"),
        ("101; url=/new", None),
        ("300", None),
        ("0; url=/dir/page", None),
        ("0; url=javascript:go()", None),
        ("0; url=file:///etc/passwd", None),
        ("soon; url=/new", None),
    ],
)
def test_a_refresh_leads_to_another_web_page_soon(content, target):
    assert markup.refresh(refreshing(content)) == target


@pytest.mark.parametrize(
    ("header", "body", "target"),
    [
        ("0;url=/new", "x", "http://h/new"),
        ("5; URL=http://other/\xe9", "x", "http://other/%E9"),
        ("0;url=/new", '<meta http-equiv=refresh content="0;url=/other">', "http://h/new"),
        ("soon", '<meta http-equiv=refresh content="0;url=/other">', "http://h/other"),
        ("300;url=/new", "x", None),
        ("0", "x", None),
    ],
)
def test_a_header_refreshes_too_and_comes_first(header, body, target):
    headers = Headers([("Content-Type", "text/html"), ("Refresh", header)])
    assert markup.refresh(response(body, headers)) == target


@pytest.mark.parametrize("target", ["//[x", "http://[x/", "http://x:99999/", "http://"])
def test_a_refresh_to_what_is_no_url_is_none(target):
    assert markup.refresh(response(f'<meta http-equiv=refresh content="0; url={target}">')) is None


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("0;/new", "http://h/new"),
        ("0, url=/new", "http://h/new"),
        ("0 /new", "http://h/new"),
        ("0;URL = '/new' and more", "http://h/new"),
        ("5.7; url=/new", "http://h/new"),
        (".5; url=/new", "http://h/new"),
        ("0; url=/new?a=1&amp;b=2", "http://h/new?a=1&b=2"),
        (" 0 ; url=//other/x", "http://other/x"),
        ("0;\nurl=/n\new", "http://h/new"),
    ],
)
def test_a_refresh_is_written_in_each_way_that_browsers_know(content, target):
    assert markup.refresh(refreshing(content)) == target


def test_a_refresh_is_joined_with_the_base_and_may_stand_far_down_in_the_head():
    head = "<base href=/base/><script>" + "x;" * 9000 + "</script>"
    page = response(f"<head>{head}<META CONTENT='0;url=new' HTTP-EQUIV=REFRESH></head>")
    assert markup.refresh(page) == "http://h/base/new"


@pytest.mark.parametrize("content", ["0", "7", " 0 ; ", "0,", "2.5", "0;url=/dir/page"])
def test_a_refresh_without_an_address_reloads_the_page_itself(content):
    page = refreshing(content, "{}<base href=/base/>")
    assert markup.refresh(page, lambda: True) == "http://h/dir/page"
    assert markup.refresh(page) is None
    header = Headers([("Content-Type", "text/html"), ("Refresh", content)])
    assert markup.refresh(response("x", header), lambda: True) == "http://h/dir/page"


@pytest.mark.parametrize("content", ["", "soon", "0x", "300", "-1"])
def test_what_is_no_refresh_reloads_nothing(content):
    assert markup.refresh(refreshing(content), lambda: True) is None


@pytest.mark.parametrize(
    "hidden", ["<script>'{}'</script>", "<!-- {} -->", "<textarea>{}</textarea>", "<a title='{}'>"]
)
def test_a_refresh_that_is_only_text_is_none(hidden):
    tag = '<meta http-equiv="refresh" content="0;url=/new">'
    assert markup.refresh(response(f"<head>{hidden.format(tag)}")) is None


def test_a_refresh_for_those_without_scripts_is_none():
    assert markup.refresh(refreshing("0; url=/new", "<noscript>{}</noscript>")) is None


def test_what_is_no_html_refreshes_nothing():
    text = Headers([("Content-Type", "text/plain")])
    assert markup.refresh(response('<meta http-equiv=refresh content="0;url=/a">', text)) is None


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ('<link rel="canonical" href="/main">', "http://h/main"),
        ('<link rel=Canonical href="http://www/">', "http://www/"),
        ('<link rel="alternate CANONICAL" href="/main">', "http://h/main"),
        ('<base href="/base/"><link rel=canonical href="main">', "http://h/base/main"),
        ('<link rel="canonical" href="/dir/page">', None),
        ('<link rel="canonical" href="mailto:a@b">', None),
        ('<link rel="next" href="/main">', None),
    ],
)
def test_a_page_names_the_url_it_is_known_by(link, url):
    assert markup.canonical(response(f"<head>{link}</head>")) == url


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('</main>; rel="canonical"', "http://h/main"),
        ('</s.css>; rel=preload; as=style, <main>; type="a/b"; REL=Canonical', "http://h/dir/main"),
        ('</main>; rel="next"', "http://h/base/other"),
        ("</\xd1\x85\xc3\xa0>; rel=canonical", "http://h/%D1%85%C3%A0"),
        ("<http://[x>; rel=canonical", "http://h/base/other"),
    ],
)
def test_a_header_names_the_url_that_a_page_is_known_by(header, url):
    body = "<base href=/base/><link rel=canonical href=other>"
    headers = Headers([("Content-Type", "text/html"), ("Link", header)])
    assert markup.canonical(response(body, headers)) == url


def test_a_marked_link_is_left_unless_another_leads_there_too():
    is_barred = markup.restrained(
        response(
            '<a rel="external NoFollow" href="/a">a</a><a rel=nofollow href=/b>b</a>'
            '<a href="/b">b</a><a href="/c">c</a><area rel="ugc,NOFOLLOW" href=/d>'
        )
    )
    assert [path for path in "abcd" if is_barred(f"http://h/{path}")] == ["a", "d"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ('<meta name="ROBOTS" content="noindex, NOFOLLOW"><a href=/a>a</a>', HTML),
        ('<meta name="robots" content="none"><a href=/a>a</a>', HTML),
        ('<META NAME=" Robots " CONTENT="NoFollow"><a href=/a>a</a>', HTML),
        ("<a href=/a>a</a>", Headers([("X-Robots-Tag", "nofollow")])),
    ],
)
def test_a_page_can_bar_all_its_links(body, headers):
    assert markup.restrained(response(body, headers))("http://h/a")


@pytest.mark.parametrize(
    ("header", "barred"),
    [
        ("otherbot: nofollow", False),
        ("Crawler: noindex, NoFollow", True),
        ("unavailable_after: 25 Jun 2030 15:00:00 PST, nofollow", True),
        ("noindex, max-snippet: 5, nofollow", True),
        ("noindex", False),
    ],
)
def test_what_a_header_says_to_another_robot_does_not_count(header, barred):
    page = response("<a href=/a>a</a>", Headers([("X-Robots-Tag", header)]))
    assert markup.restrained(page, "crawler")("http://h/a") is barred


def test_a_page_may_speak_to_one_robot_by_its_name():
    page = response('<meta name="Crawler" content="nofollow"><a href=/a>a</a>')
    assert markup.restrained(page, "crawler")("http://h/a")
    assert not markup.restrained(page, "other")("http://h/a")


def test_a_page_that_is_not_to_be_indexed_bars_no_link():
    page = response('<meta name="robots" content="noindex"><a href=/a>a</a>')
    assert not markup.restrained(page)("http://h/a")


class Links(Spider):
    name = "links"
    start_urls = ("http://h/",)

    def parse(self, response):
        yield {"url": response.url}
        yield from response.follow_all(css="a")


def crawled(pages, **settings):
    """Paths of the items, and what was filtered and failed, of a crawl of these bodies."""
    clock = ManualClock()
    fetcher = FakeFetcher(
        clock, lambda call: page(body=pages[call.url.removeprefix("http://h")].encode())
    )
    crawl = crawl_of(Links, shared(fetcher, clock), items := ListSink(), **settings)
    with gevent.Timeout(PATIENCE_S):
        crawl.run()
    return [
        item["url"].removeprefix("http://h") for item in items
    ], crawl.filtered | crawl.failures_by_reason


MOVED = '<meta http-equiv="refresh" content="0; url={}">'


def test_a_crawl_goes_where_a_page_refreshes_to():
    pages = {"/": MOVED.format("/b"), "/b": "here"}
    assert crawled(pages)[0] == ["/b"]
    assert crawled(pages, meta_refresh=False)[0] == ["/"]


def test_pages_that_refresh_to_each_other_end_as_a_redirect_loop():
    pages = {"/": "<a href=/a>", "/a": MOVED.format("/b"), "/b": MOVED.format("/a")}
    assert crawled(pages) == (["/"], {"redirect loop": 1})


def test_a_crawl_leaves_marked_links_when_asked_to():
    pages = {"/": "<a rel=nofollow href=/a>a</a><a href=/b>b</a>", "/a": "a", "/b": "b"}
    assert crawled(pages) == (["/", "/a", "/b"], {})
    assert crawled(pages, nofollow=True) == (["/", "/b"], {"nofollow": 1})


def test_of_copies_of_a_page_the_first_is_taken_when_asked_to():
    copy = '<link rel=canonical href="/c">copy'
    pages = {"/": "<a href=/a>a</a><a href=/b>b</a>", "/a": copy, "/b": copy}
    assert crawled(pages) == (["/", "/a", "/b"], {})
    assert crawled(pages, canonical=True) == (["/", "/a"], {"canonical": 1})

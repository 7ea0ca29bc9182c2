"""Each reader of what a site sends takes a time that grows no faster than what it reads."""

import time

import pytest

from crawler import FormRequest, LinkExtractor, Response
from crawler.engine.http import markup
from crawler.engine.http.messages import FetchAnswer
from crawler.engine.politeness import robots
from crawler.engine.spiders.sitemap_xml import Sitemap, named_in_robots

SIZE = 40_000
LONGEST_S = 3.0
"""Of processor; a tenth of it is usual. What grows with the square of it takes half a minute."""


def page(body=b"", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response("http://h/", headers={"Content-Type": "text/html", **named}, body=body)


def refresh(content):
    markup.refresh(page(b"<meta http-equiv=refresh content='%s'>" % content))


def link_header(value):
    markup.canonical(page(Link=value.decode()))


def robots_header(value):
    markup.restrained(page(X_Robots_Tag=value.decode()), "bot")("http://h/")


def srcset(value):
    find = LinkExtractor(tags="img", attrs="srcset").extract_links
    find(page(b"<img srcset='%s'>" % value))


def text(body):
    for kind in ("text/html", "text/xml", ""):
        assert Response("http://h/", headers={"Content-Type": kind}, body=body).text is not None


def content_type(value):
    assert Response("http://h/", headers={"Content-Type": value.decode()}, body=b"\xff").text


def head(body):
    markup.refresh(page(body + b"refresh"))


def feed(body):
    whole = b"<?xml version='1.0'?><rss>" + body
    Response("http://h/", headers={"Content-Type": "text/xml"}, body=whole).xpath("//a").getall()


def sitemap(body):
    list(Sitemap(body, 10**7, "http://h/"))


def entry(body):
    sitemap(b"<urlset><url>" + body + b">")


def form(body):
    FormRequest.from_response(page(b"<form>" + body))


def rules(body):
    found = robots.read(FetchAnswer(200, (), body, 0.0))
    found.allows("http://h/" + "ab" * 500, "bot")
    found.delay_s("bot")
    assert all(named_in_robots(body))


def robot(value):
    rules(b"User-agent: Mozilla " + value)


DEEP = b"<b>" * 5_000
HOSTILE = [
    (refresh, b"", b"1 . 0; 1; 1. ;;".split(b" ")),
    (refresh, b"1" * 20_000, [b"x", b".x"]),
    (refresh, b"0", [b" ", b"1", b".", b";", b"; ", b";url", b";url ="]),
    (refresh, b"0;url", [b" ", b"=", b" =", b'"']),
    (link_header, b"", b"< <> <a> <a>; ; , <a>;rel <a>;rel=canonical,".split(b" ")),
    (link_header, b"<a>", [b" ", b";", b"; ", b"; rel", b";rel ", b'; rel="']),
    (robots_header, b"", [b"none", b":", b",", b"a:", b"max-snippet", b"unavailable_after "]),
    (srcset, b"", [b",", b" ", b" ,", b"a", b"a,", b"a ,", b"(", b"a (", b"()", b"a 1x("]),
    (srcset, b"a ", [b" ", b"(", b"()", b")", b",,", b" ,"]),
    (text, b"", [b"charset", b"charset= ", b"<?xml ", b"<!--", b"<!-->", b"<?>", b" ", b"\xc3"]),
    (text, b"<?xml encoding", [b" ", b"=", b"= ", b"encoding", b"='"]),
    (content_type, b"text/html", [b";", b" ", b"; charset", b";charset= ", b";charset='"]),
    (head, b"", [b"<", b"<a ", b"<a b='", b"<!--", b"</", b"<meta ", b"<script>", b"<title", b"&"]),
    (head, b"<meta ", [b"a", b"a ", b"a=", b"a =", b"a='", b"/", b" ", b'"', b"&#"]),
    (feed, b"", [b"&", b"&a", b"&#", b"<", b"<!--", b"<?", b"<![CDATA[", b"]]>", b"<a "]),
    (sitemap, b"", [b"\n", b"x\n", b" \n", b"x", b"<", b"<!", b"<!--", b"<a:", b"<a b='", b"<a:>"]),
    (sitemap, b"x", [b"\n", b" ", b"\n ", b"\r", b"http://"]),
    (entry, b"<link ", [b"a", b"a:", b"a=", b"a='", b"a ", b"-", b"a='\"' "]),
    (entry, b"<guid ", [b"a", b":", b"a=\"'\" ", b"= "]),
    (entry, b"<a>" * 80_000, [b"</b>", b"</a>", b"<b>", b"</b", b"x"]),
    (form, b"<p dir=auto>" + DEEP, [b"<input name=a dirname=d>", b"<button>", b"<select>"]),
    (form, b"<select>" + DEEP, [b"<option>", b"<optgroup><option>"]),
    (form, b"<fieldset disabled>" + DEEP, [b"<legend>", b"<legend><input name=a>", b"<fieldset>"]),
    (form, b"", [b"<select multiple>", b"<option selected>", b"<form id=a>", b"<p dir=auto>"]),
    (rules, b"", [b"User-agent:a\nCrawl-delay:1\n", b"User-agent:a\n", b"Allow:/*\n", b"\r", b" "]),
    (rules, b"User-agent: *\nDisallow: ", [b"*", b"*a", b"$", b"%", b"/", b"%2f?", b"#", b"\n"]),
    (robot, b"", [b"a-", b"a.", b"bot", b"bot.", b"a/a.", b"compatible;", b"a(", b"a; ", b"("]),
]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("read", "start", "unit"),
    [(read, start, unit) for read, start, units in HOSTILE for unit in units],
    ids=lambda part: part.__name__ if callable(part) else repr(part[:20]),
)
def test_a_long_repetition_takes_no_long_time(read, start, unit):
    took_s = time_of(read, start + unit * (SIZE // len(unit)))
    assert took_s < LONGEST_S


def time_of(read, body):
    began_s = time.process_time()
    read(body)
    return time.process_time() - began_s

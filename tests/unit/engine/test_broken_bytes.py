"""Whatever bytes a server sends, a page can be asked for anything and nothing breaks or hangs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler import FormRequest, LinkExtractor, Response
from tests.site.real import pages

PAGES = [page.body for page in pages(20, seed=7)]
TYPES = ["text/html", "text/html; charset=utf-16", "application/xml", "text/xml; charset=nonsense",
         "application/json", "", "text/html; charset=shift_jis"]  # fmt: skip


NOISE = st.binary(max_size=20) | st.sampled_from([b"<", b"<!--", b"<base href='//['>"])


@st.composite
def torn(draw):
    """A page as it is, with some bytes of it cut out and others put in."""
    body = draw(st.sampled_from(PAGES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        noise = draw(NOISE)
        body = body[:start] + noise + body[start + draw(st.integers(0, 200)) :]
    return body


@given(st.binary(max_size=2000) | torn(), st.sampled_from(TYPES))
def test_any_body_can_be_asked_for_anything(body, content_type):
    page = Response("http://h/dir/", headers={"Content-Type": content_type}, body=body)
    assert isinstance(page.text, str)
    assert isinstance(page.css("a::text, p ::text").getall(), list)
    assert isinstance(page.xpath("//*[has-class('x')]//@href").getall(), list)
    assert all(request.url.startswith("http") for request in page.follow_all(css="*"))
    for options in ({}, {"tags": "*", "attrs": "*"}, {"restrict_css": "p, div"}):
        for link in LinkExtractor(**options).extract_links(page):
            assert link.url.isascii()
    try:
        form = FormRequest.from_response(page)
    except ValueError as error:
        assert "no form" in str(error)  # noqa: PT017
    else:
        assert form.method in ("GET", "POST")


@given(st.text(max_size=60))
def test_any_link_is_followed_or_refused(href):
    page = Response("http://h/dir/", body=b"<a>x</a>")
    try:
        url = page.follow(href).url
    except ValueError:
        return
    assert url.isascii()


@pytest.mark.parametrize(
    "body",
    [
        b"<a href=/x>" * 20_000,
        b"<div>" * 50_000,
        b"<!--" * 50_000,
        b"<form>" * 10_000 + b"<input name=a>" * 10_000,
        b"&" * 200_000,
        b"<base href='" + b"a/" * 100_000,
        b"<a href='" + b"../" * 50_000 + b"'>x</a>",
    ],
    ids=["links", "depth", "comments", "forms", "entities", "base", "parents"],
)
@pytest.mark.timeout(20)
def test_large_nonsense_takes_no_long_time(body):
    page = Response("http://h/", headers={"Content-Type": "text/html"}, body=body)
    assert isinstance(LinkExtractor().extract_links(page), list)
    assert isinstance(list(page.follow_all(css="a")), list)

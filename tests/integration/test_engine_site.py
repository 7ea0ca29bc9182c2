"""The test site as a table: what each of its paths does to a crawl, and that nothing is lost.

Robots have a table of their own in test_engine_robots.py, and the kinds of each trouble theirs in
test_engine_misbehaving.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from crawler.model.records import State
from tests.site import Site
from tests.site.crawling import Titles, adds_up, crawled
from tests.site.odd import MARKUP
from tests.site.pages import CHARSETS

ELSEWHERE = {"private_targets": ["127.0.0.1/32"]}
MILLION = {"max_body_bytes": 1_000_000}
ME = {"http_user": "me", "http_password": "pass"}
UNSEEN = ("empty",)
"""Markup without the link."""
ROBOTS = "User-agent: *\nDisallow: /private/\n"


@dataclass(frozen=True)
class Ends:
    """How the URLs of a crawl end, each in one way."""

    pages: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    filtered: dict[str, int] = field(default_factory=dict)
    pending: int = 0
    retries: int = 0
    redirects: int = 0


def pages(count=1, **more):
    return Ends(pages=count, **more)


def fails(reason, **more):
    return Ends(failures={reason: 1}, **more)


TABLE = {
    "a page": ("/page/1", {}, pages()),
    "drop": ("/drop", {}, fails("connection closed")),
    "drop, tried again": ("/drop", {"retries": 2}, fails("connection closed", retries=2)),
    "partial": ("/truncated", {}, fails("truncated")),
    "slow to answer": ("/slow?s=30", {"first_byte_timeout_s": 0.2}, fails("first byte timeout")),
    "slow headers": ("/slow-headers", {"stall_timeout_s": 0.2}, fails("stalled")),
    "slow body": ("/slow-body", {"stall_timeout_s": 0.2}, fails("stalled")),
    "slow without end": ("/drip", {"timeout_s": 0.5, "connect_timeout_s": 0.5}, fails("timeout")),
    "endless body": ("/endless", MILLION, fails("too large")),
    "large body": ("/big?bytes=1100000", MILLION, fails("too large")),
    "large body of unknown length": ("/big?bytes=1100000&chunked=1", MILLION, fails("too large")),
    "wrong length": ("/no-length", {}, fails("bad response")),
    "no HTTP": ("/no-http", {}, fails("bad response")),
    "gzip bomb": ("/gzip-bomb?bytes=9000000", MILLION, fails("too large")),
    "not the coding it says": ("/not-packed", {}, fails("bad encoding")),
    "redirects": ("/redirect?n=3", {}, pages(redirects=3)),
    "too many redirects": (
        "/redirect?n=9",
        {"max_redirects": 5},
        fails("too many redirects", redirects=5),
    ),
    "redirect loop": ("/redirect-loop", {}, fails("redirect loop", redirects=1)),
    "redirect to file://": ("/redirect?to=file:///etc/passwd", {}, fails("forbidden redirect")),
    "redirect to a private address": (
        "/redirect?to=http://127.0.0.2:1/",
        ELSEWHERE,
        fails("forbidden address", redirects=1),
    ),
    "redirect to metadata of a cloud": (
        "/redirect?to=http://169.254.169.254/latest/",
        ELSEWHERE,
        fails("forbidden address", redirects=1),
    ),
    "redirect to what robots.txt forbids": (
        "/redirect?to=/private/x",
        {"robots": True},
        Ends(filtered={"robots": 1}, redirects=1),
    ),
    "redirect nowhere": ("/redirect?to=http://[", {}, fails("bad redirect")),
    "10,000 links": ("/links?n=10000", {"max_pages": 10}, pages(10, pending=9_991)),
    "a chain of links": ("/chain/0", {"max_depth": 9}, pages(10, filtered={"depth": 1})),
    **{f"charset {name}": (f"/charset/{name}", {}, pages()) for name in CHARSETS},
    **{f"markup {name}": (f"/markup/{name}", {}, pages(2)) for name in MARKUP},
    **{f"markup {name}": (f"/markup/{name}", {}, pages()) for name in UNSEEN},
    "markup twice": ("/markup/twice", {}, pages(2, filtered={"duplicate": 1})),
    "cookies": ("/cookie-wall/give", {}, pages(redirects=1)),
    "cookies, but not kept": (
        "/cookie-wall/give",
        {"cookies": False},
        fails("HTTP 403", redirects=1),
    ),
    "429": ("/flaky?status=429", {"retries": 1}, pages(retries=1)),
    "429 with Retry-After": ("/flaky?status=429&after=1", {"retries": 1}, pages(retries=1)),
    "429 with Retry-After of a day": (
        "/flaky?status=429&after=86400",
        {"retries": 9},
        fails("HTTP 429"),
    ),
    "429 for ever": ("/status/429", {"retries": 2}, fails("HTTP 429", retries=2)),
    "login": ("/members", ME, pages()),
    "login, but wrong": ("/members", {**ME, "http_password": "x"}, fails("HTTP 401")),
    "infinite calendar": (
        "/calendar",
        {"max_queries_per_path": 20},
        pages(21, filtered={"duplicate": 20, "query limit": 2}),
    ),
    "infinite path": ("/maze/", {}, pages(6, filtered={"path repeats": 1})),
    "not found": ("/no/such/page", {}, fails("HTTP 404")),
    "media of another type": ("/typed", {"content_types": ["text/*"]}, fails("content type")),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_path_has_its_one_outcome(name):
    path, settings, ends = TABLE[name]
    with Site(robots=ROBOTS) as site:
        crawl, items = crawled(Titles, site.url(path), **{"retries": 0, **settings})
    found = adds_up(crawl)
    assert ends == Ends(
        **{name: getattr(found, name) for name in ("pages", "pending", "retries", "redirects")},
        failures=dict(found.failures),
        filtered=dict(found.filtered),
    )
    assert len(items) == found.pages
    assert crawl.outcome()[0] is (State.DONE if found.pages else State.FAILED)

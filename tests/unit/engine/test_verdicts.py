"""What follows from each kind of answer: a table."""

import time
from urllib.parse import quote

import pytest

from crawler.engine.crawl.cookies import still_sent
from crawler.engine.crawl.verdicts import (
    EXHAUSTED_ATTEMPTS,
    Failed,
    Page,
    Redirect,
    Retry,
    decide,
    pause_s,
)
from crawler.engine.frontier.frontier import Job
from crawler.engine.http.headers import retry_after_s
from crawler.engine.http.messages import EXHAUSTED, FetchAnswer, FetchError
from crawler.engine.spiders.spider import Request
from crawler.settings.crawl import CrawlSettings

SETTINGS = CrawlSettings(retries=2, retry_delay_s=1.0, max_redirects=3)
NOW_S = 1_700_000_000.0


def job(attempts=0, hops=(), method="GET", body=None):
    made = Job(Request("http://h/a", method=method, body=body), "http://h/a", 0, 0)
    made.attempts, made.hops = attempts, hops
    return made


def verdict(status, *headers, of=None):
    lines = [f"{line}".encode() for line in headers]
    return decide(of or job(), FetchAnswer(status, lines, b"body", 0.1), SETTINGS, NOW_S)


@pytest.mark.parametrize("status", [200, 204, 299, 304])
def test_what_is_no_error_is_a_page(status):
    page = verdict(status)
    assert isinstance(page, Page)
    assert page.status == status


@pytest.mark.parametrize("status", [400, 404, 410, 501])
def test_other_errors_end_the_url(status):
    assert verdict(status) == Failed(f"HTTP {status}")


@pytest.mark.parametrize("status", SETTINGS.retry_statuses)
def test_passing_errors_are_tried_again_with_growing_pauses(status):
    assert verdict(status) == Retry(1.0, f"HTTP {status}")
    assert verdict(status, of=job(attempts=1)) == Retry(2.0, f"HTTP {status}")
    assert verdict(status, of=job(attempts=2)) == Failed(f"HTTP {status}")


def test_retry_after_lengthens_the_pause():
    assert verdict(503, "Retry-After: 7") == Retry(7.0, "HTTP 503")
    assert verdict(503, "Retry-After: 0") == Retry(1.0, "HTTP 503")
    assert isinstance(verdict(503, "Retry-After: 86400"), Failed)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after_s({"retry-after": value}, NOW_S) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Tue Nov 14 22:13:30 2023", 10.0),  # the form of asctime
        ("Tuesday, 14-Nov-23 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:30", 10.0),
        ("Tue, 14 Nov 2023 22:13:30 -0000", 10.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
        ("Tue, 14 Nov 1923 22:13:30 GMT", 0.0),
        ("1.5", 0.0),
        ("٣", 0.0),
    ],
)
def test_a_date_is_in_gmt_wherever_we_are_and_bounded(value, seconds, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert retry_after_s({"retry-after": value}, NOW_S) == seconds
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("status", [100, 101, 103])
def test_what_switches_to_another_protocol_unasked_is_no_page(status):
    assert verdict(status) == Failed("bad response", f"HTTP {status} is no answer to a request")


@pytest.mark.parametrize(
    ("reason", "again"),
    [("timeout", True), ("connection refused", True), ("too large", False), ("bad url", False)],
)
def test_of_the_errors_only_passing_ones_are_tried_again(reason, again):
    found = decide(job(), FetchError(reason), SETTINGS, NOW_S)
    assert isinstance(found, Retry if again else Failed)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/ä".encode(), "http://h/%C3%A4"),
        (b"/\xe4", "http://h/%E4"),
        (b" ../b#part ", "http://h/b"),
        (b"HTTP:\\\\Other\\c", "http://other/c"),
    ],
)
def test_a_redirect_leads_where_browsers_go(location, target):
    answer = FetchAnswer(302, [b"Location: " + location], b"", 0.0)
    assert decide(job(), answer, SETTINGS, NOW_S) == Redirect(target, "GET", None)


@pytest.mark.parametrize("letter", ["à", "х", "…", "\x85", "\xa0"])
@pytest.mark.parametrize("end", [b"", b"\r\n", b" \t\r\n"])
def test_a_redirect_in_utf_8_is_followed_as_it_was_written(letter, end):
    answer = FetchAnswer(301, [f"Location: \t/{letter}".encode() + end], b"", 0.0)
    target = f"http://h/{quote(letter)}"
    assert decide(job(), answer, SETTINGS, NOW_S) == Redirect(target, "GET", None)


def test_the_pause_does_not_grow_without_end():
    assert pause_s(60, SETTINGS) == 300.0


@pytest.mark.parametrize(
    ("status", "method", "body", "hop"),
    [
        (301, "GET", None, Redirect("http://h/b", "GET", None)),
        (302, "POST", b"x", Redirect("http://h/b", "GET", None)),
        (303, "PUT", b"x", Redirect("http://h/b", "GET", None)),
        (303, "HEAD", None, Redirect("http://h/b", "HEAD", None)),
        (307, "POST", b"x", Redirect("http://h/b", "POST", b"x")),
        (308, "POST", b"x", Redirect("http://h/b", "POST", b"x")),
    ],
)
def test_redirects_change_the_method_as_browsers_do(status, method, body, hop):
    assert verdict(status, "Location: /b", of=job(method=method, body=body)) == hop


@pytest.mark.parametrize(
    ("location", "hops", "reason"),
    [
        ("file:///etc/passwd", (), "forbidden redirect"),
        ("javascript:alert(1)", (), "forbidden redirect"),
        ("http://[broken", (), "bad redirect"),
        ("", (), "bad redirect"),
        ("/a", (), "redirect loop"),
        ("/first", ("http://h/first",), "redirect loop"),
        ("/new", ("http://h/1", "http://h/2", "http://h/3"), "too many redirects"),
    ],
)
def test_redirects_that_are_not_followed(location, hops, reason):
    found = verdict(302, f"Location: {location}", of=job(hops=hops))
    assert isinstance(found, Failed)
    assert found.reason == reason


def test_a_worker_without_descriptors_tries_again_for_long():
    lacking = FetchError(EXHAUSTED)
    assert decide(job(), lacking, SETTINGS, NOW_S) == Retry(1.0, EXHAUSTED)
    assert decide(job(attempts=5), lacking, SETTINGS, NOW_S) == Retry(32.0, EXHAUSTED)
    assert isinstance(decide(job(attempts=EXHAUSTED_ATTEMPTS), lacking, SETTINGS, NOW_S), Failed)
    hasty = CrawlSettings(retries=0, retry_delay_s=0.0)
    assert decide(job(), lacking, hasty, NOW_S) == Retry(1.0, EXHAUSTED)


def test_a_cookie_set_on_the_way_takes_the_place_of_the_requests_own_whatever_its_name():
    moved = verdict(302, "Location: /b", "Set-Cookie: voilà=2; Path=/", "Set-Cookie: clé=\tx ")
    assert moved.received == (("h", "voilà", "2"), ("h", "clé", "x"))
    assert list(still_sent(["voilà=1; a=b; à=c"], moved.received, "http://h/b")) == ["a=b", "à=c"]

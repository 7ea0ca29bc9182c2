"""robots.txt broken in every way a site can: for each the one outcome that a page then has."""

import itertools

import gevent
import pytest

from tests.site import Site
from tests.site.crawling import OnlyTitles, adds_up, crawled
from tests.site.pages import PAGES, Reply

PLAIN = ("Content-Type", "text/plain")
RULES = b"User-agent: *\nDisallow: /page\n"
FETCHED, REFUSED = ("fetched", ""), ("filtered", "robots")


def failed(reason):
    return "failed", reason


def sends(body, status=200, *headers):
    return lambda asked: Reply(body, status, list(headers) or [PLAIN])


def redirects(to, times=1):
    """Redirects that often, then has rules; endlessly when it is asked for its own name."""

    def page(asked):
        if asked.count > times:
            return Reply(RULES, 200, [PLAIN])
        return Reply(b"", 302, [("Location", to)])

    return page


def slowly(asked):
    gevent.sleep(3.0)
    return Reply(b"", 404)


def without_end(asked):
    return Reply(itertools.repeat(b"Disallow: /x\n" * 10_000), 200, [PLAIN])


ANSWERS = {
    "rules": (sends(RULES), REFUSED),
    "rules as HTML": (sends(RULES, 200, ("Content-Type", "text/html")), REFUSED),
    "rules without a type": (sends(RULES, 200, ("X-Nothing", "x")), REFUSED),
    "rules after a byte order mark": (sends(b"\xef\xbb\xbf" + RULES), REFUSED),
    "rules with the line ends of a Mac": (sends(RULES.replace(b"\n", b"\r")), REFUSED),
    "rules after bytes that are no text": (sends(b"\xff\xfe\x80\n" + RULES), REFUSED),
    "rules after NULs": (sends(b"\0\0\0\n" + RULES), REFUSED),
    "rules in two groups": (
        sends(b"User-agent: *\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\n" + RULES),
        REFUSED,
    ),
    "rules at the end of 500 KiB": (sends(b"#" * 511_000 + b"\n" + RULES), REFUSED),
    "rules beyond 500 KiB": (sends(b"#" * 512_000 + b"\n" + RULES), FETCHED),
    "nothing": (sends(b""), FETCHED),
    "NULs": (sends(b"\0" * 1000), FETCHED),
    "a page": (sends(b"<!doctype html><title>Not here</title>"), FETCHED),
    "a picture": (sends(b"\x89PNG\r\n\x1a\n", 200, ("Content-Type", "image/png")), FETCHED),
    "no content": (sends(b"", 204), FETCHED),
    "forbidden": (sends(RULES, 403), FETCHED),
    "gone": (sends(RULES, 410), FETCHED),
    "a fault of the server": (sends(RULES, 500), failed("robots.txt: HTTP 500")),
    "overloaded": (sends(RULES, 503), failed("robots.txt: HTTP 503")),
    "a redirect": (redirects("/robots.txt?2"), FETCHED),
    "five redirects": (redirects("/robots.txt", 5), REFUSED),
    "six redirects": (redirects("/robots.txt", 6), FETCHED),
    "a redirect to a file": (redirects("file:///etc/passwd"), FETCHED),
    "a redirect nowhere": (redirects("http://[broken"), FETCHED),
    "a dropped connection": (PAGES["drop"], failed("connection closed")),
    "half of it": (PAGES["truncated"], failed("truncated")),
    "too slow": (slowly, failed("timeout")),
    "no end": (without_end, failed("too large")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_each_answer_has_its_one_outcome(name):
    answer, (end, reason) = ANSWERS[name]
    with Site(robots=answer) as site:
        crawl, _ = crawled(OnlyTitles, site.url("/page/1"), robots=True, retries=0, timeout_s=1.5)
    assert adds_up(crawl).discovered == 1
    assert crawl.counts.pages == (end == "fetched")
    assert crawl.failures_by_reason == ({reason: 1} if end == "failed" else {})
    assert crawl.filtered == ({reason: 1} if end == "filtered" else {})


def test_a_redirect_to_another_host_counts_for_the_first():
    with Site(robots=RULES.decode()) as other:
        target = other.url("/robots.txt", "127.0.0.2")
        with Site(robots=lambda asked: Reply(b"", 301, [("Location", target)])) as site:
            crawl, _ = crawled(OnlyTitles, site.url("/page/1"), robots=True)
    assert crawl.filtered == {"robots": 1}
    assert len(other.robots_hits) == 1

"""Sites that misbehave: each has exactly one counted outcome, and none costs more than it may."""

import gevent
import pytest

from tests.site import Site
from tests.site.crawling import ListSink, OnlyTitles, crawled, running_engine, spec
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def site():
    with Site() as site:
        yield site


def outcome(site, path, **settings):
    """The failures and the filtered of a crawl of one page."""
    crawl, items = crawled(OnlyTitles, site.url(path), **{"retries": 0, **settings})
    assert crawl.counts.pages + crawl.counts.failures + sum(crawl.filtered.values()) == 1
    return [item["title"] for item in items] or list(crawl.failures_by_reason)


@pytest.mark.parametrize(
    ("path", "reason", "settings"),
    [
        ("/slow?s=30", "first byte timeout", {"first_byte_timeout_s": 0.3}),
        ("/slow?s=30", "timeout", {"timeout_s": 0.3, "connect_timeout_s": 0.3}),
        ("/slow-headers", "stalled", {"stall_timeout_s": 0.3}),
        ("/slow-body", "stalled", {"stall_timeout_s": 0.3}),
        ("/drip", "timeout", {"timeout_s": 1.0, "connect_timeout_s": 1.0}),
        ("/endless", "too large", {"max_body_bytes": 1_000_000}),
        ("/endless", "too large", {"max_download_bytes": 1_000_000}),
        ("/no-length", "bad response", {}),
        ("/no-http", "bad response", {}),
        ("/packed?coding=gzip&bytes=9000000", "too large", {"max_body_bytes": 1_000_000}),
        ("/packed?coding=deflate&bytes=9000000", "too large", {"max_body_bytes": 1_000_000}),
        ("/packed?coding=br&bytes=9000000", "too large", {"max_body_bytes": 1_000_000}),
        ("/packed?coding=zstd&bytes=9000000", "too large", {"max_body_bytes": 1_000_000}),
        ("/packed?coding=gzip, gzip&bytes=9000000", "too large", {"max_body_bytes": 1_000_000}),
        ("/packed?bytes=90000", "too large", {"max_download_bytes": 50}),
        ("/not-packed?coding=gzip", "bad encoding", {}),
        ("/not-packed?coding=deflate", "bad encoding", {}),
        ("/not-packed?coding=br", "bad encoding", {}),
        ("/not-packed?coding=zstd", "bad encoding", {}),
        ("/not-packed?coding=compress", "bad encoding", {}),
        ("/not-packed?coding=gzip, br, gzip, br", "bad encoding", {}),
        ("/typed", "content type", {"content_types": ["text/*", "application/xhtml+xml"]}),
    ],
)
def test_what_breaks_the_rules_has_one_reason(site, path, reason, settings):
    assert outcome(site, path.replace(", ", "%2C%20"), **settings) == [reason]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br", "identity"])
@pytest.mark.parametrize("size", [100, 3_000_000])
def test_packed_pages_are_unpacked(site, coding, size):
    if coding == "identity":
        path = f"/not-packed?coding=identity&bytes={size}"
        assert outcome(site, path)[0].startswith("plain")
        return
    path = f"/packed?coding={coding}&bytes={size}".replace(", ", "%2C%20")
    assert outcome(site, path) == ["packed"]


def test_what_was_received_and_what_came_out_are_both_counted(site):
    crawl, _ = crawled(OnlyTitles, site.url("/packed?bytes=100000"))
    assert crawl.statistics.bytes_expanded == 100_000
    assert 50 < crawl.statistics.bytes_received < 2_000


def test_timeouts_are_tried_again_and_what_is_too_large_is_not(site):
    outcome(site, "/slow-body", stall_timeout_s=0.3, retries=1)
    assert len(site.hits) == 2
    outcome(site, "/endless", max_body_bytes=1000, retries=1)
    assert len(site.hits) == 3


def test_a_large_file_of_another_type_is_not_fetched_to_its_end(site):
    crawl, _ = crawled(
        OnlyTitles,
        site.url("/typed?bytes=30000000"),
        site.url("/page/1"),
        content_types=["text/html"],
    )
    assert crawl.failures_by_reason == {"content type": 1}
    assert crawl.counts.pages == 1


def test_the_type_of_an_error_page_does_not_hide_the_error(site):
    assert outcome(site, "/typed?status=404", content_types=["text/*"]) == ["HTTP 404"]


def test_a_name_without_address_is_a_failure_of_dns():
    crawl, _ = crawled(OnlyTitles, "http://nowhere.invalid/", retries=0)
    assert crawl.failures_by_reason == {"dns": 1}


def test_requests_to_a_slow_host_do_not_wait_for_its_first_answer(site):
    urls = [site.url(f"/slow?s=60&n={number}") for number in range(8)]
    settings = {"host_concurrency": 8, "concurrency": 8, "timeout_s": 90}
    with running_engine() as engine:
        crawl = engine.crawl(spec(OnlyTitles, *urls, settings=settings), ListSink())
        running = gevent.spawn(crawl.run)
        eventually(lambda: len(site.hits) == 8, what="all eight are asked for, and none answered")
        crawl.stop()
        running.join(PATIENCE_S)
    assert crawl.counts.pages == 0

"""HTTP/2 with a real server of it: pages come over one connection, and say how they came."""

import pytest

from crawler import Spider
from tests.site import Site
from tests.site.crawling import crawled
from tests.site.http2 import Http2Site
from tests.site.proxy import Proxy

MANY = {"concurrency": 8, "host_concurrency": 8, "verify_tls": False, "retries": 0}


class How(Spider):
    """Tells how each page came, and follows every link."""

    name = "how"

    def parse(self, response):
        yield {"protocol": response.protocol, "from": response.ip_address}
        yield from response.follow_all(css="a")


def test_pages_of_a_site_that_offers_it_share_one_connection():
    with Http2Site(links=8, together=8) as site:
        crawl, items = crawled(How, site.url(), **MANY)
    assert crawl.failures_by_reason == {}
    assert items == [{"protocol": "HTTP/2", "from": "127.0.0.1"}] * 9
    assert site.connections == 1
    assert site.most_at_once[1] == 8


def test_even_the_first_requests_share_it_where_the_site_is_known_to_speak_it():
    with Http2Site(together=8) as site:
        urls = [site.url(f"/start/{number}") for number in range(8)]
        crawl, items = crawled(How, *urls, http_version="2", **MANY)
    assert crawl.failures_by_reason == {}
    assert [item["protocol"] for item in items] == ["HTTP/2"] * 8
    assert site.connections == 1


def test_a_url_is_asked_for_as_it_is_written():
    paths = ["/a%2fb%c3%a9?q=%2f", "/A%2Fb", "/plain"]
    with Http2Site() as site, Proxy() as proxy:
        urls = [site.url(path) for path in paths]
        one_by_one = {**MANY, "concurrency": 1}
        for more in ({}, {"proxies": [proxy.url()]}):
            crawl, _ = crawled(How, *urls, **one_by_one, **more)
            assert crawl.failures_by_reason == {}
    assert site.asked == paths * 2


def test_through_a_proxy_it_is_the_protocol_of_the_site_that_counts():
    with Http2Site() as site, Proxy() as proxy:
        crawl, items = crawled(How, site.url(), proxies=[proxy.url()], **MANY)
    assert crawl.failures_by_reason == {}
    assert [item["protocol"] for item in items] == ["HTTP/2"]


def test_a_site_that_speaks_nothing_else_fails_where_it_is_not_allowed():
    with Http2Site() as site:
        crawl, _ = crawled(How, site.url(), http_version="1.1", **MANY)
    assert crawl.counts.failures == 1
    assert site.asked == []


@pytest.mark.parametrize("http_version", ["auto", "1.1"])
def test_without_tls_pages_come_over_http_1(http_version):
    with Site() as site:
        _, items = crawled(How, site.url("/page/1"), http_version=http_version)
    assert items == [{"protocol": "HTTP/1.1", "from": "127.0.0.1"}]

"""Delays and concurrency as the site sees them: by the moments at which requests arrived.

Those that measure hundredths of a second are among `make faults`, where nothing else runs; that the
engine sends no earlier is shown on a clock moved by hand, in tests/unit/engine/test_hosts.py and
test_polite_crawl.py.
"""

from collections import defaultdict
from contextlib import closing
from itertools import pairwise

import gevent
import pytest
from gevent.server import StreamServer

from tests.site import Site
from tests.site.crawling import ListSink, OnlyTitles, crawled, running_engine, spec
from tests.waiting import PATIENCE_S, eventually

SLACK_S = 0.02
"""What a request may be early at the site, when the one before it was late."""


@pytest.mark.faults
def test_requests_to_one_host_keep_their_distance():
    with Site() as site:
        urls = [site.url(f"/page/{i}") for i in range(5)]
        crawled(OnlyTitles, *urls, delay_s=0.2)
    assert len(site.gaps()) == 4
    assert min(site.gaps()) >= 0.2 - SLACK_S


def test_a_request_that_connects_is_alone_at_its_host():
    """Two that connect slowly would arrive at once."""
    open_now, most = set(), 0

    def hold(connection, address):  # and never say a word of TLS
        nonlocal most
        open_now.add(address)
        most = max(most, len(open_now))
        with connection:
            while connection.recv(4096):
                pass
        open_now.discard(address)

    with closing(StreamServer(("127.0.0.1", 0), hold)) as server:
        server.start()
        urls = [f"https://127.0.0.1:{server.server_port}/{number}" for number in range(3)]
        pace = {"delay_s": 0.05, "host_concurrency": 3, "connect_timeout_s": 0.5, "retries": 0}
        crawl, _ = crawled(OnlyTitles, *urls, **pace)
    assert crawl.counts.failures == 3
    assert most == 1


@pytest.mark.faults
def test_many_hosts_are_fetched_at_once():
    with Site() as site:
        urls = [
            site.url(f"/page/{i}", f"127.0.1.{host}") for i in range(3) for host in range(1, 41)
        ]
        crawl, _ = crawled(OnlyTitles, *urls, delay_s=0.4, concurrency=8)
    assert crawl.counts.pages == 120
    assert crawl.counts.seconds < 80 * 0.4 / 2, "two delays, not eighty"
    by_host = defaultdict(list)
    for hit in site.hits:
        by_host[hit.host].append(hit.at_s)
    gaps = [later - earlier for times in by_host.values() for earlier, later in pairwise(times)]
    assert min(gaps) >= 0.4 - SLACK_S


@pytest.mark.faults
def test_crawl_delay_of_robots_counts():
    with Site(robots="User-agent: *\nCrawl-delay: 0.3") as site:
        urls = [site.url(f"/page/{i}") for i in range(3)]
        crawled(OnlyTitles, *urls, delay_s=0.0, robots=True)
    assert min(site.gaps()) >= 0.3 - SLACK_S


@pytest.mark.faults
def test_crawls_of_one_worker_share_the_delay_and_robots():
    with Site(robots="User-agent: *\nDisallow: /x") as site, running_engine(robots=True) as engine:
        crawls = [
            engine.crawl(
                spec(
                    OnlyTitles,
                    *(site.url(f"/page/{name}{i}") for i in range(3)),
                    settings={"delay_s": delay_s},
                ),
                ListSink(),
            )
            for name, delay_s in (("a", 0.2), ("b", 0.1))
        ]
        gevent.joinall([gevent.spawn(crawl.run) for crawl in crawls], timeout=PATIENCE_S)
    assert [crawl.counts.pages for crawl in crawls] == [3, 3]
    assert min(site.gaps()[:4]) >= 0.2 - SLACK_S, "the longest delay holds while both run"
    assert len(site.robots_hits) == 1


def test_no_more_at_once_than_allowed():
    running, most = set(), [0]

    def busy(asked):
        from tests.site.pages import html

        running.add(asked.path)
        most[0] = max(most[0], len(running))
        gevent.sleep(0.05)
        running.discard(asked.path)
        return html("busy")

    with Site(pages={"busy": busy}) as site:
        urls = [site.url(f"/busy/{i}") for i in range(12)]
        crawled(OnlyTitles, *urls, host_concurrency=3)
    assert most[0] == 3


@pytest.mark.faults
def test_slow_and_dead_hosts_hold_up_no_others():
    from tests.site.pages import html

    def held(_):
        eventually(lambda: len(site.times("/page")) == 60, what="all others are asked")
        return html("held")

    with Site(pages={"held": held}) as site:
        slow = [site.url("/held", f"127.0.2.{host}") for host in range(1, 9)]
        dead = [f"http://127.0.3.{host}:9/" for host in range(1, 9)]
        good = [
            site.url(f"/page/{i}", f"127.0.1.{host}") for i in range(3) for host in range(1, 21)
        ]
        crawl, _ = crawled(
            OnlyTitles, *slow, *dead, *good, delay_s=0.3, concurrency=4, retries=0, robots=True
        )
    assert crawl.counts.pages == 68
    assert crawl.failures_by_reason == {"connection refused": 8}


def test_a_host_that_asks_for_rest_gets_it_for_all_its_pages():
    with Site() as site:
        urls = [site.url("/flaky?fails=1&status=429&after=1")]
        urls += [site.url(f"/page/{i}") for i in range(5)]
        crawl, _ = crawled(OnlyTitles, *urls, host_concurrency=1)
    assert crawl.counts.pages == 6
    assert site.gaps()[0] >= 1.0 - SLACK_S
    assert site.paths()[0] == "/flaky?fails=1&status=429&after=1"

"""Ends: of a crawl, of an engine, of a process that was killed."""

import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import gevent
import pytest

from crawler.engine.download.address_policy import ALL, AddressPolicy
from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.curl import CurlFetcher, Transfer
from crawler.engine.http.messages import FetchCall, FetchError, FetchLimits
from crawler.settings.crawl import CrawlSettings
from tests.site import Site
from tests.site.crawling import ListSink, OnlyTitles, Titles, file_sink, lines, running_engine, spec
from tests.unit.engine.fakes import TransferDriver
from tests.waiting import PATIENCE_S, eventually

LONG_S = 600.0
"""Longer than any test may take."""


@pytest.fixture
def site():
    with Site() as site:
        yield site


def open_files():
    """What the process has open: sockets, files, pipes."""
    names = os.listdir("/proc/self/fd")
    return {
        os.readlink(f"/proc/self/fd/{n}") for n in names if os.path.lexists(f"/proc/self/fd/{n}")
    }


def test_stop_ends_a_crawl_with_slow_requests_in_flight(site, tmp_path):
    path = tmp_path / "items.jsonl"
    with running_engine() as engine:
        slow = [site.url(f"/slow?s={LONG_S}&n={i}") for i in range(20)]
        urls = [site.url("/page/quick"), *slow]
        crawl = engine.crawl(
            spec(OnlyTitles, *urls, settings={"host_concurrency": 50, "timeout_s": LONG_S}),
            file_sink(path),
        )
        greenlet = gevent.spawn(crawl.run)
        eventually(lambda: len(site.hits) == 21 and crawl.counts.items == 1)
        began_s = time.monotonic()
        crawl.stop()
        greenlet.join(timeout=PATIENCE_S)
        assert time.monotonic() - began_s < LONG_S / 2
        assert greenlet.dead
        assert crawl.stopped
        assert engine._fetcher.in_flight == 0
    assert lines(path) == [{"url": site.url("/page/quick"), "title": "/page/quick"}]


def test_stop_before_and_after_a_run_is_harmless(site):
    with running_engine() as engine:
        never = engine.crawl(spec(OnlyTitles, site.url("/page/1")), ListSink())
        never.stop()
        never.run()
        assert site.hits == []
        done = engine.crawl(spec(OnlyTitles, site.url("/page/1")), ListSink())
        done.run()
        done.stop()
        assert not done.stopped


def test_stopping_the_engine_ends_its_crawls_and_leaves_nothing_open(site):
    before = open_files()
    with running_engine() as engine:
        finished = engine.crawl(spec(OnlyTitles, site.url("/page/1", "127.0.0.2")), ListSink())
        finished.run()
        crawls = [
            engine.crawl(
                spec(
                    Titles,
                    *(site.url(path) for path in ("/chain/0", f"/slow?s={LONG_S}")),
                    settings={"host_concurrency": 50, "timeout_s": LONG_S},
                ),
                ListSink(),
            )
            for _ in range(3)
        ]
        greenlets = [gevent.spawn(crawl.run) for crawl in crawls]
        eventually(lambda: all(crawl.counts.pages > 10 for crawl in crawls))
        began_s = time.monotonic()
        engine.stop(deadline_s=LONG_S)
        assert time.monotonic() - began_s < LONG_S / 2
        gevent.joinall(greenlets, timeout=PATIENCE_S)
        assert all(greenlet.dead for greenlet in greenlets)
        engine.stop()
    site.close()
    eventually(lambda: open_files() <= before, what="all connections are closed")


def test_a_killed_process_leaves_whole_lines_for_the_next_run(site, tmp_path):
    """A crawl in another process is killed in the middle; the next run repairs its file."""
    path = tmp_path / "items.jsonl"
    code = f"""
from crawler.runtime import prepare; prepare()
from tests.site.crawling import Titles, file_sink, running_engine, spec
with running_engine(Titles) as engine:
    engine.crawl(spec(Titles, {site.url("/chain/0")!r}), file_sink({str(path)!r})).run()
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    try:
        eventually(lambda: path.exists() and path.stat().st_size > 2000)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\n") - 10])
    with running_engine() as engine:
        engine.crawl(spec(OnlyTitles, site.url("/page/after")), file_sink(path)).run()
    items = lines(path)
    assert len(items) == whole.count(b"\n"), "the torn line is gone, the new item is there"
    assert items[-1]["title"] == "/page/after"


def call(url, **changes):
    terms = FetchLimits.of(CrawlSettings(connect_timeout_s=2.0, max_body_bytes=10_000))
    return FetchCall(url, ("User-Agent: test",), **{"terms": terms, "timeout_s": 5.0, **changes})


@pytest.fixture
def fetcher():
    fetcher = CurlFetcher(AddressPolicy([ALL]))
    fetcher.start()
    yield fetcher
    fetcher.stop()


def test_one_connection_serves_many_requests(site, fetcher):
    for _ in range(20):
        assert fetcher.fetch(call(site.url("/page/1"))).status == 200
    assert len(fetcher._idle) == 1
    assert len(site.connections) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/", "connection refused"),
        ("http://no-such-host.invalid/", "dns"),
        ("file:///etc/passwd", "forbidden scheme"),
        ("ftp://127.0.0.1/", "forbidden scheme"),
        ("http://exa mple/", "bad url"),
        ("http://h/\N{SNOWMAN}\0", "bad url"),
    ],
)
def test_errors_have_short_reasons(fetcher, url, reason):
    with pytest.raises(FetchError) as raised:
        fetcher.fetch(call(url))
    assert raised.value.reason == reason


def test_speaking_tls_to_a_plain_server_is_a_tls_error(site, fetcher):
    with pytest.raises(FetchError) as raised:
        fetcher.fetch(call(site.url("/").replace("http:", "https:")))
    assert raised.value.reason == "tls"


def test_the_limit_counts_what_was_unpacked(site, fetcher):
    assert len(fetcher.fetch(call(site.url("/gzip-bomb?bytes=10000"))).body) == 10_000
    with pytest.raises(FetchError, match="too large"):
        fetcher.fetch(call(site.url("/gzip-bomb?bytes=10001")))


def test_the_limit_holds_whatever_libcurl_makes_of_it():
    asked = call("http://h/", terms=FetchLimits.of(CrawlSettings(max_body_bytes=10)))
    transfer = Transfer(asked, lambda answer: None, BodyMemory(), TransferDriver())
    assert transfer.receive(b"123456") is None
    assert transfer.receive(b"7890") is None
    assert transfer.receive(b"x") == -1
    assert transfer.chunks == []


def test_nothing_of_a_request_sticks_to_the_next(site, fetcher):
    requests = [("GET", b"odd"), ("GET", None), ("POST", b"x"), ("HEAD", None), ("GET", None)]
    bodies = [
        fetcher.fetch(call(site.url("/echo"), method=method, body=body)).body
        for method, body in requests
    ]
    titles = [body.partition(b"<title>")[2].partition(b"</title>")[0] for body in bodies]
    assert titles == [b"GET odd", b"GET ", b"POST x", b"", b"GET "]


def test_an_idle_handle_holds_nobody_who_asked_before(site, fetcher):
    left = []

    class Asker:
        def __init__(self):
            left.append(weakref.ref(self))

        def told(self, answer):
            pass

    fetcher.submit(call(site.url("/page/1")), Asker().told)
    gc.collect()
    eventually(lambda: site.hits and not fetcher.in_flight)
    gc.collect()
    assert left[0]() is None


def test_what_was_cancelled_is_not_told_of_the_end_either(site, fetcher):
    told = []
    fetcher.submit(call(site.url("/slow?s=30&n=1")), lambda end: second.cancel())
    second = fetcher.submit(call(site.url("/slow?s=30&n=2")), told.append)
    eventually(lambda: len(site.hits) == 2)
    fetcher.stop()
    assert not told


def test_a_fetch_that_is_given_up_is_broken_off(site, fetcher):
    with gevent.Timeout(0.2, False):
        fetcher.fetch(call(site.url("/slow?s=30")))
    assert len(site.hits) == 1
    assert fetcher.in_flight == 0


def test_stopping_the_fetcher_ends_what_waits_for_it(site, fetcher):
    waiting = gevent.spawn(fetcher.fetch, call(site.url("/slow?s=30")))
    eventually(lambda: site.hits)
    curl = fetcher._curl
    fetcher.stop()
    fetcher.stop()
    waiting.join(PATIENCE_S)
    assert not curl.is_watching
    assert isinstance(waiting.exception, FetchError)
    with pytest.raises(FetchError, match="is not running"):
        fetcher.fetch(call(site.url("/page/1")))


def test_the_receiver_of_an_answer_may_fail_without_harm(site, fetcher, callback_errors):
    fetcher.submit(call(site.url("/page/1")), lambda answer: 1 / 0)
    assert fetcher.fetch(call(site.url("/page/2"))).status == 200

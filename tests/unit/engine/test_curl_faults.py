"""A defect in a callback of libcurl or of the hub costs one request, which is told of it."""

import os
import random
import socket
from dataclasses import replace
from typing import NamedTuple

import gevent
import pycurl
import pytest

from crawler.clock import ManualClock
from crawler.engine.download.address_policy import AddressPolicy
from crawler.engine.download.cookies import CookieJar
from crawler.engine.download.curl import CurlFetcher
from crawler.engine.download.curl_handle import Opener
from crawler.engine.download.curl_transfer import Transfer
from crawler.engine.download.dns import Resolver
from crawler.engine.http.messages import (
    EXHAUSTED,
    FAULT,
    Credentials,
    FetchAnswer,
    FetchCall,
    FetchError,
    FetchLimits,
)
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor
from tests.site import Site
from tests.site.wire import Wire
from tests.waiting import eventually


class Address(NamedTuple):
    """As pycurl gives an address."""

    family: int
    socktype: int
    protocol: int
    addr: tuple[str, int]


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


@pytest.fixture
def fetcher():
    fetcher = CurlFetcher(AddressPolicy(["all"]))
    fetcher.start()
    yield fetcher
    fetcher.stop()


def call(url, **more):
    return FetchCall(
        url=url, headers=(), terms=FetchLimits.of(CrawlSettings()), timeout_s=5.0, **more
    )


def told(fetcher, *calls):
    """What each of these requests is told."""
    found = []
    for each in calls:
        fetcher.submit(each, found.append)
    eventually(lambda: len(found) >= len(calls))
    return found


def outcome(fetcher, request):
    """Why a request fails, whether it is refused at once or later."""
    try:
        return told(fetcher, request)[0].reason
    except FetchError as error:
        return error.reason


def breaks(*_, **__):
    raise ZeroDivisionError("on purpose")


@pytest.mark.parametrize("name", ["_take", "answer", "overdue"])
def test_a_defect_ends_its_own_request_with_an_error(
    site, fetcher, monkeypatch, callback_errors, name
):
    path = "/slow?s=9" if name == "overdue" else "/page/1"
    monkeypatch.setattr(Transfer, name, breaks)
    [error] = told(fetcher, call(site.url(path)))
    assert isinstance(error, FetchError)
    assert error.reason == FAULT
    assert not error.transient
    assert any("ZeroDivisionError" in each for each in callback_errors)
    monkeypatch.undo()
    assert isinstance(told(fetcher, call(site.url("/page/1")))[0], FetchAnswer)
    assert fetcher.in_flight == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_handle_that_cannot_be_made_costs_its_request_alone(
    site, fetcher, monkeypatch, callback_errors, host
):
    """Whether the address of its host is known, or is looked up first."""
    monkeypatch.setattr("crawler.engine.download.curl_handle.new_handle", breaks)
    assert outcome(fetcher, call(site.url("/page/1", host))) == FAULT
    assert fetcher.in_flight == 0
    assert callback_errors


def test_a_handle_that_cannot_be_made_for_one_that_waits_costs_no_other(
    site, monkeypatch, callback_errors
):
    monkeypatch.setattr("crawler.engine.download.curl.most_connections", lambda: 1)
    fetcher = CurlFetcher(AddressPolicy(["all"]))
    fetcher.start()
    first, waits = [], []
    fetcher.submit(call(site.url("/page/1"), method="HEAD"), first.append)
    fetcher.submit(call(site.url("/page/2")), waits.append)
    monkeypatch.setattr("crawler.engine.download.curl_handle.new_handle", breaks)
    eventually(lambda: first and waits)
    fetcher.stop()
    assert isinstance(first[0], FetchAnswer)
    assert waits[0].reason == FAULT
    assert callback_errors


def test_a_jar_that_breaks_costs_its_own_answer_alone(site, fetcher, callback_errors):
    class Jar:
        def attach(self, handle):
            pass

        answered = breaks

    broken, whole = call(site.url("/page/1"), jar=Jar()), call(site.url("/page/2"))
    found = told(fetcher, broken, whole)
    assert sorted(getattr(each, "reason", "") for each in found) == ["", FAULT]
    assert callback_errors


def test_an_opener_that_breaks_is_no_fault_of_the_host(site, monkeypatch, callback_errors):
    fetcher = CurlFetcher(AddressPolicy(["127.0.0.0/8"]))
    fetcher.start()
    monkeypatch.setattr(AddressPolicy, "allows", breaks)
    [error] = told(fetcher, call(site.url("/page/1")))
    fetcher.stop()
    assert (error.reason, error.unreachable) == (FAULT, False)
    assert callback_errors


def test_a_receiver_that_fails_with_an_answer_gets_an_error(site, fetcher, callback_errors):
    found = []

    def done(result):
        found.append(result)
        if isinstance(result, FetchAnswer):
            raise ZeroDivisionError("on purpose")

    fetcher.submit(call(site.url("/page/1")), done)
    eventually(lambda: len(found) == 2)
    assert found[1].reason == FAULT
    assert callback_errors


def test_a_body_that_cannot_be_unpacked_by_a_defect_is_told(
    site, fetcher, monkeypatch, callback_errors
):
    monkeypatch.setattr("crawler.engine.download.curl.expanded", breaks)
    monkeypatch.setattr("crawler.engine.download.curl.QUICK_BYTES", 10)
    [error] = told(fetcher, call(site.url("/packed")))
    assert error.reason == FAULT
    assert callback_errors


def test_what_libcurl_would_only_print_fails_a_test(callback_errors):
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, "file:///proc/self/status")
    handle.setopt(pycurl.WRITEFUNCTION, breaks)
    with pytest.raises(pycurl.error):
        handle.perform()
    handle.close()
    gevent.get_hub().loop.run_callback(breaks)
    gevent.sleep(0)
    assert [each.split(":")[0].split(",")[0] for each in callback_errors] == ["printed", "the hub"]


def test_a_text_that_got_past_all_checks_is_not_sent(site, fetcher):
    hits = len(site.hits)
    bad = [
        {"method": "GET /x HTTP/1.1\r\nHost"},
        {"cookies": "a=b\r\nX-Injected: 1"},
        {"referer": "http://h/\r\nX-Injected: 1"},
        {"proxy": "http://127.0.0.1:1\r\n/"},
    ]
    requests = [call(site.url("/page/1"), **each) for each in bad]
    for line in ("X-A: 1\r\nX-Injected: 1", "X-A: \x00", "X-A: \ud800"):
        requests.append(call(site.url("/page/1")))
        requests[-1].headers = (line,)
    for request in requests:
        assert outcome(fetcher, request) == "bad request"
    assert len(site.hits) == hits


def test_requests_beyond_the_descriptors_wait_for_their_turn(site, monkeypatch):
    monkeypatch.setattr("crawler.engine.download.curl.most_connections", lambda: 2)
    fetcher = CurlFetcher(AddressPolicy(["all"]))
    fetcher.start()
    found = []
    for number in range(7):
        fetcher.submit(call(site.url(f"/page/{number}")), found.append)
    assert fetcher.in_flight == 7
    assert len(fetcher._active) == 2
    waits = fetcher.submit(call(site.url("/page/never")), found.append)
    waits.cancel()
    eventually(lambda: len(found) == 7)
    assert all(isinstance(each, FetchAnswer) for each in found)
    assert fetcher.in_flight == 0
    fetcher.stop()


def test_a_socket_that_cannot_be_opened_for_now_is_no_fault_of_the_host(site, monkeypatch):
    def no_socket(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("crawler.engine.download.curl_opener._Socket", no_socket)
    fetcher = CurlFetcher(AddressPolicy(["127.0.0.0/8"]))
    fetcher.start()
    [error] = told(fetcher, call(site.url("/page/1")))
    fetcher.stop()
    assert (error.reason, error.unreachable, error.transient) == (EXHAUSTED, False, True)


def test_a_look_up_without_a_thread_says_nothing_about_the_host(monkeypatch):
    def no_thread(*_):
        raise RuntimeError("can't start new thread")

    resolver = Resolver(Supervisor("test"), ManualClock())
    monkeypatch.setattr("crawler.engine.download.dns.ThreadPool.apply", no_thread)
    found = []
    resolver.ask("http://host.example", found.append)
    eventually(lambda: found)
    assert found[0].reason == EXHAUSTED
    resolver.close()


HEAD = b"HTTP/1.1 200 OK\r\n"
TOKENS = [
    *(b"\xff", b"\xc3", b"\x00", b"\r\n", b": ", b" ", b";", b"=", b"9", b"HTTP/1.1 200 OK"),
    *(b"Content-Length", b"Content-Encoding", b"Content-Type", b"Transfer-Encoding", b"chunked"),
    *(b"Set-Cookie", b"Location", b"gzip", b"WWW-Authenticate", b"Digest realm="),
]
ANSWERS = [
    b"HTTP/9.\xff 200\r\n\r\n",
    b"\xff\xfe\r\n\r\n",
    HEAD + b"Content-Length: \xff\r\n\r\nx",
    HEAD + b"Content-Type: text/\xe9\r\nContent-Length: 1\r\n\r\nx",
    HEAD + b"Content-Encoding: \xff\r\nContent-Length: 1\r\n\r\nx",
    HEAD + b"Set-Cookie: \xff=\xfe; Path=\xfd\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"X: " + b"\xff" * 400_000 + b"\r\n\r\n",
    b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="\xff", nonce="\xfe"\r\n\r\n',
]


def test_whatever_bytes_a_server_sends_each_request_is_told(fetcher):
    chance = random.Random(7)
    made = [b"".join(chance.choices(TOKENS, k=chance.randrange(1, 25))) for _ in range(100)]
    answers = [*ANSWERS, *(HEAD + each + b"\r\n\r\n" for each in made)]
    terms = FetchLimits.of(CrawlSettings(content_types=["text/html"], stall_timeout_s=0.5))
    found = []
    with Wire({f"/{number}": answer for number, answer in enumerate(answers)}) as wire:
        for number in range(len(answers)):
            asked = replace(call(wire.url(f"/{number}")), terms=terms, jar=CookieJar())
            asked.credentials = Credentials("me", "pass", digest=True)
            fetcher.submit(asked, found.append)
        eventually(lambda: len(found) == len(answers))
    assert {type(each) for each in found} == {FetchAnswer, FetchError}


def test_a_socket_that_libcurl_has_copied_is_closed_before_the_loop_turns():
    """A thousand connections that begin at once take a thousand descriptors, not two."""
    kind = pycurl.SOCKTYPE_IPCXN
    address = Address(socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", 1))
    opener = Opener(AddressPolicy(["all"]))
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        assert opener(kind, address).fileno() >= 0
    assert len(os.listdir("/proc/self/fd")) == len(before)

"""Errbacks, statuses that callbacks ask for, and how a spider hears of the end."""

import dataclasses

import pytest

from crawler import CloseSpider, HttpError, IgnoreRequest, Request, Spider
from crawler.clock import ManualClock
from crawler.engine.http.failures import Failure, fetch_error
from crawler.engine.http.messages import FetchError
from tests.unit.engine.fakes import FakeFetcher, ListSink, crawl_of, page, shared


class Asking(Spider):
    """Asks for each of `asked` and tells what it is given."""

    name = "asking"
    asked = ()

    def start(self):
        for request in self.asked:
            yield request.replace(callback=self.parse, errback=request.errback or "failed")

    def parse(self, response):
        return {"page": response.status, "url": response.url, "meta": dict(response.meta)}

    def failed(self, failure):
        yield {"failed": failure.type.__name__, "says": failure.getErrorMessage()}

    def closed(self, reason):
        type(self).ended = reason


def crawled(answer_of, *asked, spider=Asking, fetcher=FakeFetcher, **settings):
    """The items of a crawl, and the crawl."""
    clock = ManualClock()
    made = type("Made", (spider,), {"asked": asked})
    sink = ListSink()
    settings = {"retries": 0, **settings}
    crawl = crawl_of(made, shared(fetcher(clock, answer_of), clock), sink, **settings)
    crawl.run()
    return list(sink), crawl


URL = "http://h/"


def test_an_error_of_the_site_goes_to_the_errback_with_the_answer():
    class Reading(Asking):
        def failed(self, failure):
            assert failure.check(KeyError, HttpError) is HttpError
            assert failure.request.url == URL
            assert failure.value.response is failure.response
            yield {"body": failure.response.text, "status": failure.response.status}
            yield Request("http://h/next", self.parse)

    answers = {URL: page(status=404, body=b"gone"), "http://h/next": page()}
    items, crawl = crawled(lambda call: answers[call.url], Request(URL), spider=Reading)
    assert items[0] == {"body": "gone", "status": 404}
    assert items[1]["url"] == "http://h/next"
    assert items[1]["meta"]["depth"] == 1
    assert crawl.failures_by_reason == {"HTTP 404": 1}


def test_a_request_without_an_errback_fails_quietly():
    class Mute(Asking):
        def start(self):
            yield Request(URL)

    items, crawl = crawled(lambda call: page(status=404), spider=Mute)
    assert (items, crawl.failures_by_reason) == ([], {"HTTP 404": 1})


@pytest.mark.parametrize(
    ("reason", "kinds"),
    [
        ("timeout", ["TimedOut", TimeoutError]),
        ("connection refused", ["Refused", ConnectionRefusedError, ConnectionError]),
        ("connection closed", ["ConnectError", ConnectionError]),
        ("dns", ["DNSLookupError"]),
        ("too large", ["FetchError"]),
    ],
)
def test_an_errback_can_tell_why_there_is_no_answer(reason, kinds):
    items, crawl = crawled(lambda call: FetchError(reason, "why"), Request(URL))
    assert [item["failed"] for item in items] == [kinds[0]]
    assert reason in items[0]["says"]
    assert crawl.failures_by_reason == {reason: 1}
    failure = Failure(fetch_error(reason, "why"), Request(URL))
    for kind in (*kinds[1:], FetchError):
        assert failure.check(HttpError, kind) is kind
    assert failure.check(HttpError) is None
    assert failure.response is None
    with pytest.raises(FetchError, match=reason):
        failure.trap(HttpError)


def test_what_robots_txt_forbids_goes_to_the_errback():
    def answer_of(call):
        return page(body=b"User-agent: *\nDisallow: /no") if "robots" in call.url else page()

    class Robots(FakeFetcher):
        pass

    items, crawl = crawled(answer_of, Request("http://h/no"), robots=True, fetcher=Robots)
    assert items == [{"failed": "IgnoreRequest", "says": "robots.txt does not allow it"}]
    assert crawl.filtered == {"robots": 1}
    assert issubclass(HttpError, IgnoreRequest)


@pytest.mark.parametrize("fault", [KeyError, MemoryError])
def test_an_errback_that_raises_costs_its_page_only(fault):
    class Broken(Asking):
        def failed(self, failure):
            raise fault("x")

    answers = {URL: page(status=404), "http://h/2": page()}
    items, crawl = crawled(lambda call: answers[call.url], Request(URL), Request("http://h/2"),
                           spider=Broken)  # fmt: skip
    assert [item["page"] for item in items] == [200]
    raised = f"errback raised {fault.__name__}"
    assert crawl.failures_by_reason == {"HTTP 404": 1, raised: 1}


@pytest.mark.parametrize(
    ("meta", "own", "is_page"),
    [
        ({}, (), False),
        ({}, [404], True),
        ({"handle_httpstatus_list": [404]}, (), True),
        ({"handle_httpstatus_list": [500]}, [404], False),
        ({"handle_httpstatus_all": True}, (), True),
        ({"handle_httpstatus_all": False}, [404], False),
    ],
)
def test_a_callback_gets_the_errors_it_asks_for(meta, own, is_page):
    spider = type("Own", (Asking,), {"handle_httpstatus_list": own})
    items, _ = crawled(lambda call: page(status=404), Request(URL, meta=meta), spider=spider)
    assert ("page" in items[0]) == is_page


def test_an_error_that_is_asked_for_is_retried_first():
    meta = {"handle_httpstatus_list": [503], "max_retry_times": 1}
    sent = []
    items, _ = crawled(
        lambda call: sent.append(call) or page(status=503), Request(URL, meta=meta),
        retry_delay_s=0.0, retries=5,
    )  # fmt: skip
    assert len(sent) == 2
    assert items[0]["page"] == 503
    assert items[0]["meta"]["retry_times"] == 1


@pytest.mark.parametrize(
    "failing", [lambda call: page(status=503), lambda c: FetchError("timeout")]
)
def test_dont_retry(failing):
    sent = []
    crawled(
        lambda call: sent.append(call) or failing(call), Request(URL, meta={"dont_retry": True}),
        retries=5,
    )  # fmt: skip
    assert len(sent) == 1


def moved(call):
    to = {URL: b"location: /2", "http://h/2": b"location: /3"}.get(call.url)
    return page(status=302, headers=[to]) if to else page()


def test_the_callback_hears_of_redirects():
    items, _ = crawled(moved, Request(URL))
    assert items[0]["url"] == "http://h/3"
    assert items[0]["meta"]["redirect_urls"] == [URL, "http://h/2"]
    assert items[0]["meta"]["redirect_times"] == 2


def test_redirects_that_are_not_wanted():
    unwanted = {"dont_redirect": True}
    items, _ = crawled(moved, Request(URL, meta=unwanted))
    assert items[0]["failed"] == "HttpError"
    items, _ = crawled(moved, Request(URL, meta={**unwanted, "handle_httpstatus_list": [302]}))
    assert items[0]["page"] == 302
    items, _ = crawled(moved, Request(URL, meta={"handle_httpstatus_list": [302]}))
    assert items[0]["page"] == 302


def test_a_form_may_lead_back_to_a_page_that_was_seen():
    def answer_of(call):
        if call.method == "POST":
            return page(status=302, headers=[b"location: /"])
        return page()

    form = Request(URL, method="POST", body="a=1")
    items, crawl = crawled(answer_of, Request(URL), form)
    assert [item["url"] for item in items] == [URL, URL]
    assert crawl.failures_by_reason == {}


def test_download_timeout_of_a_request():
    calls = []
    crawled(lambda call: calls.append(call) or page(), Request(URL, meta={"download_timeout": 2.5}))
    assert calls[0].timeout_s == 2.5


def test_a_callback_can_end_the_crawl():
    class Closing(Asking):
        def parse(self, response):
            yield {"page": 1}
            raise CloseSpider("enough")

    items, crawl = crawled(lambda c: page(), Request(URL), Request("http://h/2"), spider=Closing)
    assert items == [{"page": 1}]
    assert crawl.spider.ended == "enough"
    assert not crawl.stopped
    assert crawl.statistics.finish_reason == "enough"
    assert crawl.failures_by_reason == {}


def test_a_spider_hears_that_it_has_finished():
    _, crawl = crawled(lambda call: page(), Request(URL))
    assert crawl.spider.ended == "finished"


def test_a_callback_can_tell_a_page_of_the_cache():
    class Telling(Asking):
        def parse(self, response):
            return {"flags": response.flags}

    answers = {URL: page(), "http://h/2": dataclasses.replace(page(), cached=True)}
    items, _ = crawled(lambda call: answers[call.url], Request(URL), Request("http://h/2"),
                       spider=Telling)  # fmt: skip
    assert items == [{"flags": []}, {"flags": ["cached"]}]


def test_headers_of_all_requests_and_of_one():
    lines = []
    own = Request("http://h/2", headers={"X-A": "own", "Accept": None})
    crawled(lambda call: lines.append(set(call.headers)) or page(), Request(URL), own,
            headers={"x-a": "all", "Accept": "text/plain"})  # fmt: skip
    assert {"x-a: all", "Accept: text/plain"} <= lines[0]
    assert {"X-A: own", "Accept:"} <= lines[1]
    assert not {"x-a: all", "Accept: text/plain"} & lines[1]

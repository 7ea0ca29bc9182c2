"""What the end of a crawl means: done, or failed with a reason that names what to do."""

import pytest

from crawler import Request, Spider
from crawler.clock import ManualClock
from crawler.engine.http.messages import FetchError
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.outcome import filtered_all, outcome_of, outcome_of_part
from crawler.model.records import Counts, State
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import FakeFetcher, crawl_of, page, shared


@pytest.mark.parametrize(
    ("pages", "failures", "fault", "expected"),
    [
        (1, [], "", (State.DONE, "")),
        (0, [], "", (State.DONE, "")),
        (1, ["timeout"] * 9, "", (State.DONE, "")),
        (5, [], "disk gone", (State.FAILED, "disk gone")),
        (
            0,
            ["dns", "connection refused", "connection refused"],
            "",
            (
                State.FAILED,
                "no page could be fetched: connection refused (http://h/1); is the site up?",
            ),
        ),
        (0, ["HTTP 404"], "", (State.FAILED, "no page could be fetched: HTTP 404 (http://h/0)")),
    ],
)
def test_no_page_or_a_fault_is_a_failure(pages, failures, fault, expected):
    counters = Counters(ManualClock())
    counters.pages, counters.fault = pages, fault
    counters.discovered = pages + len(failures)
    for number, reason in enumerate(failures):
        counters.fail(reason, f"http://h/{number}")
    assert outcome_of(counters, CrawlSettings()) == expected


def counted(pages=0, items=0, failed=0, spoilt=0):
    counters = Counters(ManualClock())
    counters.discovered, counters.pages, counters.items = pages + failed, pages, items
    for number in range(failed):
        counters.fail("timeout", f"http://h/{number}")
    for number in range(spoilt):
        counters.blame("callback raised KeyError", f"http://h/{number}")
        counters.spoilt["callback raised KeyError"] += 1
    return counters


@pytest.mark.parametrize(
    ("own", "others", "settings", "told"),
    [
        ({"failed": 2}, Counts(pages=1), {}, ""),
        ({}, Counts(failures=3), {}, "no page could be fetched: 3 failures on other workers"),
        ({"failed": 2}, Counts(failures=3), {}, "no page could be fetched: timeout"),
        ({}, Counts(), {}, ""),
        ({"pages": 2, "spoilt": 2}, Counts(pages=3, failures=3), {}, "no page could be used"),
        ({"pages": 2, "spoilt": 2}, Counts(pages=3, items=1, failures=3), {}, ""),
        ({"pages": 2, "spoilt": 2}, Counts(pages=3, failures=2), {}, ""),
        ({"pages": 1, "items": 3}, Counts(pages=1, items=4), {"min_items": 7}, ""),
        ({"pages": 1, "items": 3}, Counts(pages=1, items=4), {"min_items": 8}, "7 items were"),
        (
            {"pages": 5, "failed": 1},
            Counts(pages=3, failures=1),
            {"max_failure_share": 0.1},
            "2 of 10 requests failed (0.2)",
        ),
    ],
)
def test_a_shard_that_judges_counts_what_the_others_have_done(own, others, settings, told):
    state, why = outcome_of(counted(**own), CrawlSettings(**settings), others)
    assert (state is State.FAILED, why.startswith(told)) == (bool(told), True)


WHY = "no page could be fetched: robots (http://h/1)"


@pytest.mark.parametrize(
    ("own", "others", "told"),
    [
        ({}, Counts(), WHY),
        ({"duplicates": 2}, Counts(), WHY),
        ({"pages": 1}, Counts(), ""),
        ({}, Counts(pages=1), ""),
        ({"pending": 1}, Counts(), ""),
        ({"failed": 1}, Counts(), "no page could be fetched: timeout"),
        ({}, Counts(failures=2), "no page could be fetched: 2 failures on other workers"),
        ({}, Counts(failures=1), "no page could be fetched: 1 failure on other workers"),
    ],
)
def test_what_other_shards_have_filtered_counts_if_nothing_else_happened(own, others, told):
    own = dict(own)
    duplicates, pending = own.pop("duplicates", 0), own.pop("pending", 0)
    counters = counted(**own)
    counters.discovered += duplicates + pending
    for _ in range(duplicates):
        counters.filter("duplicate", "http://h/1")
    state, why = outcome_of(counters, CrawlSettings(), others, WHY)
    assert (state is State.FAILED, why.startswith(told)) == (bool(told), True)


def test_a_shard_tells_why_it_has_no_page_only_if_all_was_filtered():
    counters = counted()
    assert filtered_all(counters) == ""
    counters.discovered = 3
    counters.filter("duplicate", "http://h/0")
    counters.filter("offsite", "http://other/")
    assert filtered_all(counters) == "", "one is pending"
    counters.filter("duplicate", "http://h/0")
    assert filtered_all(counters).startswith("no page could be fetched: offsite (http://other/);")
    for changed in (counted(pages=1), counted(failed=1)):
        changed.discovered += 1
        changed.filter("offsite", "http://other/")
        assert filtered_all(changed) == ""


def test_a_shard_that_judges_nothing_fails_only_by_itself():
    counters = counted(failed=9)
    assert outcome_of_part(counters) == (State.DONE, "")
    counters.fault = "disk gone"
    assert outcome_of_part(counters) == (State.FAILED, "disk gone")


class Reading(Spider):
    name = "reading"
    start_urls = tuple(f"http://h/{number}" for number in range(4))

    def parse(self, response):
        number = int(response.url[-1])
        if number >= self.good:
            raise LookupError(number)
        yield {"number": number}


def ended(spider, answer_of=lambda call: page(), **settings):
    """How a crawl on a fake network ends."""
    clock = ManualClock()
    fetcher = FakeFetcher(clock, answer_of)
    crawl = crawl_of(spider, shared(fetcher, clock), retries=0, **settings)
    crawl.run()
    return crawl.outcome()


def reading(good, **members):
    return type("Made", (Reading,), {"good": good, **members})


def test_a_crawl_whose_callbacks_all_raised_has_failed():
    assert ended(reading(good=0)) == (
        State.FAILED,
        "no page could be used: callback raised LookupError (http://h/0); see the log",
    )
    assert ended(reading(good=1)) == (State.DONE, "")


def yielding(*outputs):
    def parse(self, response):
        for output in outputs:
            if isinstance(output, Exception):
                raise output
            yield output

    return reading(4, parse=parse)


def test_a_crawl_that_wrote_items_is_done_though_all_callbacks_raise_behind_them():
    assert ended(yielding({"n": 1}, {"n": 2}, LookupError())) == (State.DONE, "")


@pytest.mark.parametrize(
    ("outputs", "outcome"),
    [
        ((5, "text"), (State.FAILED, "no page could be used: callback yielded int (http://h/0)")),
        ((None, 5), (State.FAILED, "no page could be used: callback yielded int (http://h/0)")),
        ((5, LookupError()), (State.FAILED, "no page could be used: callback raised LookupError")),
        ((5, {"n": 1}), (State.DONE, "")),
        ((Request("http://h/0"), 5), (State.DONE, "")),
        ((None,), (State.DONE, "")),
        ((), (State.DONE, "")),
    ],
)
def test_a_crawl_whose_callbacks_yield_only_what_nobody_can_use_has_failed(outputs, outcome):
    state, reason = ended(yielding(*outputs))
    assert (state, reason[: len(outcome[1])]) == outcome
    assert bool(reason) is (state is State.FAILED)


def test_a_crawl_that_robots_txt_forbids_has_failed():
    rules = page(body=b"User-agent: *\nDisallow: /")
    answers = {"http://h/robots.txt": rules}
    state, reason = ended(reading(4), lambda call: answers.get(call.url, page()), robots=True)
    assert state is State.FAILED
    assert reason.startswith("no page could be fetched: robots (http://h/0); robots.txt")


def test_a_crawl_that_begins_outside_its_domains_has_failed():
    def start(self):
        yield Request("http://other/")

    spider = reading(4, allowed_domains=["h"], start=start)
    assert ended(spider) == (
        State.FAILED,
        "no page could be fetched: offsite (http://other/); does allowed_domains name its host?",
    )


def test_a_crawl_has_failed_whatever_its_errbacks_ask_for():
    def start(self):
        yield Request("http://h/0", errback=self.elsewhere)

    def elsewhere(self, failure):
        yield Request("http://other/a")
        yield Request("http://other/b")

    spider = reading(4, allowed_domains=["h"], start=start, elsewhere=elsewhere)
    rules = page(body=b"User-agent: *\nDisallow: /")
    assert ended(spider, lambda call: rules, robots=True) == (
        State.FAILED,
        "no page could be fetched: offsite (http://other/a); does allowed_domains name its host?",
    )


@pytest.mark.parametrize(
    ("least", "outcome"),
    [
        (0, (State.DONE, "")),
        (2, (State.DONE, "")),
        (3, (State.FAILED, "2 items were written; min_items asks for 3")),
    ],
)
def test_a_crawl_with_too_few_items_has_failed(least, outcome):
    assert ended(reading(good=2), min_items=least) == outcome


def test_one_item_is_told_as_one():
    assert ended(reading(good=1), min_items=2) == (
        State.FAILED,
        "1 item was written; min_items asks for 2",
    )


@pytest.mark.parametrize(
    ("share", "outcome"),
    [
        (1.0, (State.DONE, "")),
        (0.25, (State.DONE, "")),
        (
            0.2,
            (State.FAILED, "1 of 4 requests failed (0.25); max_failure_share allows 0.2"),
        ),
        (0, (State.FAILED, "1 of 4 requests failed (0.25); max_failure_share allows 0")),
    ],
)
def test_a_crawl_with_too_many_failures_has_failed(share, outcome):
    def answer(call):
        return FetchError("tls", "expired") if call.url.endswith("3") else page()

    assert ended(reading(good=4), answer, max_failure_share=share) == outcome

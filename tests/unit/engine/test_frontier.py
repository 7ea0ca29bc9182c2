"""The frontier: nothing twice, nothing too deep, the right order, the right moment."""

import math

import pytest

from crawler.engine.frontier.frontier import Frontier
from crawler.engine.spiders.spider import Request
from crawler.settings.crawl import CrawlSettings


class Fixed:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def now():
    return Fixed()


def frontier(now, domains=(), **settings):
    return Frontier(CrawlSettings(**settings), now, domains)


def taken(frontier):
    """The URLs of all that is due, in order, as if each site answered at once."""
    found = []
    while (queue := frontier.due()) is not None:
        found.append(frontier.pop(queue).url)
        frontier.put(queue, 0.0)
    return found


def test_a_request_is_taken_once(now):
    it = frontier(now)
    assert it.admit(Request("http://h/a?x=1&y=2"), 0) == ""
    assert it.admit(Request("http://h/a?x=1&y=2"), 0) == "duplicate"
    assert it.admit(Request("http://h/a?y=2&x=1#top"), 0) == "duplicate"
    assert it.admit(Request("http://h/a?x=1&y=2", method="POST"), 0) == ""
    assert it.admit(Request("http://h/a?x=1&y=2", dont_filter=True), 0) == ""
    assert len(it) == 3


def test_a_link_too_deep_is_refused_and_may_come_again_from_nearer(now):
    it = frontier(now, max_depth=2)
    assert it.admit(Request("http://h/a"), 3) == "depth"
    assert it.admit(Request("http://h/a"), 2) == ""


def test_depth_zero_is_without_limit(now):
    assert frontier(now, max_depth=0).admit(Request("http://h/"), 10**6) == ""


def test_other_schemes_broken_urls_and_other_hosts_are_refused(now):
    it = frontier(now, domains=["Example.org"])
    assert it.admit(Request("file:///etc/passwd"), 0) == "scheme"
    assert it.admit(Request("mailto:me@example.org"), 0) == "scheme"
    assert it.admit(Request("http://[broken/"), 0) == "url"
    assert it.admit(Request("/no/host"), 0) == "url"
    assert it.admit(Request("http://other.org/"), 0) == "offsite"
    assert it.admit(Request("http://www.example.org/"), 0) == ""


def test_higher_priority_goes_first_and_equal_ones_in_order(now):
    it = frontier(now)
    for path, priority in [("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)]:
        it.admit(Request(f"http://h/{path}", priority=priority), 0)
    assert taken(it) == [f"http://h/{path}" for path in "bdace"]


def test_sites_come_in_the_order_of_their_next_fetch(now):
    it = frontier(now)
    for host in "abc":
        it.admit(Request(f"http://{host}/1"), 0)
        it.admit(Request(f"http://{host}/2"), 0)
    for wait_s in (3.0, 1.0, 2.0):
        queue = it.due()
        it.pop(queue)
        it.put(queue, now.now_s + wait_s)
    assert it.due() is None
    assert it.next_s() == 101.0
    order = []
    for now.now_s in (101.0, 102.0, 103.0):
        order += taken(it)
    assert order == ["http://b/2", "http://c/2", "http://a/2"]


def test_a_parked_site_is_due_when_it_is_woken(now):
    woken = []
    it = Frontier(CrawlSettings(), now, woken=lambda: woken.append(1))
    it.admit(Request("http://h/"), 0)
    queue = it.due()
    it.put(queue, math.inf)
    assert it.due() is None
    assert it.next_s() == math.inf
    queue.wake()
    assert woken == [1]
    assert it.due() is queue


def test_waking_again_and_again_does_not_pile_up(now):
    it = frontier(now)
    it.admit(Request("http://h/"), 0)
    queue = it.due()
    it.put(queue, math.inf)
    for _ in range(1000):
        queue.wake()
    assert len(it._due) == 1


def test_the_last_moment_given_for_a_site_counts(now):
    it = frontier(now)
    it.admit(Request("http://h/"), 0)
    queue = it.due()
    it.put(queue, 105.0)
    it.put(queue, 110.0)
    now.now_s = 105.0
    assert it.due() is None
    assert it.next_s() == 110.0
    now.now_s = 110.0
    assert it.due() is queue


def test_a_retry_waits_for_its_moment_and_blocks_nobody(now):
    it = frontier(now)
    it.admit(Request("http://h/a"), 0)
    it.admit(Request("http://h/b"), 0)
    queue = it.due()
    it.retry(it.pop(queue), 105.0)
    it.put(queue, now.now_s)
    assert taken(it) == ["http://h/b"]
    assert len(it) == 1
    assert it.next_s() == 105.0
    now.now_s = 105.0
    queue = it.due()
    assert it.pop(queue).attempts == 1


def test_a_redirect_leads_to_where_it_says_once(now):
    it = frontier(now)
    it.admit(Request("http://h/old"), 0)
    it.admit(Request("http://h/known"), 0)
    queue = it.due()
    job = it.pop(queue)
    assert it.admit_hop(job, "http://h/known", "GET", None) == "duplicate"
    assert it.admit_hop(job, "http://h/new", "GET", None) == ""
    assert job.url == "http://h/new"
    assert job.hops == ("http://h/old",)
    assert it.admit(Request("http://h/new"), 1) == "duplicate"


def test_a_site_with_nothing_to_do_is_forgotten(now):
    it = frontier(now)
    it.admit(Request("http://h/"), 0)
    queue = it.due()
    assert not it.forget(queue)
    it.pop(queue)
    queue.busy = 1
    assert not it.forget(queue)
    queue.busy = 0
    assert it.forget(queue)
    assert it.sites() == []


def test_links_that_the_shortcut_forgets_are_duplicates_all_the_same(now, monkeypatch):
    monkeypatch.setattr("crawler.engine.frontier.frontier.FIRST_SHORTCUT_BITS", 3)
    monkeypatch.setattr("crawler.engine.frontier.frontier.SHORTCUT_BITS", 5)
    it = frontier(now)
    links = [Request(f"http://h/{i}") for i in range(100)]
    assert {it.admit(link, 0) for link in links} == {""}
    assert {it.admit(link, 0) for link in links} == {"duplicate"}


def test_what_was_refused_is_refused_again_for_the_same_reason(now):
    it = frontier(now, domains=["h"], deny_urls=["no"])
    for _ in range(2):
        assert it.admit(Request("http://other/"), 0) == "offsite"
        assert it.admit(Request("http://h/no"), 0) == "denied"


def test_a_request_may_go_everywhere(now):
    it = frontier(now, domains=["h"])
    assert it.admit(Request("http://other/1", dont_filter=True), 0) == ""
    assert it.admit(Request("http://other/2", meta={"allow_offsite": True}), 0) == ""
    assert it.admit(Request("http://other/2", meta={"allow_offsite": True}), 0) == "duplicate"


def test_beyond_what_is_remembered_nothing_new_is_fetched(now):
    it = frontier(now, max_seen=1000)
    assert {it.admit(Request(f"http://h/{i}"), 0) for i in range(1000)} == {""}
    assert it.admit(Request("http://h/1000"), 0) == "seen limit"
    assert it.admit(Request("http://h/999#known"), 0) == "duplicate"
    assert it.admit(Request("http://h/1001", dont_filter=True), 0) == ""


def test_a_redirect_passes_the_filters_too(now):
    it = frontier(now, domains=["h"], deny_urls=["/private"])
    it.admit(Request("http://h/"), 0)
    job = it.pop(it.due())
    assert it.admit_hop(job, "http://other/", "GET", None) == "offsite"
    assert it.admit_hop(job, "http://h/private", "GET", None) == "denied"


def test_a_url_is_sent_without_what_is_stripped(now):
    it = frontier(now, strip_query=["utm_*", "gclid"])
    assert it.admit(Request("http://h/a?utm_source=x&id=1&gclid=7#top"), 0) == ""
    assert it.admit(Request("http://h/a?id=1&utm_medium=mail"), 0) == "duplicate"
    assert taken(it) == ["http://h/a?id=1"]


@pytest.mark.parametrize("changed", [True, False])
def test_a_redirect_that_only_adds_what_is_stripped_leads_on_if_something_changed(now, changed):
    it = frontier(now, strip_query=["utm_*"])
    it.admit(Request("http://h/a"), 0)
    job = it.pop(it.due())
    refusal = it.admit_hop(job, "http://h/a?utm_source=x", "GET", None, changed=changed)
    assert refusal == ("" if changed else "duplicate")


def test_another_job_that_is_led_to_a_known_page_is_a_duplicate(now):
    it = frontier(now)
    it.admit(Request("http://h/s?b=1&a=2"), 0)
    it.admit(Request("http://h/other"), 0)
    jobs = [it.pop(it.due())]
    it.put(next(iter(it.sites())), 0.0)
    jobs.append(it.pop(it.due()))
    assert it.admit_hop(jobs[1], "http://h/s?a=2&b=1", "GET", None) == "duplicate"
    assert it.admit_hop(jobs[0], "http://h/s?a=2&b=1", "GET", None) == ""

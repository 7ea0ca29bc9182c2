"""How much of its page's URL a request tells, under each policy."""

import pytest

from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.job import Job
from crawler.engine.http.referrer import MOST_CHARACTERS, Referrer, policy_of
from crawler.engine.http.request import Request
from crawler.settings.crawl import REFERRER_POLICIES, CrawlSettings

PAGE = "https://shop.example/a?b=1"
ORIGIN = "https://shop.example/"
TARGETS = ("https://shop.example/c", "https://other.example/", "http://shop.example/c")


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("no-referrer", ("", "", "")),
        ("no-referrer-when-downgrade", (PAGE, PAGE, "")),
        ("same-origin", (PAGE, "", "")),
        ("origin", (ORIGIN, ORIGIN, ORIGIN)),
        ("strict-origin", (ORIGIN, ORIGIN, "")),
        ("origin-when-cross-origin", (PAGE, ORIGIN, ORIGIN)),
        ("strict-origin-when-cross-origin", (PAGE, ORIGIN, "")),
        ("unsafe-url", (PAGE, PAGE, PAGE)),
    ],
)
def test_each_policy_tells_what_it_allows(policy, told):
    assert policy in REFERRER_POLICIES
    assert tuple(map(Referrer(PAGE, policy).told_to, TARGETS)) == told


@pytest.mark.parametrize(
    ("page", "target", "told"),
    [
        ("http://h/a", "https://h/b", "http://h/"),
        ("http://h:81/a", "http://h/b", "http://h:81/"),
        ("http://h/a", "http://h.evil/b", "http://h/"),
        ("https://me:pass@h/a", "https://h/b", "https://h/a"),
        ("http://h/" + "x" * MOST_CHARACTERS, "http://h/b", "http://h/"),
    ],
)
def test_other_origins_and_passwords_and_long_urls(page, target, told):
    assert Referrer(page, "strict-origin-when-cross-origin").told_to(target) == told


@pytest.mark.parametrize(
    ("lines", "policy"),
    [
        ([], "origin"),
        (["same-origin"], "same-origin"),
        (["no-referrer, STRICT-ORIGIN"], "strict-origin"),
        (["same-origin", "unsafe-url, later-policy"], "unsafe-url"),
        (["", "nonsense"], "origin"),
    ],
)
def test_a_page_may_ask_for_a_policy(lines, policy):
    assert policy_of(lines, "origin") == policy
    assert policy_of(lines, "no-referrer") == "no-referrer"


def test_after_a_redirect_no_more_is_told_than_the_hop_knew():
    page = Referrer("https://h/a", "strict-origin-when-cross-origin")
    far = page.after("https://other/")
    assert far.told_to("https://h/b") == "https://h/"
    assert page.after("http://h/").told_to("https://h/b") == ""
    assert page.after("https://h/c").told_to("https://h/d") == "https://h/a"


def test_a_request_that_waits_on_disk_keeps_its_page():
    job = Job(Request("http://h/b"), "http://h/b", 1, 0, Referrer("http://h/a", "same-origin"))
    again = Job.from_record(job.to_record(None))
    assert (again.referrer.url, again.referrer.policy) == ("http://h/a", "same-origin")
    assert Job.from_record(Job(job.request, job.url, 0, 0).to_record(None)).referrer is None


def test_the_frontier_hands_the_page_on():
    frontier = Frontier(CrawlSettings(), lambda: 0.0)
    page = Referrer("http://h/a", "same-origin")
    frontier.admit(Request("http://h/b"), 1, page)
    assert frontier.pop(frontier.due()).referrer is page

"""How much of its page's URL a request tells, under each policy."""

import pytest

from crawler import CrawlSpider, LinkExtractor, Response, Rule
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.job import Job
from crawler.engine.http import markup
from crawler.engine.http.referrer import MOST_CHARACTERS, Referrer, policy_of, policy_of_link
from crawler.engine.http.request import Request
from crawler.engine.spiders.callbacks import given
from crawler.engine.spiders.declarative import compile_declaration
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
    ("lines", "metas", "policy"),
    [
        ([], [], ""),
        (["same-origin"], [], "same-origin"),
        (["no-referrer, STRICT-ORIGIN"], [], "strict-origin"),
        (["same-origin", "unsafe-url, later-policy"], [], "unsafe-url"),
        (["", "nonsense"], [], ""),
        (["never"], [], ""),
        (["same-origin"], ["origin"], "origin"),
        (["same-origin"], ["nonsense", ""], "same-origin"),
        ([], ["origin", "Same-Origin", "nonsense"], "same-origin"),
        ([], ["origin, same-origin"], ""),
        ([], ["Never"], "no-referrer"),
        ([], ["always"], "unsafe-url"),
        ([], ["default"], "strict-origin-when-cross-origin"),
        ([], ["origin-when-crossorigin"], "origin-when-cross-origin"),
    ],
)
def test_a_page_may_ask_for_a_policy(lines, metas, policy):
    assert policy_of(lines, metas) == policy


HEADED = (
    '<html><head><title>x</title>{}</head><body>{}<a href="/b" rel="noreferrer">b</a></body></html>'
)


@pytest.mark.parametrize(
    ("tag", "policy"),
    [
        ('<meta name="referrer" content="origin">', "origin"),
        ("<META CONTENT = no-referrer NAME=Referrer>", "no-referrer"),
        ("<meta name= referrer content=origin>", "origin"),
        ("<meta content=origin name=\n\treferrer>", "origin"),
        ('<meta name=" referrer" content="origin">', "origin"),
        (
            "<meta name='referrer' content='same-origin'/><meta name=referrer content=x>",
            "same-origin",
        ),
        ('<!-- <meta name="referrer" content="origin"> -->', ""),
        ("<script>\"<meta name='referrer' content=origin>\"</script>", ""),
        ('<meta name="referrer">', ""),
        ('<meta property="referrer" content="origin">', ""),
        ('<link rel="noreferrer"><script>if(document.referrer){}</script>', ""),
    ],
)
def test_the_head_of_a_page_names_its_policy(tag, policy):
    for kind in ("text/html", "application/xhtml+xml"):
        page = Response("http://h/a", 200, {"content-type": kind}, HEADED.format(tag, "").encode())
        assert markup.referrer_policy(page) == policy
    text = Response(
        "http://h/a", 200, {"content-type": "text/plain"}, HEADED.format(tag, "").encode()
    )
    assert markup.referrer_policy(text) == ""


@pytest.mark.parametrize(
    ("rel", "attribute", "policy"),
    [
        (None, None, ""),
        ("nofollow noopener", "", ""),
        ("noopener NOREFERRER", "unsafe-url", "no-referrer"),
        ("noreferrers", "Origin", "origin"),
        (None, "never", ""),
    ],
)
def test_a_link_may_ask_for_a_policy(rel, attribute, policy):
    assert policy_of_link(rel, attribute) == policy


class Ruled(CrawlSpider):
    name = "ruled"
    rules = (Rule(LinkExtractor()),)


LINKS = """<p><a href=/1 rel=noreferrer>1</a>
<a href=/2 referrerpolicy=origin>2</a><a href=/3>3</a></p>"""
ASKED = {"/1": "no-referrer", "/2": "origin", "/3": ""}


@pytest.mark.parametrize(
    "asks",
    [
        lambda page: page.follow_all(css="a"),
        lambda page: page.follow_all(xpath="//p"),
        lambda page: page.follow_all(page.css("a")),
        lambda page: page.follow_all(LinkExtractor().extract_links(page)),
        lambda page: map(page.follow, page.css("a")),
        lambda page: (each.replace(priority=1) for each in page.follow_all(css="a")),
        lambda page: given(Ruled(), page),
        lambda page: given(compile_declaration({"name": "declared", "follow": [{}]})(), page),
    ],
)
def test_the_request_of_a_link_knows_what_its_link_asks(asks):
    page = Response("http://h/", 200, {"content-type": "text/html"}, LINKS.encode())
    assert {each.url.removeprefix("http://h"): each.link_policy for each in asks(page)} == ASKED


def test_a_part_of_json_is_a_link_by_its_href_and_asks_nothing():
    body = b"""{"links": [
        {"rel": ["noreferrer"], "href": "/1"}, {"rel": "noreferrer", "href": "/2"},
        {"referrerpolicy": 5, "href": "/3"}, {"rel": null}, {"href": ["/4"]}, {"href": 5}]}"""
    page = Response("http://h/", 200, {"content-type": "application/json"}, body)
    links = page.jmespath("links[*]")
    found = [*map(page.follow, links[:3]), *page.follow_all(links)]
    assert [each.url.removeprefix("http://h") for each in found] == ["/1", "/2", "/3"] * 2
    assert {each.link_policy for each in found} == {""}
    for link in links[3:]:
        with pytest.raises(ValueError, match=r"no link: \{.*\} has no href"):
            page.follow(link)


def test_after_a_redirect_no_more_is_told_than_the_hop_knew():
    page = Referrer("https://h/a", "strict-origin-when-cross-origin")
    far = page.after("https://other/")
    assert far.told_to("https://h/b") == "https://h/"
    assert page.after("http://h/").told_to("https://h/b") == ""
    assert page.after("https://h/c").told_to("https://h/d") == "https://h/a"
    assert page.after("https://h/c", "origin").told_to("https://h/d") == "https://h/"
    assert page.after("http://h/", "unsafe-url").told_to("https://h/b") == ""


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

"""Cookies: kept for each crawl, or each session of it, and sent where they belong."""

import pytest

from crawler import Request, Spider
from crawler.engine.download import cookies as cookies_of_a_crawl
from crawler.engine.download.cookies import LOOK_EACH, CookieJar
from tests.site import Site
from tests.site.asked import HTML, Reply
from tests.site.crawling import ListSink, OnlyTitles, crawled, run, running_engine, spec
from tests.site.proxy import Proxy


def cookies(asked):
    """/cookies?set=a=1: the cookies it was sent as the title; sets one."""
    headers = [HTML]
    if "set" in asked.query:
        headers.append(("Set-Cookie", asked.query["set"]))
    sent = "; ".join(sorted(asked.headers.get("HTTP_COOKIE", "").split("; ")))
    return Reply(f"<title>{sent}</title>".encode(), 200, headers)


def hop(asked):
    """/hop?to=URL: sets a cookie and redirects."""
    return Reply(b"", 302, [("Set-Cookie", "hop=1"), ("Location", asked.query["to"])])


def auth(asked):
    """/auth: the Authorization and Cookie headers as the title."""
    said = asked.headers.get("HTTP_AUTHORIZATION", "none"), asked.headers.get("HTTP_COOKIE", "none")
    return Reply(f"<title>{' '.join(said)}</title>".encode())


@pytest.fixture
def site():
    with Site(pages={"cookies": cookies, "hop": hop, "auth": auth}) as site:
        yield site


def walk(*requests, **settings):
    """The titles of these pages, fetched one after the other."""

    class Walk(Spider):
        name = "walk"

        def start(self):
            yield self.request(0)

        def parse(self, response):
            yield {"title": response.css("title::text").get("")}
            if response.meta["number"] + 1 < len(requests):
                yield self.request(response.meta["number"] + 1)

        def request(self, number):
            found = requests[number]
            asked = found if isinstance(found, Request) else Request(found)
            asked.meta["number"] = number
            return asked.replace(dont_filter=True)

    crawl, items = crawled(Walk, **settings)
    assert crawl.counts.failures == 0, crawl.failures_by_reason
    return [item["title"] for item in items]


def test_a_cookie_goes_back_to_its_host_and_to_no_other(site):
    urls = [site.url("/cookies?set=a=1"), site.url("/cookies"), site.url("/cookies", "127.0.0.2")]
    assert walk(*urls) == ["", "a=1", ""]


@pytest.mark.parametrize("suffix", ["com", "co.uk", "github.io"])
def test_a_cookie_for_all_of_a_public_suffix_is_refused(site, suffix):
    """What sells names to anybody is no site: its names must not write into each other's pages."""
    urls = [
        f"http://one.{suffix}/cookies?set=a=1%3B%20Domain={suffix}",
        f"http://one.{suffix}/cookies?set=b=1%3B%20Domain=one.{suffix}",
        f"http://one.{suffix}/cookies",
        f"http://www.one.{suffix}/cookies",
        f"http://two.{suffix}/cookies",
    ]
    port = int(site.url().split(":")[2].strip("/"))
    with Proxy(everywhere=port) as proxy:
        assert walk(*urls, proxies=[proxy.url()]) == ["", "", "b=1", "b=1", ""]


def test_paths_and_expiry_are_heeded(site):
    urls = ["/cookies?set=a=1; Path=/elsewhere", "/cookies?set=b=1; Max-Age=0", "/cookies"]
    assert walk(*(site.url(url.replace("; ", "%3B%20")) for url in urls)) == ["", "", ""]


def test_each_crawl_has_its_own(site):
    with running_engine() as engine:
        for _ in range(2):
            sink = ListSink()
            run(engine.crawl(spec(OnlyTitles, site.url("/cookies?set=a=1")), sink))
            assert not sink.items[0]["title"]


def test_sessions_are_told_apart_by_meta(site):
    requests = [
        Request(site.url("/cookies?set=a=1"), meta={"cookiejar": 1}),
        Request(site.url("/cookies?set=b=1"), meta={"cookiejar": 2}),
        Request(site.url("/cookies"), meta={"cookiejar": 1}),
        Request(site.url("/cookies"), meta={"cookiejar": 2}),
        Request(site.url("/cookies")),
    ]
    assert walk(*requests) == ["", "", "a=1", "b=1", ""]


@pytest.mark.parametrize(
    "own", [{"a": "1", "b": 2}, [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]]
)
def test_cookies_of_a_request_are_kept_for_those_after_it(site, own):
    assert (
        walk(Request(site.url("/cookies"), cookies=own), site.url("/cookies")) == ["a=1; b=2"] * 2
    )


def test_a_request_may_stay_out_of_it(site):
    alone = {"dont_merge_cookies": True}
    requests = [
        site.url("/cookies?set=a=1"),
        Request(site.url("/cookies?set=b=1"), cookies={"c": "1"}, meta=alone),
        site.url("/cookies"),
    ]
    assert walk(*requests) == ["", "c=1", "a=1"]


def test_a_cookie_header_is_sent_with_the_others(site):
    written = Request(site.url("/cookies"), headers={"Cookie": "x=y"})
    assert walk(site.url("/cookies?set=a=1"), written, site.url("/cookies")) == [
        "",
        "a=1; x=y",
        "a=1",
    ]


def test_without_cookies_none_are_kept(site):
    assert walk(site.url("/cookies?set=a=1"), site.url("/cookies"), cookies=False) == ["", ""]


def test_a_redirect_takes_cookies_and_carries_them(site):
    assert walk(site.url("/hop?to=/cookies")) == ["hop=1"]


@pytest.mark.parametrize("with_jar", [True, False])
def test_secrets_do_not_follow_a_redirect_to_another_host(site, with_jar):
    secret = {"Authorization": "Bearer x", "Cookie": "s=1", "X-Other": "y"}
    here, there = site.url("/auth"), site.url("/auth", "127.0.0.2")
    for carries in ({"headers": secret}, {"cookies": {"s": "1"}}):
        requests = [Request(site.url(f"/hop?to={to}"), **carries) for to in (here, there)]
        near, far = walk(*requests, cookies=with_jar)
        assert "s=1" in near
        assert far == "none none"


def test_what_is_no_cookie_is_told(site):
    spider = type("Bad", (OnlyTitles,), {"name": "bad"})
    spider.start = lambda self: [Request(site.url("/cookies"), cookies={"a": "1; b=2"})]
    crawl, _ = crawled(spider)
    assert crawl.failures_by_reason == {"bad cookies": 1}
    assert site.hits == []


def test_a_jar_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(cookies_of_a_crawl, "MAX_COOKIES", most := 200)
    jar = CookieJar()
    for number in range(most + 10):
        jar.add(f"c{number}", "x", domain="h", below=False, path="/", secure=False)
    for _ in range(LOOK_EACH):
        jar.answered()
    names = {line.split("\t")[5] for line in jar.lines()}
    assert len(names) <= most // 2 + 10
    assert f"c{most + 9}" in names

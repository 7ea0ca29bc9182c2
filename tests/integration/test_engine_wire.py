"""What goes over the wire, byte by byte: headers, cookies, escapes, redirects, Referer."""

import logging

import pytest

from crawler import FormRequest, Request, Spider
from crawler.errors import InvalidArgument
from crawler.model.records import State
from tests.site.crawling import ListSink, OnlyTitles, crawled, running_engine, spec
from tests.site.wire import Wire, page, to


@pytest.fixture
def wire():
    with Wire() as wire:
        yield wire


def walk(*requests, **settings):
    """Crawl these requests, one after the other. Returns the crawl and what it found: URLs, and
    errors of requests."""

    class Walk(Spider):
        name = "walk"

        def start(self):
            for number, made in enumerate(requests):
                made.priority = -number
                yield made.replace(errback=self.failed)

        def parse(self, response):
            yield {"found": response.url}

        def failed(self, failure):
            yield {"found": getattr(failure.value, "reason", str(failure.value))}

    crawl, items = crawled(Walk, concurrency=1, **{"retries": 0, **settings})
    assert crawl.outcome()[0] in (State.DONE, State.FAILED)
    return crawl, [item["found"] for item in items]


def last(wire, *requests, **settings):
    """The last request that came to the site of a crawl."""
    walk(*requests, **settings)
    return wire.came[-1]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("Zürich", "Zürich".encode()),
        ("Zürich".encode(), "Zürich".encode()),
        (b"Z\xfcrich", b"Z\xfcrich"),
        (b"\xff\x80", b"\xff\x80"),
        ("", b""),
        ("  ", b""),
        (None, None),
        (["a", b"\xe9"], b"a, \xe9"),
    ],
)
def test_bytes_stay_bytes_and_text_is_utf8_once(wire, given, sent):
    assert last(wire, Request(wire.url(), headers={"X-City": given})).header("x-city") == sent


def test_a_usual_header_may_be_empty_or_missing(wire):
    came = last(wire, Request(wire.url(), headers={"Accept": "", "User-Agent": None}))
    assert (came.header("accept"), came.header("user-agent")) == (b"", None)


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize(
    ("cookies", "sent"),
    [
        ({"ort": "Łódź"}, "ort=Łódź".encode()),
        ({"ort": b"K\xf6ln"}, b"ort=K\xf6ln"),
        ({"größe": 42}, "größe=42".encode()),
        ([{"name": "a", "value": "b", "path": "/"}], b"a=b"),
        ([{"name": "a", "value": ""}], b"a="),
    ],
)
def test_cookies_are_sent_as_they_are(wire, cookies, sent, merged):
    asked = Request(wire.url(), cookies=cookies, meta={"dont_merge_cookies": not merged})
    assert last(wire, asked).header("cookie") == sent


def test_the_path_of_a_cookie_is_that_of_the_url(wire):
    cookies = [{"name": "a", "value": "b", "path": "/ж"}]
    assert last(wire, Request(wire.url("/ж/1"), cookies=cookies)).header("cookie") == b"a=b"


def test_a_cookie_header_is_sent_as_it_is(wire):
    for given, sent in (("v=é", "v=é".encode()), (b"v=\xe9", b"v=\xe9")):
        assert last(wire, Request(wire.url(), headers={"Cookie": given})).header("cookie") == sent


@pytest.mark.parametrize(
    "cookies",
    [
        *({"a": None}, {"a": object()}, {"a": "b\nc"}, {"": "b"}, {"a": "\ud800"}, {"a": {}}),
        *(7, "a=b", ["a"], [("a", "b")], [{"value": "b"}], [{"name": "a=b", "value": ""}], [None]),
    ],
)
def test_what_is_no_cookie_costs_its_request_alone(wire, cookies):
    before, bad, after = (Request(wire.url(f"/{number}")) for number in range(3))
    bad.cookies = cookies
    crawl, found = walk(before, bad, after)
    assert found == [wire.url("/0"), "bad cookies", wire.url("/2")]
    assert crawl.failures_by_reason == {"bad cookies": 1}


@pytest.mark.parametrize("meta", [{"fetcher": ["x"]}, {"proxy": 5}, {"download_timeout": "x"}])
def test_what_is_wrong_in_meta_costs_its_request_alone(wire, meta):
    crawl, found = walk(*(Request(wire.url(f"/{n}"), meta=m) for n, m in enumerate([{}, meta, {}])))
    assert [found[0], found[2]] == [wire.url("/0"), wire.url("/2")]
    assert crawl.counts.failures == 1


def test_cookies_that_libcurl_would_leave_out_are_sent(wire):
    for cookies in ({"a": "x" * 9000}, {f"c{number}": "x" * 900 for number in range(12)}):
        came = last(wire, Request(wire.url(), cookies=cookies))
        assert len(came.header("cookie")) > 9000
        assert came.header("user-agent") == b"crawler/0.1"


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        ({}, [b"a=1", b"jar=1"]),
        ({"headers": {"Cookie": "b=2"}}, [b"b=2", b"jar=1"]),
        ({"headers": {"Cookie": None}}, [b"jar=1"]),
        ({"cookies": {"c": "3"}}, [b"a=1", b"c=3", b"jar=1"]),
    ],
)
def test_cookies_of_the_settings_are_in_one_line_with_the_others(wire, own, sent):
    wire.answers["/set"] = page("", "Set-Cookie: jar=1; Path=/")
    asked = Request(wire.url("/next"), **own)
    came = last(wire, Request(wire.url("/set")), asked, headers={"Cookie": "a=1"})
    lines = [line for line in came.lines if line.lower().startswith(b"cookie:")]
    assert [sorted(line[7:].strip().split(b"; ")) for line in lines] == [sent]


def test_a_site_may_set_any_bytes_as_cookies(wire, monkeypatch):
    monkeypatch.setattr("crawler.engine.download.cookies.LOOK_EACH", 2)
    wire.answers["/set"] = page("", b"Set-Cookie: ort=M\xfcnster", b"Set-Cookie: \xffb=\x80")
    asked = Request(wire.url("/set"), dont_filter=True)
    came = last(wire, *[asked.replace() for _ in range(4)], Request(wire.url("/next")))
    assert came.target == "/next"
    assert b"ort=M\xfcnster" in came.header("cookie")


def test_what_the_server_sets_wins_over_what_the_request_brought(wire):
    wire.answers |= {
        "/in": to("/on", "Set-Cookie: id=new; Path=/"),
        "/refresh": page(
            '<meta http-equiv="refresh" content="0;url=/on">', "Set-Cookie: id=new; Path=/"
        ),
    }
    for path in ("/in", "/refresh"):
        for more in ({}, {"meta": {"cookiejar": 1}}):
            asked = Request(wire.url(path), cookies={"id": "old", "kept": "1"}, **more)
            sent = last(wire, asked).header("cookie").split(b"; ")
            assert sorted(sent) == [b"id=new", b"kept=1"]
    asked = Request(wire.url("/in"), headers={"Cookie": "id=old; kept=1"})
    assert sorted(last(wire, asked).header("cookie").split(b"; ")) == [b"id=new", b"kept=1"]


def test_a_retry_does_not_bring_a_cookie_back_that_the_server_has_changed(wire):
    again = iter([page("", "Set-Cookie: id=new; Path=/", status="503 Later")])
    wire.answers["/"] = lambda came: next(again, page())
    asked = Request(wire.url(), cookies={"id": "old"})
    assert last(wire, asked, retries=1).header("cookie") == b"id=new"


@pytest.mark.parametrize(
    "target",
    [
        "/a%2fb%c3%a9",
        "/A%2Fb%C3%A9",
        "/x?q=%c3",
        "/e?",
        "/p|q",
        "/%7ea/~b",
        "/a;b=%2e%2F",
        "//a//b",
    ],
)
def test_a_url_is_asked_for_as_it_is_written(wire, target):
    plain = Request(wire.url("/after%2F"))
    _, found = walk(Request(wire.url(target)), plain)
    assert wire.targets == [target, "/after%2F"]
    assert found == [wire.url(target), plain.url]


def test_escapes_are_kept_through_a_proxy(wire):
    url = "http://other.example/a%2fb?c=%2f"
    walk(Request(url, meta={"proxy": wire.url().rstrip("/")}))
    assert wire.targets == [url]


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/na\xefve?x=\xe8", "/na%EFve?x=%E8"),
        ("/naïve".encode(), "/na%C3%AFve"),
        (b"/a%c3b", "/a%c3b"),
    ],
)
def test_the_bytes_of_a_location_go_back_as_they_came(wire, location, target):
    wire.answers["/r"] = to(location)
    assert last(wire, Request(wire.url("/r"))).target == target


@pytest.mark.parametrize("coding", ["latin-1", "none", "8bit", "x-unknown", '"utf-8"', "gzip;q=1"])
def test_what_names_no_content_coding_is_passed_over(wire, coding):
    wire.answers["/"] = page("<title>plain</title>", f"Content-Encoding: {coding}")
    assert walk(Request(wire.url()))[1] == [wire.url()]


def logged_in(came):
    return b"sid=" in (came.header("cookie") or b"")


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize(
    "on_the_way",
    [
        {"/p": to("/p", "Set-Cookie: sid=1")},
        {"/p": to("/sso"), "/sso": to("/p", "Set-Cookie: sid=1; Path=/")},
        {"/p": to("/1"), "/1": to("/2", "Set-Cookie: sid=1; Path=/"), "/2": to("/p")},
        {"/p": page('<meta http-equiv=refresh content="0;URL=/p">', "Set-Cookie: sid=1")},
    ],
)
def test_a_page_behind_a_cookie_is_reached(wire, on_the_way, free):
    wire.answers |= on_the_way
    first = wire.answers["/p"]
    wire.answers["/p"] = lambda came: page() if logged_in(came) else first
    crawl, found = walk(Request(wire.url("/p"), dont_filter=free))
    assert found == [wire.url("/p")]
    assert logged_in(wire.came[-1])
    assert crawl.counts.pages == 1


@pytest.mark.parametrize(
    ("answers", "most", "settings"),
    [
        ({"/p": to("/p")}, 1, {}),
        ({"/p": to("/q"), "/q": to("/p")}, 2, {}),
        ({"/p": to("/p", "Set-Cookie: sid=1")}, 2, {}),
        ({"/p": to("/p", "Set-Cookie: sid=1")}, 1, {"cookies": False}),
        ({"/p": to("/p?"), "/p?": to("/p")}, 2, {}),
    ],
)
def test_a_redirect_that_changes_nothing_is_a_loop(wire, answers, most, settings):
    wire.answers |= answers
    assert walk(Request(wire.url("/p")), **settings)[1] == ["redirect loop"]
    assert len(wire.came) == most


def test_a_site_that_sets_a_new_cookie_each_time_is_left_after_max_redirects(wire):
    wire.answers["/p"] = lambda came: to("/p", f"Set-Cookie: n={len(wire.came)}")
    assert walk(Request(wire.url("/p")), max_redirects=4)[1] == ["too many redirects"]
    assert len(wire.came) == 5


def test_a_page_that_only_reloads_itself_is_a_page(wire):
    wire.answers["/p"] = page('<meta http-equiv=refresh content="30; url=/p">', "Set-Cookie: a=b")
    _, found = walk(Request(wire.url("/p")))
    assert found == [wire.url("/p")]
    assert len(wire.came) == 2, "once more, because the first had no cookie"


@pytest.mark.parametrize(
    ("cookie", "most"),
    [("seen={}", 2), ("seen{}=1", 5)],
    ids=["of a new value each time", "of a new name each time"],
)
def test_a_page_that_reloads_itself_with_a_cookie_is_a_page(wire, cookie, most):
    def news(came):
        setting = cookie.format(len(wire.came))
        return page('<meta http-equiv=refresh content="60; url=/p">', f"Set-Cookie: {setting}")

    wire.answers["/p"] = news
    crawl, found = walk(Request(wire.url("/p")), max_redirects=4)
    assert found == [wire.url("/p")]
    assert len(wire.came) == most
    assert not crawl.counts.failures


@pytest.mark.parametrize(
    ("asked", "other"),
    [
        ("/s?b=1&a=2", "/s?a=2&b=1"),
        ("/s?q=a%20b", "/s?q=a+b"),
        ("/s?", "/s"),
        ("/%7Eme", "/~me"),
        ("/%c3%a4", "/%C3%A4"),
        ("/%C3%A4", "/%c3%a4"),
    ],
)
def test_another_spelling_of_the_same_url_is_fetched(wire, asked, other):
    wire.answers[asked] = to(other, status="301 Moved")
    crawl, found = walk(Request(wire.url(asked)))
    assert found == [wire.url(other)]
    assert not crawl.filtered


def test_the_canonical_url_of_a_page_may_be_its_own_in_another_spelling(wire):
    link = '<html><head><link rel=canonical href="/c?a=1&amp;b=2"></head></html>'
    wire.answers |= {"/c?b=2&a=1": page(link), "/old?a=1&b=2": to("/c?b=2&a=1")}
    assert walk(Request(wire.url("/old?a=1&b=2")), canonical=True)[1] == [wire.url("/c?b=2&a=1")]


def test_a_form_that_became_a_get_says_nothing_about_a_body(wire):
    wire.answers["/in"] = to("/out")
    more = {"Content-Language": "de", "Content-Encoding": "x", "X-Kept": "1"}
    came = last(wire, FormRequest(wire.url("/in"), formdata={"a": "b"}, headers=more))
    assert (came.method, came.body) == ("GET", b"")
    assert not [line for line in came.lines if line.lower().startswith(b"content-")]
    assert came.header("x-kept") == b"1"
    wire.answers["/in"] = to("/out", status="307 Again")
    came = last(wire, FormRequest(wire.url("/in"), formdata={"a": "b"}))
    assert (came.method, came.body) == ("POST", b"a=b")
    assert came.header("content-type") == b"application/x-www-form-urlencoded"


@pytest.mark.parametrize("of_settings", [True, False])
def test_a_host_header_stays_with_its_host(wire, of_settings):
    own = {"Host": "shop.example"}
    wire.answers |= {"/near": to("/end"), "/far": to(wire.url("/end", "127.0.0.2"))}
    settings = {"headers": own} if of_settings else {}
    for path, host in (
        ("/near", b"shop.example"),
        ("/far", wire.url("", "127.0.0.2").encode()[7:]),
    ):
        asked = Request(wire.url(path), headers=None if of_settings else own)
        assert last(wire, asked, **settings).header("host") == host


@pytest.mark.parametrize(
    ("own", "of_settings"),
    [
        ({"Host": "shop.example"}, {}),
        ({}, {"host": "shop.example:81"}),
        ({"Host": "own.example"}, {"Host": "shop.example"}),
        ({"Host": None}, {"Host": "shop.example"}),
        ({"Host": ""}, {}),
    ],
)
def test_cookies_of_a_request_go_to_the_host_of_its_header(wire, own, of_settings):
    asked = Request(wire.url(), cookies={"a": "b"}, headers=own)
    assert last(wire, asked, headers=of_settings).header("cookie") == b"a=b"


class Linked(Spider):
    """Follows one link of each page."""

    name = "linked"
    more = None
    target = ""

    def parse(self, response):
        if not response.meta.get("followed"):
            yield Request(self.target, meta={"followed": True}, **(self.more or {}))


class First(Linked):
    """Follows the first link of each page as it is written."""

    def parse(self, response):
        if not response.meta.get("followed"):
            yield response.follow(response.css("a")[0], meta={"followed": True})


def referers(wire, start, target, spider=Linked, **settings):
    crawled(type("L", (spider,), {"target": target}), start, **settings)
    return [each.header("referer") for each in wire.came]


def test_a_link_tells_its_page_and_a_start_request_tells_nothing(wire):
    start = wire.url("/a?b=1#c").replace("://", "://me:secret@")
    far = wire.url("/x", "127.0.0.2")
    assert referers(wire, wire.url("/a?b=1#c"), wire.url("/x")) == [
        None,
        wire.url("/a?b=1").encode(),
    ]
    wire.came.clear()
    assert referers(wire, start, far) == [None, wire.url("/").encode()]


def test_the_policy_is_that_of_the_request_of_the_page_or_of_the_crawl(wire):
    near, page_url = wire.url("/x"), wire.url("/a").encode()
    origin = wire.url("/").encode()
    assert referers(wire, wire.url("/a"), near, referrer_policy="origin")[1] == origin
    wire.answers["/a"] = page("x", "Referrer-Policy: no-referrer, strict-origin, unknown")
    wire.came.clear()
    assert referers(wire, wire.url("/a"), near)[1] == origin
    wire.came.clear()
    assert referers(wire, wire.url("/a"), near, referrer_policy="same-origin")[1] == page_url
    wire.came.clear()
    said = '<meta name="referrer" content="never"><a href="/x" referrerpolicy="unsafe-url">'
    wire.answers["/a"] = page(said, "Referrer-Policy: origin")
    assert referers(wire, wire.url("/a"), near)[1] is None
    wire.came.clear()
    assert referers(wire, wire.url("/a"), near, First)[1] == page_url
    wire.came.clear()
    assert referers(wire, wire.url("/a"), near, First, referrer_policy="origin")[1] == origin
    wire.came.clear()
    own = type("Own", (Linked,), {"more": {"headers": {"Referer": "http://else/"}}})
    assert referers(wire, wire.url("/a"), near, own)[1] == b"http://else/"
    wire.came.clear()
    none = type("None", (Linked,), {"more": {"headers": {"Referer": None}}})
    assert referers(wire, wire.url("/a"), near, none)[1] is None
    assert page_url


def test_a_request_without_a_page_tells_nothing_on_a_connection_that_did(wire):
    class Two(Linked):
        def start(self):
            yield Request(wire.url("/a"))
            yield Request(wire.url("/b"), priority=-1)
            yield Request(wire.url("/c"), method="POST", body="x", priority=-2)

    crawled(type("T", (Two,), {"target": wire.url("/x")}), concurrency=1, host_concurrency=1)
    told = {each.target: each.header("referer") for each in wire.came}
    assert told["/x"] == wire.url("/a").encode()
    assert {told[path] for path in ("/a", "/b", "/c")} == {None}


def test_a_redirect_tells_each_target_what_it_may_know(wire):
    far = wire.url("/far", "127.0.0.2")
    wire.answers |= {"/hop": to(far), "/far": to(wire.url("/end"))}
    page_url, origin = wire.url("/a").encode(), wire.url("/").encode()
    assert referers(wire, wire.url("/a"), wire.url("/hop")) == [None, page_url, origin, origin]
    wire.came.clear()
    wire.answers["/hop"] = to(wire.url("/end"), "Referrer-Policy: no-referrer")
    assert referers(wire, wire.url("/a"), wire.url("/hop")) == [None, page_url, None]
    wire.came.clear()
    stubborn = {"referrer_policy": "origin"}
    assert referers(wire, wire.url("/a"), wire.url("/hop"), **stubborn) == [None, origin, origin]


def test_a_page_that_refreshes_to_another_is_what_that_one_is_told(wire):
    """As browsers do: the page sends there, as its links would (HTML standard, 4.2.5.3)."""
    far = wire.url("/x", "127.0.0.2")
    refresh = f'<meta http-equiv=refresh content="0;url={far}">'
    wire.answers |= {"/b": page(refresh), "/hop": to(wire.url("/b"))}
    origin, page_url = wire.url("/").encode(), wire.url("/a").encode()
    assert referers(wire, wire.url("/b"), wire.url("/c"))[:2] == [None, origin]
    wire.came.clear()
    assert referers(wire, wire.url("/a"), wire.url("/hop")) == [None, page_url, page_url, origin]
    wire.came.clear()
    wire.answers["/b"] = page(f"<meta name=referrer content=unsafe-url>{refresh}")
    told = [None, page_url, page_url, wire.url("/b").encode()]
    assert referers(wire, wire.url("/a"), wire.url("/hop")) == told
    wire.came.clear()
    wire.answers["/b"] = page(refresh, "Referrer-Policy: no-referrer")
    assert referers(wire, wire.url("/a"), wire.url("/hop"))[-1] is None


def test_a_task_cannot_put_lines_onto_the_wire(wire):
    with running_engine() as engine:
        for key, value in {
            "user_agent": "x\r\nX-Injected: 1",
            "user_agents": ["fine/1", "x\nX-Injected: 1"],
            "headers": {"X-A": "1\x00"},
            "http_user": "me\r\nX-Injected: 1",
            "http_password": "p\r\nq",
            "proxies": ["http://h:1\r\n"],
        }.items():
            task = spec(OnlyTitles, wire.url(), settings={key: value})
            with pytest.raises(InvalidArgument, match=f"parameters.settings.{key}"):
                engine.crawl(task, ListSink())
    assert wire.came == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (page("x", f"X-Long: {'a' * 200_000}"), "its headers, or one of them, are too long"),
        (page("x", "Upgrade: h2c", status="101 Switching Protocols"), "HTTP 101 is no answer"),
    ],
)
def test_what_is_no_answer_fails_and_says_why(wire, answer, told, caplog):
    caplog.set_level(logging.INFO)
    wire.answers["/"] = answer
    crawl, items = crawled(OnlyTitles, wire.url("/"), retries=0)
    assert (items, crawl.failures_by_reason) == ([], {"bad response": 1})
    [failed] = [each.fields for each in caplog.records if each.message == "page failed"]
    assert told in failed["reason"]

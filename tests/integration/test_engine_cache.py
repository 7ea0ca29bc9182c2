"""The HTTP cache: what it gives back unasked, what it asks about, and what it never keeps."""

import sqlite3
import time
from contextlib import closing
from urllib.parse import quote

import pytest

from crawler import Request, Spider
from crawler.engine.download.http_cache import Cache
from crawler.engine.http.messages import FetchCall, FetchLimits
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from tests.site import Site
from tests.site.asked import HTML, Reply
from tests.site.crawling import ListSink, crawled, run, running_engine, spec


class Flags(Spider):
    """Tells how each page was come by."""

    name = "flags"

    def parse(self, response):
        yield {"text": response.text, "flags": response.flags}
        yield from response.follow_all(css="a")


def said(asked):
    """/said?h=Name:value;Name:value: a page with these headers; its text is the count."""
    headers = [HTML, *(tuple(line.split(":", 1)) for line in asked.query["h"].split(";"))]
    etag = dict(headers).get("ETag", "nothing")
    if asked.headers.get("HTTP_IF_NONE_MATCH") == etag:
        return Reply(b"", 304, [("ETag", etag), ("Cache-Control", "max-age=60")])
    return Reply(str(asked.count).encode(), int(asked.number("status", 200)), headers)


def enter(asked):
    """/enter?c=Name=value; Path=/: a page that sets a cookie, and may be kept."""
    return Reply(b"in", 200, [HTML, ("Set-Cookie", asked.query["c"]), KEPT])


def login(asked):
    """/login?c=…: the same, but nobody may keep it."""
    return Reply(
        b"in", 200, [HTML, ("Set-Cookie", asked.query["c"]), ("Cache-Control", "no-store")]
    )


def ticket(asked):
    """/ticket: a page that gives each who asks a cookie of his own."""
    return Reply(b"in", 200, [HTML, ("Set-Cookie", f"sid={asked.count}; Path=/"), KEPT])


def renewed(asked):
    """/renewed: a page with two cookies that must be validated. Then one cookie is another."""
    etag = ("ETag", '"a"')
    if asked.headers.get("HTTP_IF_NONE_MATCH"):
        return Reply(b"", 304, [etag, KEPT, ("Set-Cookie", "sid=2; Path=/")])
    first = [("Set-Cookie", f"{pair}; Path=/") for pair in ("sid=1", "lang=de")]
    return Reply(b"in", 200, [HTML, etag, *first])


def greeting(asked):
    """/greeting/…: a page whose text is the cookies that came, in their order by name."""
    came = asked.headers.get("HTTP_COOKIE", "")
    text = "; ".join(sorted(came.split("; ")))
    return Reply(text.encode(), 200, [HTML, KEPT, ("Vary", "Accept, Cookie")])


KEPT = ("Cache-Control", "max-age=60")


@pytest.fixture
def site():
    pages = [said, enter, login, ticket, renewed, greeting]
    with Site(pages={page.__name__: page for page in pages}) as site:
        yield site


@pytest.fixture
def stored(tmp_path):
    cache = Cache(tmp_path / "cache", 1_000_000)
    yield cache
    cache.close()


def texts(stored, *urls, **settings):
    """The pages, and whether each came from the cache, with the statistics of the crawl."""
    crawl, items = crawled(Flags, *urls, stored=stored, **{"retries": 0, **settings})
    return crawl, [(item["text"], "cached" in item["flags"]) for item in items]


def twice(site, stored, path, **settings):
    """The second of two crawls of a page."""
    texts(stored, site.url(path), **settings)
    return texts(stored, site.url(path), **settings)[1]


def test_without_it_every_page_is_fetched(site, stored):
    assert twice(site, stored, "/said?h=Cache-Control:max-age=60", cache="none") == [("2", False)]


def test_always_is_whatever_came_once_and_waits_for_no_delay(site, stored):
    urls = [site.url(f"/said?h=Cache-Control:no-store&n={number}") for number in range(5)]
    texts(stored, *urls, cache="always")
    began_s = time.monotonic()
    crawl, found = texts(stored, *urls, cache="always", delay_s=30.0)
    assert time.monotonic() - began_s < 30.0
    assert found == [("1", True)] * 5
    assert len(site.hits) == 5
    assert crawl.statistics.from_cache == 5
    assert crawl.counts.pages == 5


def test_a_request_may_leave_it_aside(site, stored):
    class Fresh(Flags):
        def start(self):
            yield Request(self.url, meta={"dont_cache": True})

    Fresh.url = site.url("/said?h=Cache-Control:max-age=60")
    assert texts(stored, Fresh.url, cache="always")[1] == [("1", False)]
    _, items = crawled(Fresh, stored=stored, cache="always")
    assert [item["text"] for item in items] == ["2"], "it was sent"
    assert texts(stored, Fresh.url, cache="always")[1] == [("1", True)], "and not kept"


def test_what_has_expired_is_fetched_anew(site, stored):
    path = "/said?h=X:y"
    assert twice(site, stored, path, cache="always", cache_expires_s=0.000001) == [("2", False)]


def test_a_failure_that_may_pass_is_not_kept(site, stored):
    twice(site, stored, "/said?h=X:y&status=503", cache="always")
    assert len(site.hits) == 2


@pytest.mark.parametrize(
    ("headers", "second"),
    [
        ("Cache-Control:max-age=60", ("1", True)),
        ("Cache-Control:max-age=60, no-store", ("2", False)),
        ("Cache-Control:max-age=0", ("2", False)),
        ("Cache-Control:no-cache", ("2", False)),
        ("Cache-Control:max-age=60;Age:61", ("2", False)),
        ("Cache-Control:max-age=60;Vary:*", ("2", False)),
        ("Cache-Control:max-age=60;Vary:Accept", ("1", True)),
        ("Expires:Thu, 01 Jan 2099 00:00:00 GMT", ("1", True)),
        ("Expires:0", ("2", False)),
        ("Last-Modified:Thu, 01 Jan 2015 00:00:00 GMT", ("1", True)),
        ("X:y", ("2", False)),
        ('ETag:"a"', ("1", True)),
    ],
)
def test_after_rfc_9111(site, stored, headers, second):
    path = f"/said?h={headers}".replace(" ", "%20").replace(";", "%3B").replace('"', "%22")
    assert twice(site, stored, path, cache="rfc9111") == [second]


def test_what_was_validated_is_fresh_again(site, stored):
    url = site.url("/said?h=ETag:a")
    for _ in range(3):
        texts(stored, url, cache="rfc9111")
    assert len(site.hits) == 2, "the 304 said that it is fresh for a minute"


def test_a_page_that_varies_is_another_for_another_agent(site, stored):
    url = site.url("/said?h=Cache-Control:max-age=60%3BVary:User-Agent")
    texts(stored, url, cache="rfc9111", user_agent="one")
    assert texts(stored, url, cache="rfc9111", user_agent="two")[1] == [("2", False)]
    assert texts(stored, url, cache="rfc9111", user_agent="two")[1] == [("2", True)]


@pytest.mark.parametrize(
    ("by", "one", "two"),
    [
        ("Cookie", {"headers": {"Cookie": "lang=de"}}, {"headers": {"Cookie": "lang=en"}}),
        ("Cookie", {}, {"headers": {"Cookie": "lang=en"}}),
        ("Authorization", {}, {"http_user": "me"}),
        ("Authorization", {"http_user": "you"}, {"http_user": "me"}),
    ],
)
def test_a_page_that_varies_is_another_for_another_cookie_and_user(site, stored, by, one, two):
    url = site.url(f"/said?h=Cache-Control:max-age=60%3BVary:{by}")
    texts(stored, url, cache="rfc9111", **one)
    assert texts(stored, url, cache="rfc9111", **one)[1] == [("1", True)]
    assert texts(stored, url, cache="rfc9111", **two)[1] == [("2", False)]
    assert texts(stored, url, cache="rfc9111", **two)[1] == [("2", True)]


class Members(Spider):
    """Fetches each path in its session, one after the other."""

    name = "members"
    visits = ()
    """Pairs of a session and a URL."""

    def start(self):
        yield self.request(0)

    def request(self, number):
        session, url = self.visits[number]
        own = {"cookies": {"own": "1"}} if session == "own" else {}
        more = {"cb_kwargs": {"number": number}, "dont_filter": True, **own}
        return Request(url, meta={"cookiejar": session}, **more)

    def parse(self, response, number):
        yield {"text": response.text, "cached": "cached" in response.flags}
        if number + 1 < len(self.visits):
            yield self.request(number + 1)


def visited(stored, cache, *visits):
    """The texts of the pages in turn, and whether each came from the cache."""
    spider = type("M", (Members,), {"visits": visits})
    settings = {"cache": cache, "delay_s": 0.0, "robots": False}
    _, items = crawled(spider, stored=stored, **settings)
    return [(item["text"], item["cached"]) for item in items]


@pytest.mark.parametrize("cache", ["rfc9111", "always"])
def test_a_page_that_varies_is_that_of_the_cookies_in_the_jar(site, stored, cache):
    enter, page = site.url("/enter?c=sid={}"), site.url("/greeting")
    one, two = ("one", enter.format(1)), ("two", enter.format(2))
    assert visited(stored, cache, one, two, ("one", page), ("two", page), ("two", page)) == [
        ("in", False),
        ("in", False),
        ("sid=1", False),
        ("sid=2", False),
        ("sid=2", True),
    ]
    assert visited(stored, cache, ("none", page), ("own", page)) == [("", False), ("own=1", False)]


@pytest.mark.parametrize("cache", ["rfc9111", "always"])
def test_an_answer_from_the_cache_sets_its_cookies_again(site, stored, cache):
    visits = [("one", site.url("/enter?c=sid=1%3B%20Path=/")), ("one", site.url("/greeting"))]
    assert visited(stored, cache, *visits) == [("in", False), ("sid=1", False)]
    assert visited(stored, cache, *visits) == [("in", True), ("sid=1", True)]


def test_an_old_answer_from_the_cache_logs_nobody_out(site, stored):
    old = ("one", site.url("/enter?c=sid=old%3B%20Path=/"))
    new = ("one", site.url("/login?c=sid=new%3B%20Path=/"))
    assert visited(stored, "rfc9111", old) == [("in", False)]
    found = visited(stored, "rfc9111", new, old, ("one", site.url("/greeting")))
    assert found == [("in", False), ("in", True), ("sid=new", False)]


def test_cookies_of_another_path_or_name_are_no_reason_to_leave_one_out(site, stored):
    old = ("one", site.url("/enter?c=sid=old%3B%20Path=/"))
    there = ("one", site.url("/login?c=sid=new%3B%20Path=/elsewhere"))
    other = ("one", site.url("/login?c=id=new%3B%20Path=/"))
    visited(stored, "rfc9111", old)
    found = visited(stored, "rfc9111", there, other, old, ("one", site.url("/greeting")))
    assert found[-2:] == [("in", True), ("id=new; sid=old", False)]


def test_a_cookie_that_comes_with_a_304_wins_and_is_kept(site, stored):
    page, after = ("one", site.url("/renewed")), ("one", site.url("/greeting"))
    assert visited(stored, "rfc9111", page) == [("in", False)]
    assert visited(stored, "rfc9111", page, after)[1] == ("lang=de; sid=2", False)
    assert visited(stored, "rfc9111", page, after) == [("in", True), ("lang=de; sid=2", True)]


def test_one_session_gets_nothing_that_another_was_given(site, stored):
    visits = [(who, site.url(path)) for path in ("/ticket", "/greeting") for who in ("one", "two")]
    found = ["in", "in", "sid=1", "sid=2"]
    assert visited(stored, "always", *visits) == [(text, False) for text in found]
    assert visited(stored, "always", *visits) == [(text, True) for text in found]


@pytest.mark.parametrize(
    ("cookie", "is_sent"),
    [
        ("a=b; Path=/greeting", True),
        ("a=b; Path=/greet", False),
        ("a=b; Path=/greeting/x/", True),
        ("a=b; Secure; Path=/", True),
        ("a=b; HttpOnly; Path=/; Max-Age=60", True),
        ("a=b; Path=/; Max-Age=0", False),
        ("a=; Path=/", True),
        ("a=b; Domain=other.example; Path=/", False),
    ],
)
def test_the_cookies_that_are_compared_are_those_that_are_sent(site, stored, cookie, is_sent):
    page = ("one", site.url("/greeting/x"))
    first = visited(stored, "always", page)
    assert first == [("", False)]
    enter = ("one", site.url(f"/enter?c={quote(cookie)}"))
    (_, second) = visited(stored, "always", enter, page)
    pair = cookie.partition(";")[0]
    assert second == ((pair, False) if is_sent else ("", True))


@pytest.mark.parametrize(
    "name",
    [
        "schlüssel".encode(),
        "voilà".encode(),  # its last byte is a space in Latin-1
        "schlüssel".encode("latin-1"),
        "\N{LOCK}".encode(),
    ],
)
@pytest.mark.parametrize("cache", ["rfc9111", "always"])
def test_a_cookie_of_any_name_belongs_to_its_session_alone(site, stored, cache, name):
    wire = name.decode("latin-1")  # as WSGI has it
    enter, page = site.url("/enter?c={}"), site.url("/greeting")
    pairs = {who: f"{wire}={who}" for who in ("one", "two")}
    visits = [(who, enter.format(quote(f"{pair}; Path=/"))) for who, pair in pairs.items()]
    visits += [(who, page) for who in ("one", "two", "three")]
    found = ["in", "in", *pairs.values(), ""]
    assert visited(stored, cache, *visits) == [(text, False) for text in found]
    assert visited(stored, cache, *visits) == [(text, True) for text in found]


def test_a_file_of_an_earlier_version_is_begun_anew(site, tmp_path):
    file = tmp_path / "answers.sqlite"
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE answers (url TEXT PRIMARY KEY, stored_s REAL, body BLOB)")
    with closing(Cache(tmp_path)) as cache:
        assert twice(site, cache, "/said?h=X:y", cache="always") == [("1", True)]


def test_it_stays_within_its_size(site, stored):
    urls = [site.url(f"/big?bytes=100000&n={number}") for number in range(25)]
    crawled(Flags, *urls, stored=stored, cache="always", concurrency=1, host_concurrency=1)
    assert [cached for _, cached in texts(stored, *urls[-5:], cache="always")[1]] == [True] * 5
    assert [cached for _, cached in texts(stored, *urls[:5], cache="always")[1]] == [False] * 5


def test_a_broken_file_is_no_answer_and_no_fault(site, tmp_path):
    (tmp_path / "answers.sqlite").write_bytes(b"not a database" * 1000)
    assert twice(site, Cache(tmp_path), "/said?h=X:y", cache="always") == [("1", True)]


@pytest.fixture
def locked(tmp_path):
    """Takes the lock of the cache's file, as another process does, until the function it returns
    is called."""
    with closing(sqlite3.connect(tmp_path / "answers.sqlite", isolation_level=None)) as other:

        def lock(kind):
            other.execute(f"BEGIN {kind}")
            return other.rollback

        yield lock


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_file_to_which_another_process_writes_is_read_all_the_same(site, tmp_path, locked):
    with closing(Cache(tmp_path)) as cache:
        texts(cache, site.url("/said?h=X:y"), cache="always")
    locked("IMMEDIATE")
    with closing(Cache(tmp_path)) as cache:
        found = texts(cache, site.url("/said?h=X:y"), cache="always")[1]
    assert found == [("1", True)]
    assert "answers.broken" not in names(tmp_path)


def test_a_file_that_cannot_be_opened_for_a_while_is_not_broken(site, tmp_path, locked, caplog):
    free = locked("EXCLUSIVE")  # the file is new: it can be neither read nor made
    with closing(Cache(tmp_path)) as cache:
        assert twice(site, cache, "/said?h=X:y", cache="always") == [("2", False)]
        assert names(tmp_path) <= {"answers.sqlite", "answers.sqlite-journal"}
        (told,) = [line for line in caplog.messages if "HTTP cache" in line]
        assert "cannot be opened; pages are fetched until it can" in told
        free()
        assert twice(site, cache, "/said?h=X:y", cache="always") == [("3", True)]


def test_a_broken_file_is_kept_aside_with_its_log(tmp_path):
    for part in ("", "-wal", "-shm"):
        (tmp_path / f"answers.sqlite{part}").write_bytes(b"%s no database" % part.encode() * 999)
    with closing(Cache(tmp_path)) as cache:
        assert cache.get("task", asked("http://x.example/")) is None
        cache.close()
        assert names(tmp_path) == {
            "answers.sqlite",
            *(f"answers.broken{part}" for part in ("", "-wal", "-shm")),
        }
    assert (tmp_path / "answers.broken-wal").read_bytes().startswith(b"-wal no database")


def asked(url):
    return FetchCall(url, (), FetchLimits.of(CrawlSettings()), 5.0)


def test_redirects_come_from_it_too(site, stored):
    url = site.url("/redirect?n=2")
    for _ in range(2):
        with running_engine(Flags, stored=stored, cache="always") as engine:
            sink = ListSink()
            run(engine.crawl(spec(Flags, url), sink))
            assert len(sink.items) == 1
    assert len(site.hits) == 3


def test_what_one_task_was_given_is_not_for_another(site, stored):
    with running_engine(Flags, stored=stored, cache="always") as engine:

        def read(task):
            sink = ListSink()
            asked = {"start_urls": [site.url("/said?h=X:y")]}
            run(engine.crawl(Spec(task, "flags", asked), sink))
            return [(item["text"], "cached" in item["flags"]) for item in sink.items]

        assert read("one") == [("1", False)]
        assert read("other") == [("2", False)]
        assert read("one") == [("1", True)]

"""What the HTTP cache asks of the jars of cookies, which may be large."""

from contextlib import closing

import pytest

from crawler.engine.download import cookies
from crawler.engine.download.cache_policy import MOST_NOTES, CachePolicy
from crawler.engine.download.cookies import CookieJar
from crawler.engine.download.http_cache import Cache
from crawler.engine.http.messages import FetchAnswer, FetchCall, FetchLimits
from crawler.settings.crawl import CrawlSettings

SETTINGS = CrawlSettings(cache="always")
TERMS = FetchLimits.of(SETTINGS)


class Jar(CookieJar):
    """Counts how often all of it is listed."""

    listed = 0

    def lines(self):
        self.listed += 1
        return super().lines()

    def gets(self, value, domain="one.example"):
        self.add("sid", value, domain=domain, below=False, path="/", secure=False)


@pytest.fixture
def jar():
    return Jar()


@pytest.fixture
def policy(tmp_path):
    with closing(Cache(tmp_path)) as store:
        yield CachePolicy(store, "task", SETTINGS, lambda: 0.0)


def asked(jar, path="/", host="one.example"):
    return FetchCall(f"http://{host}{path}", (), TERMS, 5.0, jar=jar)


def fetch(policy, call, vary="Accept"):
    arrived = policy.asking(call, lambda result: None)
    arrived(FetchAnswer(200, [b"HTTP/1.1 200 OK", b"Vary: %s" % vary.encode()], b"page", 0.1))


def is_kept(policy, call):
    return policy.fresh(call) is not None


def test_the_jar_is_left_alone_where_no_page_varies_by_cookie(policy, jar):
    for number in range(MOST_NOTES + 50):
        call = asked(jar, f"/{number}", f"h{number % 9}.example")
        fetch(policy, call)
        assert is_kept(policy, call)
    assert jar.listed == MOST_NOTES


def test_pages_that_vary_by_cookie_are_those_of_the_cookies_that_were_sent(policy, jar):
    pages = [asked(jar, f"/{number}") for number in range(3)]
    for number, page in enumerate(pages):
        jar.gets(str(number))
        fetch(policy, page, "Accept, cookie")
        assert [is_kept(policy, each) for each in pages] == [each is page for each in pages]


def test_a_page_whose_cookies_were_not_noted_is_not_kept_but_the_next_is(policy, jar):
    for _ in range(MOST_NOTES):
        fetch(policy, asked(jar, "/plain"))
    fetch(policy, asked(jar, "/first"), "Cookie")
    fetch(policy, asked(jar, "/second"), "Cookie")
    fetch(policy, asked(jar, "/plain"))
    fetch(policy, asked(jar, "/third"), "Cookie")
    kept = [is_kept(policy, asked(jar, path)) for path in ("/first", "/second", "/third")]
    assert kept == [False, True, True]


def test_cookies_of_other_domains_are_not_parsed(jar, monkeypatch):
    for number in range(50):
        jar.gets("other", f"h{number}.example")
    jar.gets("own")
    parsed = []
    of = cookies._Kept.of
    monkeypatch.setattr(cookies._Kept, "of", lambda line: parsed.append(line) or of(line))
    assert cookies.sent(asked(jar)) == "sid=own"
    assert jar.lines_of({"sid"}, "one.example") == parsed[:1]
    jar.restore(parsed[:1])
    assert {line.partition("\t")[0] for line in parsed} == {"one.example"}


def test_processes_that_share_the_cache_keep_its_bound_together(tmp_path):
    with closing(Cache(tmp_path, 100)) as one, closing(Cache(tmp_path, 100)) as other:
        policies = [CachePolicy(each, "task", SETTINGS, lambda: 0.0) for each in (one, other)]
        pages = [asked(Jar(), f"/{number}") for number in range(24)]
        for number, page in enumerate(pages):
            fetch(policies[number % 2], page)  # four bytes each
        assert all(is_kept(policies[0], page) for page in pages)
        for _ in range(9):
            fetch(policies[0], pages[0])  # in place of itself
        assert all(is_kept(policies[1], page) for page in pages)
        for number in range(24, 26):
            fetch(policies[number % 2], asked(Jar(), f"/{number}"))
        assert sum(is_kept(policies[0], page) for page in pages) < len(pages)

"""robots.txt: what its status and its lines allow, and how often it is asked for."""

import time

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.clock import ManualClock, settle
from crawler.engine.http.messages import Credentials, FetchAnswer, FetchError, Identity
from crawler.engine.politeness.robots import KEPT_S, MAX_BYTES, OLD_KEPT_S, Robots, read
from crawler.engine.politeness.robots_lines import plain, token
from crawler.engine.politeness.robots_rules import Rules, agent_of, way_of
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor
from tests.unit.engine.fakes import FakeFetcher
from tests.waiting import eventually

RULES = b"""User-agent: *
Disallow: /private
Allow: /private/open
Crawl-delay: 4

User-agent: crawler
Disallow: /only-for-others
"""
SITE = "http://h:81"


def answer(status=200, body=b"", *headers):
    return FetchAnswer(status, headers, body, 0.0)


@pytest.mark.parametrize(
    ("path", "agent", "allowed"),
    [
        ("/private/x", "other/1.0", False),
        ("/private/open", "other/1.0", True),
        ("/x", "other/1.0", True),
        ("/private/x", "crawler/0.1 (+http://me)", True),
        ("/only-for-others", "crawler/0.1", False),
        ("/only-for-others", "Crawler/7", False),
    ],
)
def test_rules_are_those_of_the_first_word_of_the_user_agent(path, agent, allowed):
    assert read(answer(body=RULES)).allows(SITE + path, agent) is allowed


CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("crawler/0.1", "crawler"),
        ("My Bot/2", "My"),
        ("bot", "bot"),
        ("My_Own-Bot (+http://me)", "My_Own-Bot"),
        ("", ""),
        (" / ", ""),
        ("Mozilla/5.0 (compatible; NewsBot/0.3; +http://news.example/bot)", "NewsBot"),
        ("Mozilla/5.0 (compatible; newsbot; http://news.example/)", "newsbot"),
        (f"{CHROME}; compatible; NewsBot/2.1; +http://news.example) Chrome/1 Safari/2", "NewsBot"),
        (f"{CHROME}) Version/1 Safari/2 (NewsReader/0.1; +http://news.example/)", "NewsReader"),
        (f"{CHROME}) Safari/2 NewsCrawler/1.2", "NewsCrawler"),
        ("Mozilla/5.0 (compatible; +http://news.example/)", "Mozilla"),
        (f"{CHROME}) Chrome/1 Safari/2", "Mozilla"),
    ],
)
def test_the_product_token_is_the_first_word_or_that_of_the_robot_behind_mozilla(agent, name):
    assert token(agent) == name


def test_a_setting_names_the_product_token():
    assert agent_of(CrawlSettings(user_agent="a/1")) == "a/1"
    assert agent_of(CrawlSettings(user_agent="a/1", robots_user_agent="b")) == "b"


def allowed(rules, *paths, agent="newsbot/1"):
    rules = read(answer(body=rules.encode()))
    return [path for path in paths if rules.allows(SITE + path, agent)]


@pytest.mark.parametrize(
    "line",
    ["NewsBot", "newsbot/2.0", "NEWSBOT # us", "Mozilla/5.0 (compatible; NewsBot/1.0)", "newsbot*"],
)
def test_a_group_is_ours_whatever_stands_beside_its_token(line):
    assert allowed(f"User-agent: {line}\nDisallow: /a", "/a", "/b") == ["/b"]


@pytest.mark.parametrize("other", ["news", "bot", "newsbot-images", "my-newsbot"])
def test_a_part_of_our_token_is_another_robot(other):
    assert allowed(f"User-agent: {other}\nDisallow: /\n", "/a") == ["/a"]


@pytest.mark.parametrize(
    "between",
    [
        "Sitemap: http://h/s.xml",
        "Host: h",
        "Foo: bar",
        "",
        "# a comment",
        "Crawl-delay: 1",
        "what?",
    ],
)
def test_no_other_line_ends_a_list_of_agents(between):
    rules = f"User-agent: newsbot\n{between}\nUser-agent: other\n{between}\nDisallow: /a\n"
    assert allowed(rules, "/a", "/b") == ["/b"]
    assert allowed(rules, "/a", "/b", agent="other") == ["/b"]


def test_a_group_without_rules_allows_everything():
    rules = "User-agent: *\nDisallow: /\n\nUser-agent: newsbot\n"
    assert allowed(rules, "/a") == ["/a"]
    assert allowed(rules, "/a", agent="other") == []


def test_a_delay_between_agents_is_that_of_those_before_it():
    rules = read(answer(body=b"User-agent: a\nCrawl-delay: 7\nUser-agent: *\nDisallow: /x"))
    assert (rules.delay_s("a/1"), rules.delay_s("b/1")) == (7.0, 0.0)
    assert not rules.allows(f"{SITE}/x", "a/1")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_each_end_of_a_line_and_a_mark_before_the_first_are_understood(end, mark):
    text = end.join(["User-agent: *", "Disallow: /a", "Allow: /a/b", ""])
    rules = read(answer(body=mark + text.encode()))
    assert [rules.allows(f"{SITE}{path}", "x") for path in ("/a", "/a/b", "/c")] == [
        *(False, True, True)
    ]


@pytest.mark.parametrize(
    ("rules", "paths", "may"),
    [
        ("Disallow: /a\nAllow: /a/b", ["/a/c", "/a/b/c"], ["/a/b/c"]),  # the longest counts
        ("Disallow: /page\nAllow: /page", ["/page"], ["/page"]),  # of equals, allow
        ("Disallow: /*.gif$", ["/x.gif", "/x.gif?y", "/x.gifs"], ["/x.gif?y", "/x.gifs"]),
        ("Disallow: /a*b*c", ["/a1b2c3", "/abc", "/acb"], ["/acb"]),
        ("Disallow: /caf%c3%a9", ["/caf%C3%A9", "/cafe"], ["/cafe"]),
        ("Disallow: /café", ["/caf%C3%A9/x", "/cafe"], ["/cafe"]),
        ("Disallow: /%62ar", ["/bar", "/%62ar", "/b"], ["/b"]),
        ("Disallow: /a%2Fb", ["/a/b", "/a%2fb"], ["/a/b"]),
        ("Disallow: /A", ["/a", "/A"], ["/a"]),
        ("Disallow: /?u=http://h", ["/?u=http%3A%2F%2fh", "/?u=http://h", "/?u="], ["/?u="]),
        ("Disallow: /?u=http%3a%2F%2Fh", ["/?u=http%3A//h", "/?u=http://h", "/?u="], ["/?u="]),
        ("Disallow: /a%2Ab\nDisallow: /c%24", ["/a*b", "/axb", "/c$", "/cd"], ["/axb", "/cd"]),
        ("Disallow: /x?id=", ["/x?id=1", "/x"], ["/x"]),
        ("Disallow:", ["/a"], ["/a"]),
        ("Disallow: /", ["/a", "/robots.txt"], ["/robots.txt"]),
        ("DISALLOW : /a", ["/a"], []),
    ],
)
def test_rules_match_as_the_standard_says(rules, paths, may):
    assert allowed(f"User-agent: *\n{rules}\n", *paths) == may


@pytest.mark.parametrize("status", [200, 401, 403, 404])
def test_no_rules_allow_everything(status):
    assert read(answer(status)).allows(SITE, "a") is True


@pytest.mark.parametrize("status", [429, 500, 503, 599])
def test_a_broken_site_allows_nothing(status):
    rules = read(answer(status, b"User-agent: *\nAllow: /"))
    assert not rules.allows(SITE, "a")
    assert rules.trouble == f"robots.txt: HTTP {status}"


def test_crawl_delay_is_that_of_the_agent_and_has_a_limit():
    rules = read(answer(body=RULES))
    assert rules.delay_s("other/1.0") == 4.0
    assert rules.delay_s("crawler/0.1") == 0.0
    assert Rules().delay_s("a") == 0.0
    assert read(answer(body=b"User-agent: *\nCrawl-delay: 99999")).delay_s("a") == 300.0


def test_what_lies_beyond_the_limit_is_ignored():
    body = b"User-agent: *\nDisallow: /early\n" + b"#" * MAX_BYTES + b"\nDisallow: /late\n"
    rules = read(answer(body=body))
    assert not rules.allows(f"{SITE}/early", "a")
    assert rules.allows(f"{SITE}/late", "a")


def test_a_line_that_is_cut_by_the_limit_is_no_rule():
    body = b"User-agent: *\n#" + b"x" * (MAX_BYTES - 27) + b"\nDisallow: /late\n"
    assert body[:MAX_BYTES].endswith(b"Disallow: /")
    rules = read(answer(body=body))
    assert rules.allows(f"{SITE}/a", "a")
    assert rules.ignored_bytes == len(b"Disallow: /late\n")


AS = Identity(("User-Agent: a",))


class Asking:
    """Robots on a fake network."""

    def __init__(self, *answers, delay_s=0.0):
        self.clock = ManualClock()
        queue = list(answers)
        self.fetcher = FakeFetcher(
            self.clock, lambda call: queue.pop(0) if len(queue) > 1 else queue[0], delay_s
        )
        self.robots = Robots(self.fetcher, Supervisor("test"), self.clock)
        self.told = 0

    def ask(self, origin=SITE, way=0, identity=AS):
        self.robots.ask(origin, CrawlSettings(), identity, self._ready, way=way)
        settle()

    def _ready(self):
        self.told += 1


def test_who_asks_in_another_way_has_rules_of_its_own():
    """A task with a proxy of its own says nothing of what others may fetch."""
    settings = CrawlSettings(proxies=("http://p:1",))
    usual, own = way_of(CrawlSettings(), AS), way_of(settings, AS)
    it = Asking(answer(body=RULES), answer(status=404))
    it.ask(way=usual)
    assert it.robots.rules(SITE, own) is None
    it.ask(way=own)
    assert it.robots.rules(SITE, own).allows(f"{SITE}/private", "a")
    assert not it.robots.rules(SITE, usual).allows(f"{SITE}/private", "a")
    assert way_of(CrawlSettings(), Identity((*AS.headers, "Host: other"))) != usual
    assert way_of(CrawlSettings(verify_tls=False), AS) != usual
    assert way_of(CrawlSettings(retries=9), AS) == usual


def test_concurrent_asks_share_one_fetch():
    it = Asking(answer(body=RULES), delay_s=1.0)
    for _ in range(5):
        it.ask()
    assert it.robots.rules(SITE) is None
    it.clock.advance(1.0)
    assert it.told == 5
    assert it.fetcher.urls() == [f"{SITE}/robots.txt"]
    assert it.robots.rules(SITE) is not None


def test_scheme_host_and_port_each_have_their_own():
    it = Asking(answer(404))
    for origin in ("http://h", "https://h", "http://h:81", "http://i"):
        it.ask(origin)
    assert len(it.fetcher.sent) == 4


def test_rules_are_kept_for_a_day():
    it = Asking(answer(404), answer(body=RULES))
    it.ask()
    it.clock.advance(KEPT_S - 1.0)
    assert it.robots.rules(SITE).allows(f"{SITE}/private", "a")
    it.clock.advance(1.0)
    assert it.robots.rules(SITE) is None
    it.ask()
    assert not it.robots.rules(SITE).allows(f"{SITE}/private", "a")


def test_trouble_is_forgotten_soon():
    it = Asking(FetchError("connection refused"), answer(404))
    it.ask()
    assert it.robots.rules(SITE).trouble == "connection refused"
    it.clock.advance(1.0)
    assert it.robots.rules(SITE) is None
    it.ask()
    assert it.robots.rules(SITE).allows(SITE, "a")


def test_redirects_are_followed_but_not_for_ever():
    hop = answer(302, b"", b"Location: /elsewhere")
    it = Asking(hop, answer(body=RULES))
    it.ask()
    assert it.fetcher.urls() == [f"{SITE}/robots.txt", f"{SITE}/elsewhere"]
    assert not it.robots.rules(SITE).allows(f"{SITE}/private", "a")
    loop = Asking(hop)
    loop.ask()
    assert len(loop.fetcher.sent) == 6
    assert loop.robots.rules(SITE).allows(f"{SITE}/private", "a")


SECRET = Identity(
    ("User-Agent: a", "Authorization: x", "Cookie: a=b", "Host: h", "X-Empty;"),
    Credentials("me", "pass"),
)


@pytest.mark.parametrize(
    ("to", "keeps"),
    [
        ("/elsewhere", True),
        ("https://h:81/robots.txt", True),
        ("http://h:82/robots.txt", False),
        ("http://other/robots.txt", False),
    ],
)
def test_secrets_follow_a_redirect_of_robots_txt_only_to_the_same_site(to, keeps):
    it = Asking(answer(302, b"", b"Location: " + to.encode()), answer(404))
    it.ask(identity=SECRET)
    (_, first), (_, then) = it.fetcher.sent
    assert (first.headers, first.credentials) == (SECRET.headers, SECRET.credentials)
    assert then.headers == (SECRET.headers if keeps else ("User-Agent: a", "X-Empty;"))
    assert then.credentials == (SECRET.credentials if keeps else None)


def test_a_redirect_to_another_scheme_is_not_followed():
    it = Asking(answer(302, b"", b"Location: file:///etc/passwd"))
    it.ask()
    assert it.fetcher.urls() == [f"{SITE}/robots.txt"]


def test_a_robots_txt_that_is_not_read_to_its_end_is_told(caplog):
    it = Asking(answer(body=b"User-agent: *\nDisallow: /a\n" * 40_000))
    it.ask()
    eventually(lambda: it.told == 1)
    assert "a part of it is ignored" in caplog.text
    assert it.robots.rules(SITE).ignored_bytes > 0


@pytest.mark.parametrize(
    ("status", "headers", "pause_s"),
    [
        (429, [b"Retry-After: 90"], 90.0),
        (429, [], 0.0),
        (503, [b"Retry-After: 90"], 90.0),
        (503, [], None),
        (200, [b"Retry-After: 90"], None),
    ],
)
def test_a_site_that_asks_for_a_pause_is_heard(status, headers, pause_s):
    it = Asking(answer(status, b"", *headers))
    it.ask()
    assert it.robots.rules(SITE).pause_s == pause_s


def test_a_long_page_of_an_error_asks_for_a_pause_too():
    it = Asking(answer(429, b"<p>Too many requests</p>" * 2000, b"Retry-After: 90"))
    it.ask()
    eventually(lambda: it.told == 1)
    assert it.robots.rules(SITE).pause_s == 90.0


def test_a_packed_file_that_is_cut_off_is_half_an_answer():
    for part in (b"User-agent: *\nAllow: /\n", b""):
        rules = read(FetchAnswer(200, (), part, 0.0, is_cut=True))
        assert rules.trouble == "truncated"
        assert not rules.allows(f"{SITE}/a", "crawler/1")
    assert read(FetchAnswer(404, (), b"no", 0.0, is_cut=True)).allows(f"{SITE}/a", "crawler/1")


def test_the_number_of_sites_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("crawler.engine.politeness.robots.MAX_SITES", 3)
    it = Asking(answer(404))
    for i in range(5):
        it.ask(f"http://h{i}")
    known = [i for i in range(5) if it.robots.rules(f"http://h{i}") is not None]
    assert known == [2, 3, 4]


def test_who_asked_is_told_even_when_the_fetch_is_cut_off():
    clock = ManualClock()
    supervisor = Supervisor("test")
    robots = Robots(FakeFetcher(clock, delay_s=1e9), supervisor, clock)
    told = []
    robots.ask(SITE, CrawlSettings(), Identity(()), lambda: told.append(1))
    gevent.sleep(0)
    supervisor.stop()
    assert told == [1]


@pytest.mark.parametrize("trouble", [FetchError("connection refused"), answer(500)])
def test_known_rules_hold_on_while_a_site_is_in_trouble(trouble):
    it = Asking(answer(body=RULES), trouble, answer(404))
    it.ask()
    it.clock.advance(KEPT_S + 1)
    it.ask()
    rules = it.robots.rules(SITE)
    assert not rules.allows(f"{SITE}/private/x", "other/1.0")
    assert rules.allows(f"{SITE}/x", "other/1.0")
    it.clock.advance(OLD_KEPT_S + 1)
    assert it.robots.rules(SITE) is None
    it.ask()
    assert it.robots.rules(SITE).allows(f"{SITE}/private/x", "other/1.0")


def test_groups_of_one_agent_are_one():
    body = b"User-agent: a\nDisallow: /1\n\nUser-agent: b\nUser-agent: a\nDisallow: /2\n"
    rules = read(answer(body=body))
    assert [rules.allows(f"{SITE}/{n}", "a/1") for n in (1, 2, 3)] == [False, False, True]
    assert [rules.allows(f"{SITE}/{n}", "b/1") for n in (1, 2, 3)] == [True, False, True]


LINES = st.sampled_from([b"User-agent: *", b"Disallow: /", b"Crawl-delay: ", b"Allow: *$", b"\r"])


@given(st.lists(st.one_of(st.binary(max_size=40), LINES)), st.sampled_from([b"\n", b"", b": "]))
def test_no_bytes_break_the_reader(parts, between):
    rules = read(answer(body=between.join(parts)))
    assert rules.allows(f"{SITE}/%ff?a=1#x", "crawler/1") in (True, False)
    assert 0 <= rules.delay_s("crawler/1") <= 300


def test_a_file_that_would_cost_too_much_is_read_up_to_a_bound():
    agents = "".join(f"User-agent: a{n}\n" for n in range(15_000))
    rules = "".join(f"Disallow: /{n}/*x\n" for n in range(15_000))
    began_s = time.process_time()
    found = read(answer(200, ("User-agent: own\nDisallow: /no\n\n" + agents + rules).encode()))
    assert found.ignored_lines > 20_000
    assert not found.allows("http://h/no", "own")
    assert not found.allows("http://h/0/x", "a0")
    for n in range(20):
        assert found.allows(f"http://h/{'ab' * 1000}{n}", "a0")
    assert time.process_time() - began_s < 10


def test_delays_between_agents_make_no_file_larger():
    pairs = "".join(f"User-agent: a{n}\nCrawl-delay: {n}\n" for n in range(900))
    text = f"{pairs}Disallow: /no\n"
    lines, ignored = plain(text)
    assert (len(lines), ignored) == (3 * 900 + 1, 0)
    found = read(answer(body=text.encode()))
    assert [found.delay_s(f"a{n}") for n in (1, 7, 299)] == [1.0, 7.0, 299.0]
    assert not any(found.allows("http://h/no", f"a{n}") for n in (0, 899))


def test_rules_that_hold_at_an_end_are_bounded_too():
    found = read(answer(body=b"User-agent: *\n" + b"Disallow: /a$\n" * 6000))
    assert found.ignored_lines == 1000


def test_each_group_has_its_own_agents():
    groups = "".join(f"User-agent: a{n}\nDisallow: /{n}\n" for n in range(1500))
    found = read(
        answer(200, (groups + "Sitemap: /x\nUser-agent: last\nDisallow: /last\n").encode())
    )
    assert not found.allows("http://h/1400", "a1400")
    assert not found.allows("http://h/last", "last")
    assert found.allows("http://h/1400", "last")

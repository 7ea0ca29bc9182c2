"""The secrets of operator and spider go to their hosts, whatever a task says."""

import pytest

from crawler import Request, SitemapSpider, Spider
from crawler.engine.crawl.sender import Sender
from crawler.engine.frontier.job import Job
from crawler.engine.spiders.factory import make_spider
from crawler.engine.spiders.secrets import of_operator
from crawler.errors import InvalidArgument
from crawler.settings.crawl import CrawlSettings

OPERATOR = CrawlSettings(
    http_user="op",
    http_password="secret",
    http_auth_domain="Intranet.example",
    headers={"Authorization": "Bearer op", "X-Plain": "1"},
)
HOME, BELOW = "http://intranet.example/a", "https://www.intranet.example/"
EVIL = "http://evil.example/"


class Open(Spider):
    name = "open"


class Keyed(Spider):
    name = "keyed"
    start_urls = ("http://api.example/",)
    http_user, http_pass = "spider", "key"


class Headed(Spider):
    name = "headed"
    start_urls = ("http://api.example/",)
    custom_settings = {"headers": {"Cookie": "key=1"}}  # noqa: RUF012


class Mapped(SitemapSpider):
    name = "mapped"
    sitemap_urls = ("http://api.example/sitemap.xml",)
    http_user, http_pass = "spider", "key"


class Lent(Spider):
    """It begins nowhere by itself, and its user is a key without a password."""

    name = "lent"
    http_user = "key"


class LentMap(SitemapSpider):
    name = "lent-map"
    custom_settings = {"headers": {"Authorization": "key"}}  # noqa: RUF012


def sent(settings, *urls):
    """The secrets that requests to these URLs carry, in this order."""
    sender = Sender(settings, None)
    return [_secrets(sender.call(Job(Request(url), url, 0, 0))) for url in urls]


def _secrets(call):
    lines = [line for line in call.headers if line.startswith("Authorization")]
    lines += [f"Cookie: {call.cookies}"] if call.cookies else []
    return [*lines, *([call.credentials.user] if call.credentials else [])]


def task(spider=Open, operator=OPERATOR, trusts=False, start=EVIL, **parameters):
    """The settings of a task on a worker."""
    given = {"start_urls": [start], **parameters} if start else parameters
    return make_spider(spider, given, operator, trusts).settings


def test_the_operators_secrets_go_to_the_operators_host():
    own = ["Authorization: Bearer op", "op"]
    assert sent(task(), EVIL, HOME, BELOW) == [[], own, own]
    assert "X-Plain: 1" in Sender(task(), None).call(Job(Request(EVIL), EVIL, 0, 0)).headers


def test_without_a_host_a_workers_secrets_go_nowhere(caplog):
    for settings in (
        CrawlSettings(http_user="op", http_password="x"),
        CrawlSettings(headers={"authorization": "x", "X-Plain": "1"}),
    ):
        kept = of_operator(settings)
        assert sent(kept, EVIL) == [[]]
        assert "crawl.http_auth_domain" in caplog.text
        caplog.clear()
    assert of_operator(OPERATOR) is OPERATOR
    assert of_operator(CrawlSettings()) == CrawlSettings()
    assert not caplog.records


@pytest.mark.parametrize(
    "parameters",
    [
        {"settings": {"http_auth_domain": "evil.example"}},
        {"settings": {"http_auth": "digest"}},
        {"settings": {"http_user": "me", "http_auth_domain": "evil.example"}},
        {"http_auth_domain": "evil.example"},
    ],
)
def test_a_task_does_not_say_where_they_go(parameters):
    with pytest.raises(InvalidArgument, match=r"http_auth.* is not allowed, because the password"):
        task(**parameters)


@pytest.mark.parametrize("way", [{"proxies": ["http://evil.example:1"]}, {"verify_tls": False}])
def test_a_task_that_goes_ways_of_its_own_goes_without_them(way, caplog):
    assert sent(task(settings=way), HOME) == [[]]
    assert "does without the secrets of others" in caplog.text


@pytest.mark.parametrize(
    "own",
    [
        {"settings": {"http_user": "me", "http_password": "mine"}},
        {"http_user": "me", "http_pass": "mine"},
    ],
)
def test_a_task_with_its_own_login_uses_that_alone(own):
    assert sent(task(**own), EVIL, HOME) == [["me"], []]


def test_a_task_may_bind_its_own_login():
    own = {"http_user": "me", "http_password": "mine", "http_auth_domain": "there.example"}
    assert sent(task(settings=own), EVIL, "http://there.example/", HOME) == [[], ["me"], []]
    assert sent(task(settings={"headers": {"Cookie": "a=b"}}), HOME) == [["Cookie: a=b"]]


def test_a_spiders_secrets_stay_where_the_spider_begins():
    api = "http://api.example/x"
    assert sent(task(Keyed), EVIL, api, HOME) == [[], ["spider"], []]
    assert sent(task(Headed), EVIL, api, HOME) == [[], ["Cookie: key=1"], []]
    assert sent(task(Keyed, start=""), api, EVIL) == [["spider"], []]
    with pytest.raises(InvalidArgument, match="http_auth_domain"):
        task(Keyed, http_auth_domain="evil.example")


def test_a_sitemap_spiders_secrets_stay_where_its_own_sitemap_is():
    led = {"start": "", "sitemap_urls": [f"{EVIL}s.xml"]}
    assert sent(task(Mapped, **led), EVIL, "http://api.example/x") == [[], ["spider"]]
    assert sent(task(Mapped, start=EVIL), EVIL) == [[]]


@pytest.mark.parametrize(
    ("spider", "led"), [(Lent, "start_urls"), (LentMap, "sitemap_urls"), (LentMap, "start_urls")]
)
def test_a_task_does_not_choose_the_host_of_a_spider_that_begins_nowhere(spider, led, caplog):
    settings = task(spider, CrawlSettings(), start="", **{led: [EVIL]})
    assert sent(settings, EVIL, HOME) == [[], []]
    assert "does without the secrets of others" in caplog.text


def test_a_spider_that_names_the_host_of_its_secrets_keeps_them_there():
    class Named(Lent):
        http_auth_domain = "api.example"

    assert sent(task(Named, CrawlSettings()), EVIL, "http://api.example/") == [[], ["key"]]


@pytest.mark.parametrize("header", ["Authorization", "Cookie"])
def test_secret_headers_without_a_domain_go_to_the_host_of_the_first_request_alone(header):
    class Begins(Spider):
        name = "begins"
        custom_settings = {"headers": {header: "key"}}  # noqa: RUF012

        def start_requests(self):
            yield Request(HOME)

    own = [f"{header}: key"]
    assert sent(task(Begins, CrawlSettings(), start=""), HOME, EVIL, BELOW) == [own, [], own]
    of_task = {"settings": {"headers": {header: "key"}}}
    assert sent(task(Open, start=HOME, **of_task), HOME, EVIL, BELOW) == [own, [], own]
    trusted = CrawlSettings(headers={header: "key"})
    assert sent(task(Open, trusted, trusts=True), HOME, EVIL) == [own, []]


def test_who_starts_the_process_may_do_as_they_like():
    changed = {"http_auth_domain": "evil.example"}
    assert sent(task(trusts=True, settings=changed), EVIL) == [["Authorization: Bearer op", "op"]]


def test_secrets_of_the_settings_do_not_follow_a_redirect_to_another_host():
    settings = CrawlSettings(headers={"Authorization": "x", "Host": "h.example", "X-Plain": "1"})
    job = Job(Request("http://h/a"), "http://h/a", 0, 0)
    sender = Sender(settings, None)
    assert {"Authorization: x", "Host: h.example"} <= set(sender.call(job).headers)
    job.hops, job.url = (job.url,), "http://other/"
    names = {line.partition(":")[0] for line in sender.call(job).headers}
    assert "X-Plain" in names
    assert not {"Authorization", "Host"} & names


@pytest.mark.parametrize("attribute", ["http_user", "http_pass"])
def test_what_a_task_gives_is_checked_as_a_setting(attribute):
    with pytest.raises(InvalidArgument, match=r"parameters\.http_"):
        task(**{attribute: "me\r\nX-Injected: 1"})

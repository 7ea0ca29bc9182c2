"""Proxies, logins and certificates: what goes where, and how each failure is counted."""

import hashlib
import logging
import ssl

import pytest
import trustme
from gevent.pywsgi import WSGIServer

from crawler import Request, Spider
from tests.site import Site
from tests.site.asked import HTML, Reply
from tests.site.crawling import OnlyTitles, crawled
from tests.site.proxy import Proxy, Socks

DEAD = "http://127.0.0.1:1"


def login(asked):
    """/login?how=basic|digest: asks who it is, user and secret being `me` and `pass`."""
    said = asked.headers.get("HTTP_AUTHORIZATION", "")
    if asked.query.get("how") == "digest":
        wanted, challenge = "Digest ", 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
        right = said.startswith(wanted) and digest_of(said, asked) in said
    else:
        challenge, right = 'Basic realm="r"', said == "Basic bWU6cGFzcw=="
    if right:
        return Reply(b"<title>welcome</title>")
    return Reply(b"who?", 401, [HTML, ("WWW-Authenticate", challenge)])


def digest_of(said, asked):
    given = dict(part.strip().split("=", 1) for part in said[7:].split(","))
    given = {key: value.strip('"') for key, value in given.items()}

    def hashed(*parts):
        return hashlib.sha256(":".join(parts).encode()).hexdigest()

    keys = (given["nonce"], given["nc"], given["cnonce"], given["qop"])
    return hashed(hashed("me", "r", "pass"), *keys, hashed("GET", given["uri"]))


@pytest.fixture
def site():
    with Site(pages={"login": login}) as site:
        yield site


def titles(*urls, **settings):
    crawl, items = crawled(OnlyTitles, *urls, **{"retries": 0, **settings})
    return sorted(item["title"] for item in items) or list(crawl.failures_by_reason)


@pytest.mark.parametrize("kind", [Proxy, Socks])
def test_no_variable_of_the_environment_leads_past_a_proxy(site, kind, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with kind() as proxy:
        assert titles(site.url("/page/1"), proxies=[proxy.url()]) == ["/page/1"]
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("kind", [Proxy, Socks])
def test_a_proxy_is_gone_through_for_pages_and_robots(site, kind):
    with kind() as proxy:
        found = titles(site.url("/page/1"), proxies=[proxy.url()], robots=True)
    assert found == ["/page/1"]
    assert len(proxy.asked) >= 1
    assert len(site.robots_hits) == 1
    if kind is Proxy:
        assert [line.partition("/robots.txt")[1] for line in proxy.asked] == ["/robots.txt", ""]


def test_proxies_take_turns_and_one_that_fails_is_left_out(site):
    urls = [site.url(f"/page/{number}") for number in range(6)]
    with Proxy() as one, Proxy() as two:
        proxies = [one.url(), DEAD, two.url()]
        found = titles(*urls, proxies=proxies, concurrency=1, host_concurrency=1)
    assert found == [f"/page/{number}" for number in range(6)]
    assert sorted([len(one.asked), len(two.asked)]) in ([2, 4], [3, 3])


def test_without_a_proxy_that_works_there_is_one_reason(site):
    assert titles(site.url("/page/1"), proxies=[DEAD, "socks5://127.0.0.1:2"]) == ["no proxy"]
    assert site.hits == []


def test_a_request_may_name_its_own(site):
    class Own(Spider):
        name = "own"

        def start(self):
            yield Request(site.url("/page/1"), meta={"proxy": self.through})
            yield Request(site.url("/page/2"), meta={"proxy": None})
            yield Request(site.url("/page/3"), meta={"proxy": "gopher://h:1"})
            yield Request(site.url("/page/4"), meta={"proxy": DEAD})

        def parse(self, response):
            yield {"url": response.url}

    with Proxy() as proxy:
        Own.through = proxy.url()
        crawl, items = crawled(Own, retries=0)
    assert len(items) == 2
    assert proxy.asked == [f"GET {site.url('/page/1')}"]
    assert crawl.failures_by_reason == {"bad proxy": 1, "proxy": 1}


def test_a_proxy_that_asks_for_a_login_gets_that_of_its_url(site, caplog):
    caplog.set_level(logging.DEBUG)
    with Proxy(login="me:top-secret") as proxy:
        assert titles(site.url("/page/1"), proxies=[proxy.url("me:top-secret")]) == ["/page/1"]
        assert titles(site.url("/page/1"), proxies=[proxy.url("me:wrong-one")]) == ["no proxy"]
    told = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "top-secret" not in told
    assert "wrong-one" not in told


TICKET = {"Proxy-Authorization": "Basic bWU6dG9wLXNlY3JldA=="}


def test_the_header_for_the_proxy_goes_to_the_proxy_whatever_host_is_asked_for(site, secure):
    urls = [site.url("/page/1"), site.url("/page/2", "127.0.0.2"), secure]
    with Proxy(login="me:top-secret") as proxy:
        through = {"proxies": [proxy.url()], "verify_tls": False}
        found = titles(*urls, headers=TICKET, **through)
        assert found == ["/page/1", "/page/2", "secure"]
        assert titles(*urls, **through) == ["no proxy"]


def test_the_header_for_the_proxy_never_goes_to_a_site(site, secure):
    assert titles(secure, headers=TICKET, verify_tls=False) == ["secure"]
    with Proxy() as proxy:
        found = titles(secure, headers=TICKET, proxies=[proxy.url()], verify_tls=False)
        assert found == ["secure"]


def test_the_header_for_the_proxy_goes_with_its_own_request_alone(site):
    class Own(Spider):
        name = "own"

        def start(self):
            yield Request(site.url("/page/1"), headers=TICKET, meta=self.through)
            yield Request(site.url("/page/2"), meta=self.through)

        def parse(self, response):
            yield {"url": response.url}

    with Proxy(login="me:top-secret") as proxy:
        Own.through = {"proxy": proxy.url()}
        crawl, items = crawled(Own, retries=0, concurrency=1)
    assert [item["url"] for item in items] == [site.url("/page/1")]
    assert crawl.counts.failures == 1


def test_what_a_proxy_cannot_reach_is_not_its_fault():
    with Socks() as proxy:
        assert titles("http://127.0.0.1:1/", proxies=[proxy.url()]) == ["connection failed"]


def test_a_proxy_of_a_task_is_judged_by_its_address_and_one_of_the_operator_is_not(site):
    with Proxy() as proxy:
        url = "http://203.0.113.1/"
        operators = titles(site.url("/"), proxies=[proxy.url()], private_targets=[])
        assert operators == ["forbidden address"], "the target is judged all the same"
        spider = type("Sly", (OnlyTitles,), {"name": "sly"})
        spider.custom_settings = {"proxies": [proxy.url()]}
        crawl, _ = crawled(spider, "http://8.8.8.8/", private_targets=[], retries=0)
        assert crawl.failures_by_reason == {"forbidden address": 1}, url
    assert proxy.asked == []


@pytest.mark.parametrize("how", ["basic", "digest"])
def test_a_site_is_logged_in_to(site, how):
    right = {"http_user": "me", "http_password": "pass", "http_auth": how}
    url = site.url(f"/login?how={how}")
    assert titles(url, **right) == ["welcome"]
    assert titles(url, **{**right, "http_password": "no"}) == ["HTTP 401"]
    assert titles(url) == ["HTTP 401"]


def test_the_login_goes_to_its_host_alone(site):
    right = {"http_user": "me", "http_password": "pass", "http_auth_domain": "127.0.0.1"}
    assert titles(site.url("/login", "127.0.0.2"), **right) == ["HTTP 401"]
    there = site.url("/login", "127.0.0.2")
    assert titles(site.url(f"/redirect?to={there}"), **right) == ["HTTP 401"]


def test_a_login_in_the_url_is_used(site):
    assert titles(site.url("/login").replace("://", "://me:pass@")) == ["welcome"]


def test_a_spider_logs_in_as_scrapys_do(site):
    names = {"name": "old", "http_user": "me", "http_pass": "pass", "http_auth_domain": "127.0.0.1"}
    _, items = crawled(type("Old", (OnlyTitles,), names), site.url("/login"))
    assert [item["title"] for item in items] == ["welcome"]


def test_user_agents_take_turns_and_robots_are_read_for_the_first():
    with Site(robots="User-agent: one\nDisallow: /page/0") as site:
        urls = [site.url(f"/page/{number}") for number in range(4)]
        titles(*urls, user_agent="one/1", user_agents=["two/2"], robots=True)
        assert sorted(hit.agent for hit in site.hits) == ["one/1", "two/2", "two/2"]
        assert [hit.agent for hit in site.robots_hits] == ["one/1"]


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def context(authority):
    """A server's, with a certificate of an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def secure(context):
    """The URL of a site whose certificate nobody knows."""

    def app(environ, start_response):
        start_response("200 OK", [HTML])
        leaks = "HTTP_PROXY_AUTHORIZATION" in environ
        return [b"<title>knows the proxy</title>" if leaks else b"<title>secure</title>"]

    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None, ssl_context=context)
    server.start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.stop(timeout=0)


@pytest.mark.parametrize("http_version", ["auto", "1.1"])
def test_a_certificate_that_nobody_knows_is_an_error_unless_told_otherwise(secure, http_version):
    assert titles(secure, http_version=http_version) == ["tls"]
    assert titles(secure, http_version=http_version, verify_tls=False) == ["secure"]


def test_over_a_proxy_the_certificate_is_the_sites(secure):
    with Proxy() as proxy:
        assert titles(secure, proxies=[proxy.url()]) == ["tls"]
        assert titles(secure, proxies=[proxy.url()], verify_tls=False) == ["secure"]
    assert all(line.startswith("CONNECT ") for line in proxy.asked)


@pytest.mark.parametrize("target", ["plain", "secure"])
def test_a_proxy_may_be_spoken_to_over_tls_and_must_be_the_one_it_says(
    site, secure, authority, context, target, tmp_path, monkeypatch
):
    url = site.url("/page/1") if target == "plain" else secure
    title = "/page/1" if target == "plain" else "secure"
    with Proxy(tls=context) as proxy:
        assert titles(url, proxies=[proxy.url()]) == ["no proxy"]
        assert titles(url, proxies=[proxy.url()], verify_tls=False) == [title]
        authority.cert_pem.write_to_path(tmp_path / "known.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "known.pem"))
        assert titles(url, proxies=[proxy.url()]) == [title]
        assert titles(url, proxies=[proxy.url("me:pass")]) == [title]
    assert len(proxy.asked) == 3

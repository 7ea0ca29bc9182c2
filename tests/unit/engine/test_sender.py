"""What a request is sent with after a redirect: its secrets stay with the host they were for."""

import json

import pytest

from crawler.engine.crawl.sender import Sender
from crawler.engine.frontier.job import Job
from crawler.engine.http.headers import bytes_of, text_of
from crawler.engine.http.request import Request
from crawler.settings.crawl import CrawlSettings

SECRETS = {"Authorization": "Bearer x", "Proxy-Authorization": "Basic y", "cookie": "s=1"}


def redirected(url, to):
    """The headers by name, and the cookies, of a request that was redirected."""
    request = Request(url, headers={**SECRETS, "X-Own": "z"}, cookies={"t": "1"})
    job = Job(request, url, 0, 0)
    job.url, job.hops = to, (url,)
    call = Sender(CrawlSettings(cookies=False), None).call(job)
    return {line.partition(":")[0] for line in call.headers}, call.cookies


@pytest.mark.parametrize(
    ("url", "to"),
    [
        ("http://h/a", "http://h/b"),
        ("http://h/a", "http://h:80/b"),
        ("http://h/a", "https://h/b"),
        ("http://h:8080/a", "https://h:8080/b"),
    ],
)
def test_secrets_go_with_a_redirect_within_their_host(url, to):
    names, cookies = redirected(url, to)
    assert {"Authorization", "X-Own"} <= names
    assert cookies == "s=1; t=1"


@pytest.mark.parametrize(
    ("url", "to"),
    [
        ("http://h/a", "http://other/b"),
        ("http://h/a", "http://www.h/b"),
        ("http://h/a", "http://h:81/b"),
        ("https://h/a", "http://h/b"),
        ("http://h/a", "https://h:444/b"),
    ],
)
def test_secrets_go_to_no_other_host_or_port_and_never_from_https_to_http(url, to):
    names, cookies = redirected(url, to)
    assert "X-Own" in names
    assert "Proxy-Authorization" in names, "which the proxy gets, and no site"
    assert not {"Authorization", "cookie"} & names
    assert cookies == ""


def later(sender, **settings):
    """The sender of a later run, which has taken over what the earlier one kept."""
    kept = json.loads(json.dumps(sender.kept()))
    made = Sender(CrawlSettings(**settings), None)
    made.go_on(kept)
    return made


def job_to(url, **meta):
    return Job(Request(url, meta=meta), url, 0, 0)


SECRET = {"http_user": "me", "http_password": "hidden"}


def test_in_a_later_run_secrets_go_where_they_went_and_not_to_its_own_first_host():
    first = Sender(CrawlSettings(**SECRET), None)
    assert first.call(job_to("http://home/")).credentials is not None
    again = later(first, **SECRET)
    assert again.call(job_to("http://elsewhere/")).credentials is None
    assert again.call(job_to("http://home/2")).credentials is not None


def test_the_domain_of_the_settings_counts_also_in_a_later_run():
    first = Sender(CrawlSettings(**SECRET, http_auth_domain="old"), None)
    again = later(first, **SECRET, http_auth_domain="new")
    assert again.call(job_to("http://old/")).credentials is None
    assert again.call(job_to("http://new/")).credentials is not None


def test_the_cookies_of_each_session_go_on_in_a_later_run():
    first = Sender(CrawlSettings(), None)
    for key, host in ((None, "h"), ("a", "h"), (7, "h"), (("no", "json"), "h")):
        meta = {} if key is None else {"cookiejar": key}
        jar = first.call(job_to(f"http://{host}/", **meta)).jar
        value = str(key).encode() + b"\xff"
        jar.add("n", text_of(value), domain=host, below=False, path="/", secure=False)
    again = later(first)
    for key in ("a", 7):
        [line] = again.call(job_to("http://h/", cookiejar=key)).jar.lines()
        assert bytes_of(line).endswith(b"n\t%s\xff" % str(key).encode())
    [line] = again.call(job_to("http://h/")).jar.lines()
    assert "None" in line
    assert not later(first, cookies=False).kept()["cookies"]

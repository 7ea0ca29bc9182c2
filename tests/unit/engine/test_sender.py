"""What a request is sent with after a redirect: its secrets stay with the host they were for."""

import pytest

from crawler.engine.crawl.sender import Sender
from crawler.engine.frontier.job import Job
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

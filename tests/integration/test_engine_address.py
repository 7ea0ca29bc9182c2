"""A worker connects to what its operator allows, whatever a task, a page or a robots.txt says."""

import pytest

from crawler.engine.download.address_policy import AddressPolicy
from crawler.engine.http.messages import FetchError
from crawler.model.records import State
from tests.site import Site
from tests.site.crawling import OnlyTitles, crawled


@pytest.fixture
def site():
    with Site() as site:
        yield site


def forbidden(crawl):
    return crawl.failures_by_reason == {"forbidden address": 1}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"])
def test_a_worker_connects_to_no_private_address(site, host):
    crawl, _ = crawled(OnlyTitles, site.url("/page/1", host=host), private_targets=[], retries=2)
    assert forbidden(crawl)
    state, reason = crawl.outcome()
    assert state is State.FAILED
    assert reason.endswith("it is not public, and worker.private_targets does not list it")
    assert site.hits == []


def test_robots_are_not_asked_for_there_either(site):
    crawl, _ = crawled(OnlyTitles, site.url("/page/1"), private_targets=[], robots=True)
    assert forbidden(crawl)
    assert site.robots_hits == []


def test_an_allowed_network_opens_no_other(site):
    inside, outside = site.url("/redirect?to=/page/1"), site.url("/page/2", host="127.0.0.2")
    crawl, items = crawled(OnlyTitles, inside, outside, private_targets=["127.0.0.1/32"])
    assert [item["title"] for item in items] == ["/page/1"]
    assert forbidden(crawl)


def test_a_redirect_leads_to_no_private_address(site):
    target = site.url("/page/secret", host="127.0.0.2")
    start = site.url(f"/redirect?to={target}")
    crawl, _ = crawled(OnlyTitles, start, private_targets=["127.0.0.1/32"], retries=3)
    assert forbidden(crawl)
    assert len(site.hits) == 1


def test_a_task_cannot_allow_itself_more(site):
    from crawler.errors import InvalidArgument
    from tests.site.crawling import ListSink, running_engine, spec

    settings = {"private_targets": ["all"]}
    with running_engine(private_targets=[]) as engine, pytest.raises(InvalidArgument):
        engine.crawl(spec(OnlyTitles, site.url("/"), settings=settings), ListSink())


def test_the_policy_is_no_passing_trouble():
    assert not AddressPolicy().allows("127.0.0.1")
    assert not FetchError("forbidden address").transient

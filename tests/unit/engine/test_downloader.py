"""Fetchers of plugins get no request to an address that may not be reached, whatever its name."""

import pytest

from crawler.clock import ManualClock
from crawler.engine.download.address_policy import AddressPolicy
from crawler.engine.download.dns import Resolver
from crawler.engine.download.downloader import Downloader
from crawler.engine.http.messages import FetchCall, FetchError, FetchLimits
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor
from tests.unit.engine.fakes import page
from tests.waiting import eventually

NAMES = {
    "public.example": ["93.184.216.34", "2606:4700::1111"],
    "inside.example": ["10.0.0.1"],
    "both.example": ["93.184.216.34", "10.0.0.1"],
}
LIMITS = FetchLimits.of(CrawlSettings())


class Curl:
    """Stands for libcurl, which is asked for nothing here."""

    def fetch(self, call):
        raise AssertionError


class Plugin:
    """A fetcher that answers at once, and keeps what it was asked for."""

    def __init__(self):
        self.asked = []

    def start(self):
        pass

    def submit(self, call, done):
        self.asked.append(call.url)
        done(page())


def look_up(host, port):
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


@pytest.fixture
def plugin():
    return Plugin()


@pytest.fixture
def downloader(plugin):
    resolver = Resolver(Supervisor("test"), ManualClock(), look_up)
    yield Downloader(Curl(), AddressPolicy(), resolver, {"plugin": lambda: plugin})
    resolver.close()


def fetched(downloader, url):
    """What comes of a request that the plugin is to fetch: a status, or the reason of an error."""
    ends = []
    downloader.submit(FetchCall(url, (), LIMITS, timeout_s=5.0, fetcher="plugin"), ends.append)
    eventually(lambda: ends)
    [end] = ends
    return end.reason if isinstance(end, FetchError) else end.status


def test_a_name_that_leads_to_public_addresses_is_fetched(downloader, plugin):
    assert fetched(downloader, "http://public.example/a") == 200
    assert plugin.asked == ["http://public.example/a"]


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("inside.example", "forbidden address"),
        ("both.example", "forbidden address"),
        ("nowhere.example", "dns"),
    ],
)
def test_a_name_that_may_lead_elsewhere_is_not(downloader, plugin, host, reason):
    assert fetched(downloader, f"http://{host}/") == reason
    assert plugin.asked == []


def test_a_plugin_that_fails_to_cancel_a_request_costs_nothing_else(downloader, plugin, caplog):
    class Stubborn:
        def cancel(self):
            raise RuntimeError("no such page")

    plugin.submit = lambda call, done: Stubborn()
    call = FetchCall("http://93.184.216.34/a", (), LIMITS, timeout_s=5.0, fetcher="plugin")
    ends = []
    downloader.submit(call, ends.append).cancel()
    assert "failed to cancel" in caplog.text
    assert ends == []

"""Where a request began: what pages in a browser may, who may use any address that it reaches."""

import socket

import pytest

from crawler.api.doors import Approach, Doors
from crawler.api.http.origins import is_from_a_page, other_host
from crawler.clock import ManualClock
from crawler.errors import Forbidden
from crawler.model.access import Need, Role
from tests.unit.api.fakes import Known

NODE = "the secret of the nodes"


@pytest.fixture
def tokens():
    return Known()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def ours(tokens, clock):
    return Doors(tokens, lambda: NODE, clock)


def comes(token="", address="10.0.0.5", **more):
    return Approach(address, f"Bearer {token}" if token else "", **more)


@pytest.mark.parametrize("host", [
    "", "localhost", "LOCALHOST:8081", "localhost.", "app.localhost:1", "127.0.0.1:8080",
    "[::1]:80", "::1", "10.0.0.7:8081", socket.gethostname(), f"{socket.gethostname()}:8081",
])  # fmt: skip
def test_some_hosts_mean_this_machine_alone(host):
    assert other_host(host) == ""


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example:80",
    "evil-localhost", "127.0.0.1:80:80", "localhost:80@evil.example", "[evil.example]", "0x7f.1",
])  # fmt: skip
def test_any_other_host_may_be_led_here_and_is_refused_in_protected_mode(ours, tokens, host):
    assert other_host(host) == host
    lured = comes(address="127.0.0.1", other_host=host)
    with pytest.raises(Forbidden, match=r"^Host .* in protected mode; allowed are localhost"):
        ours.admit(lured, Need.READ)
    assert ours.admit(lured, Need.NOTHING) is None
    assert ours.admit(comes(tokens.make(), "127.0.0.1", other_host=host), Need.READ)


def test_a_page_of_another_site_may_nothing_without_a_token(tokens, clock):
    page = comes(address="127.0.0.1", is_from_a_page=True)
    for ours in (
        Doors(tokens, lambda: NODE, clock),
        Doors(tokens, lambda: NODE, clock, trusted=["127.0.0.0/8"]),
        Doors(tokens, lambda: NODE, clock, is_open=True),
    ):
        with pytest.raises(Forbidden, match="a page of another site"):
            ours.admit(page, Need.READ)
        assert ours.admit(page, Need.NOTHING) is None
    text = tokens.make()
    assert ours.admit(comes(text, is_from_a_page=True), Need.CLUSTER).role is Role.ADMIN


@pytest.mark.parametrize(("site", "origin", "is_page"), [
    (None, None, False),
    ("same-origin", None, False),
    ("none", None, False),
    ("same-origin", "http://localhost:8081", False),
    (None, "http://localhost:8081", False),
    ("same-origin", "https://crawler.example", False),
    ("cross-site", None, True),
    ("same-site", None, True),
    ("", None, True),
    ("none", "http://evil.example", True),
    (None, "http://evil.example", True),
    (None, "http://localhost:3000", True),
    (None, "null", True),
    (None, "", True),
])  # fmt: skip
def test_browsers_say_for_which_page_they_ask(site, origin, is_page):
    assert is_from_a_page(site, origin, "localhost:8081") is is_page

"""What a client may ask a second: one budget for HTTP and gRPC, kept for a bounded number."""

import grpc
import pytest

from crawler.api import limiter as limiter_module
from crawler.api.limiter import RateLimiter, address_of
from crawler.api.rpc.metadata import RETRY_AFTER
from crawler.errors import CrawlerError, Overloaded
from crawler.metrics import Metrics
from crawler.model.records import Report, State
from crawler.settings.sections import ApiSettings
from tests.clients import Client
from tests.unit.api.fakes import (
    CALL,
    SECRET,
    FakeBackend,
    Master,
    body_of,
    channel_to,
    client_of,
    running,
)
from tests.waiting import PATIENCE_S, eventually

RESOURCE = "/crawler/resource"
LOW = ApiSettings(rate=1, burst=3)


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def master(backend):
    with running(Master(backend, LOW)) as (master,):
        yield master


def refused(limiter, client):
    try:
        limiter.admit("http", client)
    except Overloaded:
        return True
    return False


def taken_of(limiter, client, tries):
    return tries - sum(refused(limiter, client) for _ in range(tries))


def test_a_client_gets_its_burst_and_then_its_rate():
    limiter = RateLimiter(ApiSettings(rate=20, burst=5), Metrics())
    assert taken_of(limiter, "10.0.0.1", 8) == 5
    eventually(lambda: not refused(limiter, "10.0.0.1"), 1.0, what="one more after 50 ms")
    assert refused(limiter, "10.0.0.1")


def test_clients_do_not_share_what_they_may():
    limiter = RateLimiter(LOW, Metrics())
    assert taken_of(limiter, "10.0.0.1", 9) == 3
    assert taken_of(limiter, "10.0.0.2", 9) == 3


def test_no_rate_is_no_limit():
    assert taken_of(RateLimiter(ApiSettings(rate=0, burst=1), Metrics()), "10.0.0.1", 99) == 99


def test_many_clients_take_bounded_memory(monkeypatch):
    """The one seen longest ago is forgotten first."""
    monkeypatch.setattr(limiter_module, "MAX_CLIENTS", 10)
    limiter = RateLimiter(ApiSettings(rate=1, burst=1), Metrics())
    for number in range(10):
        assert not refused(limiter, f"10.0.0.{number}")
    assert refused(limiter, "10.0.0.9")
    assert not refused(limiter, "10.0.1.0")
    assert not refused(limiter, "10.0.0.0")
    assert refused(limiter, "10.0.0.9")


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:5000", "10.0.0.1"),
        ("ipv6:%5B::1%5D:5000", "::1"),
        ("ipv6:[fe80::1%25eth0]:5000", "fe80::1%eth0"),
        ("unix:/run/crawler.sock", "unix:/run/crawler.sock"),
    ],
)
def test_the_address_of_a_grpc_peer_has_no_port(peer, address):
    assert address_of(peer) == address


def test_http_beyond_it_is_429_and_says_why_and_when(master, backend):
    for number in range(3):
        assert master.web.post(RESOURCE, json={"name": f"t-{number}"}).status_code == 200
    answer = master.web.post(RESOURCE, json={"name": "t-3"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert body_of(answer)["code"] == 8
    assert "1 per second" in body_of(answer)["message"]
    assert "api.rate" in body_of(answer)["message"]
    assert "t-3" not in backend.resources
    assert refused_by(master, "http") == 1


def test_it_is_refused_before_its_body_is_looked_at(master):
    for _ in range(3):
        assert master.web.post(RESOURCE, data=b"no json").status_code == 400
    assert master.web.post(RESOURCE, data=b"no json").status_code == 429
    assert master.web.get("/no/such/path").status_code == 429


def test_grpc_beyond_it_is_resource_exhausted_and_says_when(master, backend):
    with client_of(master) as client, channel_to(master) as channel:
        for _ in range(3):
            client.nodes(CALL)
        with pytest.raises(Overloaded, match=r"1 per second .* api\.rate"):
            client.nodes(CALL)
        bare = channel.unary_unary("/CrawlerMaster/ListNodes")
        with pytest.raises(grpc.RpcError) as told:
            bare(b"", timeout=PATIENCE_S)
    assert told.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(told.value.trailing_metadata())[RETRY_AFTER] == "1"
    assert len(backend.calls) == 3
    assert refused_by(master, "grpc") == 2


def test_http_and_grpc_of_one_client_share_what_it_may(master):
    with client_of(master) as client:
        for _ in range(3):
            client.nodes(CALL)
    # Flask's own client comes from 127.0.0.1, too.
    assert master.web.get("/crawler/node").status_code == 429


def test_the_workers_reports_and_what_masters_pass_on_always_pass(master):
    """What is passed on was counted where it came in, by the address of the client itself."""
    follower = Master(settings=ApiSettings(rate=0))
    with running(follower), client_of(follower) as through, client_of(master) as client:
        follower.follow(master.address)
        for _ in range(9):
            through.nodes(CALL)
            assert client.report("w-2", [Report("x", "1", 1, State.DONE)], CALL) == ["x"]
    assert master.web.get("/crawler/node").status_code == 200


def test_a_follower_refuses_before_it_asks_the_leader(backend):
    leader, follower = Master(backend), Master(settings=LOW)
    with running(leader, follower):
        follower.follow(leader.address)
        statuses = [follower.web.get("/crawler/node").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert len(backend.calls) == 3


def test_health_readiness_and_metrics_always_answer(master):
    for _ in range(9):
        assert master.web.get("/healthz").status_code == 200
        assert master.web.get("/readyz").status_code == 503
        assert master.web.get("/metrics").status_code == 200
    assert master.web.get("/crawler/node").status_code == 200


def test_addresses_are_no_labels(master):
    """Each label value is a series for ever: clients must not be able to make them."""
    for _ in range(9):
        master.web.get("/crawler/node")
    assert b"127.0.0.1" not in master.web.get("/metrics").data


def test_a_refusal_of_another_kind_of_server_is_retryable_too(backend):
    """A proxy between a worker and the leader may have limits of its own."""

    def refuse():
        error = CrawlerError("slow down")
        error.code = "RESOURCE_EXHAUSTED"
        raise error

    backend.before = refuse
    with running(Master(backend)) as (master,):
        client = Client(master.address, secret=lambda: SECRET)
        with pytest.raises(Overloaded):
            client.report("w-2", [Report("x", "1", 1, State.DONE)], CALL)
        client.close()


def refused_by(master, transport):
    return master.metrics.registry.get_sample_value(
        "crawler_rate_refused_total", {"transport": transport}
    )

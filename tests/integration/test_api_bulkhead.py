"""The way from one node to the leader: what happens when the other end does not answer."""

import contextlib
import socket
import time

import gevent
import pytest
from gevent.event import Event

from crawler.api.backend import Call
from crawler.api.rpc import bulkhead as gate_module
from crawler.api.rpc import peers as peers_module
from crawler.api.rpc.peers import Peers
from crawler.errors import CrawlerError, NotFound, OutcomeUnknown, Overloaded, Unavailable
from crawler.metrics import Metrics
from crawler.model.records import Spec
from tests.clients import Client
from tests.unit.api.fakes import CALL, FakeBackend, Master, client_of, running
from tests.unit.api.test_metrics import of_queue
from tests.waiting import PATIENCE_S, eventually

HASTY = Call(0.55)
"""Just long enough for silence to count."""


@pytest.fixture
def master(backend):
    with running(Master(backend)) as (master,):
        yield master


@contextlib.contextmanager
def silent_peer():
    """An address that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def client(master):
    with client_of(master) as client:
        yield client


def outcome_of(client, call):
    """What an addition ended with, and how long it took."""
    started_s = time.monotonic()
    try:
        client.submit(Spec("x"), call)
    except CrawlerError as error:
        return type(error), time.monotonic() - started_s
    return None, time.monotonic() - started_s


def test_a_leader_that_hangs_costs_three_calls_and_then_no_time(master, backend):
    release = Event()
    backend.before = release.wait
    peers, metrics = Peers(), Metrics()
    peers.measure(metrics)
    client = peers.backend(master.address)
    try:
        for _ in range(3):
            assert outcome_of(client, HASTY)[0] is OutcomeUnknown
        assert metrics.registry.get_sample_value("crawler_breaker_state") == 2
        with pytest.raises(Unavailable, match="does not answer") as caught:
            client.submit(Spec("x"), Call(60.0))
        assert 0 < caught.value.retry_after_s <= 1.0
        assert metrics.registry.get_sample_value("crawler_breaker_refused_total") == 1
    finally:
        release.set()
    eventually(lambda: error_of(client) is None, what="it answers again, and is asked")
    assert metrics.registry.get_sample_value("crawler_breaker_state") == 0
    peers.close()


def test_connections_that_are_accepted_and_then_silent_cost_no_more():
    with silent_peer() as address:
        client = Client(address)
        started_s = time.monotonic()
        assert all(outcome_of(client, Call(1.0))[0] for _ in range(100))
        assert time.monotonic() - started_s < 50, "three of them waited"
        client.close()


def test_a_peer_that_refuses_connections_is_left_alone_too():
    client = Client("127.0.0.1:1")
    told = [str(error_of(client)) for _ in range(4)]
    assert all("cannot reach" in message for message in told[:3])
    assert "does not answer" in told[3]
    client.close()


def test_one_call_finds_out_that_it_answers_again(master, client):
    port = master.server.port
    master.server.stop(0)
    eventually(lambda: "does not answer" in str(error_of(client)), what="it is open")
    again = Master(FakeBackend())
    again.server._address = f"127.0.0.1:{port}"
    with running(again):
        eventually(lambda: error_of(client) is None, what="it is closed")
        assert client.nodes(CALL)


def test_refusals_and_late_answers_of_the_leader_are_answers(master, client, backend):
    for _ in range(5):
        with pytest.raises(NotFound):
            client.get("x", CALL)

    def refuse():
        raise Unavailable("loading")

    backend.before = refuse
    for _ in range(5):
        with pytest.raises(Unavailable, match="loading"):
            client.nodes(CALL)


def test_clients_in_a_hurry_do_not_bar_the_others(client, backend):
    backend.before = lambda: gevent.sleep(0.1)
    for _ in range(5):
        assert outcome_of(client, Call(0.02))[0] is OutcomeUnknown
    assert client.nodes(CALL)


def test_a_new_leader_is_asked_whatever_the_old_one_did(master):
    peers = Peers()
    with silent_peer() as address:
        for _ in range(3):
            outcome_of(peers.backend(address), HASTY)
        assert peers.backend(master.address).nodes(CALL)
        with pytest.raises(Unavailable, match=r"does not answer|cannot reach"):
            peers.backend(address).nodes(CALL)
    peers.close()


def test_calls_under_way_are_limited_and_the_rest_told_in_time(master, backend, monkeypatch):
    monkeypatch.setattr(gate_module, "MAX_IN_FLIGHT", 2)
    monkeypatch.setattr(peers_module, "MAX_IN_FLIGHT", 2)
    release = Event()
    backend.before = release.wait
    peers, metrics = Peers(), Metrics()
    peers.measure(metrics)
    client = peers.backend(master.address)
    held = [gevent.spawn(client.nodes, Call(300.0)) for _ in range(2)]
    eventually(lambda: len(backend.calls) == 2)
    try:
        kind, took_s = outcome_of(client, Call(16.0))
        assert kind is Overloaded
        assert took_s < 16.0
        assert of_queue(metrics, "calls to the leader") == (2, 2, 1)
        waits = gevent.spawn(client.submit, Spec("y"), Call(10.0))
        gevent.sleep(0)
    finally:
        release.set()
    gevent.joinall([*held, waits], timeout=PATIENCE_S, raise_error=True)
    assert backend.calls[-1].timeout_s <= 10.1
    assert of_queue(metrics, "calls to the leader") == (0, 2, 1)
    peers.close()


def test_a_call_that_its_caller_gives_up_frees_its_place():
    with silent_peer() as address:
        client = Client(address)
        with gevent.Timeout(0.1, False):
            client.nodes(Call(60.0))
        assert client.gate.in_flight == 0
        client.close()


def test_a_client_that_asks_nothing_connects_to_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        client = Client(f"127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            server.accept()
        client.close()


def error_of(client):
    try:
        client.nodes(CALL)
    except CrawlerError as error:
        return error
    return None

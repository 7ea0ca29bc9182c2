"""A follower passes a request on, once; what comes back is what the leader said."""

import socket

import gevent
import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from crawler.api.backend import Call
from crawler.api.rpc import client as client_module
from crawler.api.rpc.peers import MAX_PEERS, Peers
from crawler.errors import AlreadyExists, CrawlerError, NotFound, OutcomeUnknown, Unavailable
from crawler.model.constraints import Constraints, Neighbour
from crawler.model.records import Query, Report, Spec, State, WorkerLoad
from tests.clients import Client
from tests.unit.api.fakes import CALL, Master, body_of, client_of, running
from tests.waiting import PATIENCE_S

RESOURCE = "/crawler/resource"


@pytest.fixture
def pair(backend):
    leader, follower = Master(backend), Master()
    with running(leader, follower):
        follower.follow(leader.address)
        yield leader, follower


@pytest.fixture
def follower(pair):
    return pair[1]


@pytest.fixture
def client(follower):
    with client_of(follower) as client:
        yield client


def test_every_call_reaches_the_leader(client, backend):
    asked = Constraints(node="2", requests=(("cpu", 0.5),), apart=(Neighbour("site", "books"),))
    spec = Spec("x", parameters={"n": 1}, constraints=asked, retries=2)
    added = client.add(spec, CALL)
    assert client.update(spec, CALL) == added
    assert client.get("x", CALL) == added
    assert client.list(Query(), CALL).resources == [added]
    assert len(client.nodes(CALL)) == 2
    load = WorkerLoad(0.5, 0.25)
    assert client.report("w-2", [Report("y", "1", 1, State.DONE)], CALL, load) == ["y"]
    assert backend.resources["x"].spec == spec
    assert backend.loads == [("w-2", load)]
    client.delete("x", CALL)
    assert len(backend.calls) == 9, "and each audit looks at the task before the update"
    assert all(call.forwarded for call in backend.calls)


def test_http_at_a_follower_answers_as_at_the_leader(pair):
    leader, follower = pair
    first = follower.web.post(RESOURCE, data=b'{"id":"zjx","name":"task-test-4"}')
    assert first.data == b'{"id":"go.micro.server.worker-2","Address":"192.168.0.107:9089"}'
    for path in (f"{RESOURCE}/task-test-4", RESOURCE, "/crawler/node", f"{RESOURCE}/unknown"):
        at_leader, at_follower = leader.web.get(path), follower.web.get(path)
        assert at_follower.data == at_leader.data
        assert at_follower.status_code == at_leader.status_code
    assert follower.web.delete(RESOURCE, data=b'{"name":"task-test-4"}').data == b"{}"


def test_the_deadline_is_passed_on(follower, client, backend):
    client.nodes(Call(3.0))
    follower.web.get("/crawler/node", headers={"Grpc-Timeout": "2S"})
    # On the wire gRPC rounds a timeout up, by a hundredth at most.
    assert 2.0 < backend.calls[0].timeout_s <= 3.06
    assert 1.0 < backend.calls[1].timeout_s <= 2.02


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("no such task"), 404),
        (AlreadyExists("differs"), 409),
        (Unavailable("loading", 2.0), 503),
        (OutcomeUnknown("the store did not answer"), 504),
        (CrawlerError("broken"), 500),
    ],
)
def test_an_error_passes_unchanged(pair, client, backend, error, status):
    def fail():
        raise error

    backend.before = fail
    with pytest.raises(type(error)) as caught:
        client.add(Spec("x"), CALL)
    assert (caught.value.code, str(caught.value)) == (error.code, str(error))
    at_leader, at_follower = (master.web.post(RESOURCE, json={"name": "x"}) for master in pair)
    assert at_follower.status_code == status
    assert at_follower.data == at_leader.data
    assert at_follower.headers.get("Retry-After") == at_leader.headers.get("Retry-After")


def test_a_second_hop_is_refused(backend):
    leader, follower, stale = Master(backend), Master(), Master()
    with running(leader, follower, stale), client_of(stale) as client:
        follower.follow(leader.address)
        stale.follow(follower.address)
        with pytest.raises(Unavailable, match="does not lead any more") as caught:
            client.nodes(CALL)
        assert caught.value.code == "UNAVAILABLE"
        assert stale.web.get("/crawler/node").status_code == 503
    assert backend.calls == []


def test_a_follower_whose_leader_went_says_so(pair, monkeypatch):
    leader, follower = pair
    leader.server.stop(0)
    answer = follower.web.post(RESOURCE, json={"name": "x"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    told = body_of(answer)["message"]
    assert told.startswith(f"nobody leads: cannot reach {leader.address}: ")
    assert "another master takes over when its lease has ended; try again in 1 s" in told
    peers = follower.election.peers
    assert peers.trouble(leader.address) == told, "/readyz says the same"
    # Nobody may ask meanwhile, so that it must be forgotten by itself.
    monkeypatch.setattr(client_module.SystemClock, "monotonic", lambda: 10.0**12)
    assert peers.trouble(leader.address) == ""


def test_a_leader_that_hangs_costs_no_more_than_the_deadline(follower, backend):
    release = Event()
    backend.before = release.wait
    try:
        with gevent.Timeout(PATIENCE_S):
            answer = follower.web.post(
                RESOURCE, json={"name": "x"}, headers={"Grpc-Timeout": "200m"}
            )
    finally:
        release.set()
    assert answer.status_code == 504
    assert body_of(answer)["code"] == 4


def test_a_call_is_given_up_even_when_grpc_forgets_its_deadline(client, monkeypatch):
    monkeypatch.setattr(client_module, "MARGIN_S", 0.05)

    def stuck(*args, **more):
        Event().wait()

    monkeypatch.setattr(client._stub, "AddResource", stuck)
    monkeypatch.setattr(client._stub, "ListNodes", stuck)
    with pytest.raises(OutcomeUnknown):
        client.add(Spec("x"), Call(0.05))
    with pytest.raises(Unavailable):
        client.nodes(Call(0.05))
    outer = gevent.Timeout(0.05)
    with pytest.raises(gevent.Timeout) as caught, outer:
        client.nodes(Call(30.0))
    assert caught.value is outer


def test_peers_keep_one_channel_per_address_and_few_in_all():
    peers = Peers()
    first = peers.backend("127.0.0.1:1")
    assert peers.backend("127.0.0.1:1") is first
    for port in range(2, 2 + MAX_PEERS):
        peers.backend(f"127.0.0.1:{port}")
    assert peers.backend("127.0.0.1:1") is not first
    with pytest.raises(Unavailable, match="was closed"):
        first.nodes(CALL)
    peers.close()


def test_a_proxy_in_the_environment_is_not_asked(pair, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:9")
    client = Client(pair[0].address)
    assert len(client.nodes(CALL)) == 2
    client.close()


def test_over_real_sockets(follower):
    """What curl sends, to the WSGI server that nodes run: bodies with DELETE, chunks, errors."""
    server = WSGIServer(("127.0.0.1", 0), follower.app, log=None)
    server.start()
    try:
        added = exchange(server, b"POST", b'{"id":"zjx","name":"task-test-4"}')
        assert added.endswith(
            b'\r\n\r\n{"id":"go.micro.server.worker-2","Address":"192.168.0.107:9089"}'
        )
        deleted = exchange(server, b"DELETE", b'{"name":"task-test-4"}', chunked=True)
        assert deleted.endswith(b"\r\n\r\n{}")
        gone = exchange(server, b"DELETE", b'{"name":"task-test-4"}')
        assert gone.startswith(b"HTTP/1.1 404 ")
        assert gone.endswith(b'{"code":5,"message":"no such task","details":[]}')
        large = exchange(server, b"POST", b" " * 1_100_000, chunked=True)
        assert large.startswith(b"HTTP/1.1 413 ")
        assert b'{"code":8,' in large
    finally:
        server.stop()


def exchange(server, method, body, chunked=False):
    """One request as curl makes it, and the whole response."""
    if chunked:
        length, body = b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        length = b"Content-Length: %d" % len(body)
    head = b"%s /crawler/resource HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" % method
    head += b"Content-Type: application/json\r\n%s\r\n\r\n" % length
    with socket.create_connection(server.address, timeout=PATIENCE_S) as sock:
        sock.sendall(head + body)
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    return received

"""Too much at once: everybody is answered or refused in time, and the leader stays the leader.

In time is a matter of seconds: most of these run where nothing else does, in `make faults`.
"""

import contextlib
import http.client
import json
import socket
import statistics
import time
from collections import Counter

import gevent
import grpc
import pytest
from google.protobuf import empty_pb2

from crawler.api.backend import Call
from crawler.api.failures import CODES
from crawler.api.http.server import HEAD_S
from crawler.coordination.etcd.store import EtcdStore
from crawler.errors import Retryable
from crawler.model.records import Spec
from crawler.proto import crawler_pb2 as pb
from tests.clients import Client
from tests.clusters import CALL, Cluster
from tests.integration.lab import Lab, call
from tests.waiting import PATIENCE_S, eventually

SILENT = 40
CLIENTS = 64
TTL_S = 6
"""So long that a busy machine alone costs no master its lease."""
LOAD_S = TTL_S + 1.0
"""Longer than a lease lives."""

LEADER_AND_FOLLOWER = [pytest.param(0, id="leader"), pytest.param(1, id="follower")]

ALLOWED = {200, 429, 503, 504}
"""Done; refused, twice; and, on a machine that is too slow, sent but not answered in time."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab"), ttl_s=TTL_S) as lab:
        lab.start("master-1", "master-2")
        eventually(lambda: lab.masters()[0].call("GET", "/crawler/resource")[0] == 200)
        yield lab


@pytest.fixture
def leadership(lab):
    """Fails the test when another term of leadership begins meanwhile."""
    before = term(lab.store)
    yield before
    assert term(lab.store) == before


def term(store):
    """The create revision of the leader's key: another one is another leadership."""
    return min(kv.create_revision for kv in store.range("/resources/election/").items)


@contextlib.contextmanager
def connections(port, count=SILENT):
    """So many connections that never say a word."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
        yield


@contextlib.contextmanager
def silent_peer():
    """An address that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def client_of(node):
    client = Client(f"127.0.0.1:{node.grpc}")
    yield client
    client.close()


def for_s(duration_s, act):
    """Do something again and again for so long; what came of each."""
    until_s = time.monotonic() + duration_s
    results = []
    while time.monotonic() < until_s:
        results.append(act(len(results)))
    return results


# -- those who say nothing ------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.usefixtures("leadership")
def test_silent_clients_keep_nobody_out(lab):
    leader, follower = lab.masters()
    with contextlib.ExitStack() as stack:
        for port in (leader.http, leader.grpc, follower.http, follower.grpc):
            stack.enter_context(connections(port))
        client = stack.enter_context(client_of(leader))

        def ask(_):
            started_s = time.monotonic()
            assert leader.call("GET", "/readyz")[0] == 200
            assert follower.call("GET", "/crawler/resource")[0] == 200
            assert client.nodes(CALL)
            gevent.sleep(0.05)
            return time.monotonic() - started_s

        assert statistics.median(for_s(2.5 * TTL_S, ask)) < HEAD_S, "they wait for no silent one"


@pytest.mark.faults
def test_calls_to_silent_peers_hold_up_no_other_call(tmp_path, shared_etcd, etcd_store):
    """gRPC holds a native thread for each of their channels: they must not be all there are."""
    cluster = Cluster(tmp_path, EtcdStore([shared_etcd.endpoint]), ttl_s=TTL_S)
    try:
        cluster.master("1")
        client = cluster.client()
        before = term(etcd_store)
        eventually(lambda: client.nodes(CALL), what="the leader knows itself")
        with silent_peer() as address:
            stuck = [gevent.spawn(ask_silent, address, 4 * TTL_S) for _ in range(SILENT)]
            for_s(2.5 * TTL_S, lambda _: ask_and_rest(client))
            assert not any(greenlet.ready() for greenlet in stuck), "none waited for one of them"
            assert term(etcd_store) == before
            gevent.joinall(stuck, timeout=PATIENCE_S, raise_error=True)
        assert term(etcd_store) == before
    finally:
        cluster.stop()


def ask_silent(address, timeout_s):
    """A call that waits all its time, over a channel of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options=options) as channel:
        ask = channel.unary_unary(
            "/CrawlerMaster/GetLeader",
            empty_pb2.Empty.SerializeToString,
            pb.LeaderSpec.FromString,
        )
        with pytest.raises(grpc.RpcError):
            ask(empty_pb2.Empty(), timeout=timeout_s, wait_for_ready=True)


def ask_and_rest(client):
    assert client.nodes(CALL)
    gevent.sleep(0.05)


# -- those who say too much -----------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.usefixtures("leadership")
@pytest.mark.parametrize("which", LEADER_AND_FOLLOWER)
def test_a_flood_over_http_is_answered_or_refused_in_time(lab, which):
    node = lab.masters()[which]
    names = Names(f"http-{which}")
    asked = flood(lambda: contextlib.closing(HttpClient(node.http)), names)
    assert_all_told(asked, lab, names)


@pytest.mark.faults
@pytest.mark.usefixtures("leadership")
@pytest.mark.parametrize("which", LEADER_AND_FOLLOWER)
def test_a_flood_over_grpc_is_answered_or_refused_in_time(lab, which):
    node = lab.masters()[which]
    names = Names(f"grpc-{which}")
    with client_of(node) as client, client_of(node) as other:
        turns = iter(range(CLIENTS))
        asked = flood(
            lambda: contextlib.nullcontext(GrpcClient([client, other][next(turns) % 2])), names
        )
    assert_all_told(asked, lab, names)


@pytest.mark.faults
def test_a_client_beyond_its_rate_gets_429_and_the_rest_is_done(tmp_path):
    rate, burst = 20, 40
    with Lab(tmp_path, ttl_s=TTL_S) as lab:
        lab.start("master-1", CRAWLER_API_RATE=str(rate), CRAWLER_API_BURST=str(burst))
        node = lab["master-1"]
        eventually(lambda: node.call("GET", "/readyz")[0] == 200)
        before, names, began_s = term(lab.store), Names("limited"), time.monotonic()
        asked = flood(lambda: contextlib.closing(HttpClient(node.http)), names)
        took_s = time.monotonic() - began_s
        told = Counter(status for status, _ in asked)
        assert told.keys() == {200, 429}
        assert burst < told[200] <= burst + rate * took_s + 1
        assert told[429] > told[200]
        text = node.call("GET", "/metrics")[2].decode()  # what follows is refused, too
        assert f'crawler_rate_refused_total{{transport="http"}} {told[429]}.0' in text
        assert names.accepted <= lab.resources().keys()
        with client_of(node) as client:
            assert {GrpcClient(client).add("limited-1") for _ in range(200)} == {200, 429}
        eventually(lambda: node.call("GET", "/crawler/resource")[0] == 200)
        assert term(lab.store) == before


class Names:
    """The names of the tasks of one flood, and which of them were accepted."""

    def __init__(self, prefix):
        self._prefix = prefix
        self._given = 0
        self.accepted = set()

    def next(self):
        self._given += 1
        return f"{self._prefix}-{self._given}"


class HttpClient:
    """A client with a connection of its own."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=CALL.timeout_s + PATIENCE_S
        )

    def add(self, name):
        headers = {"Grpc-Timeout": f"{CALL.timeout_s:.0f}S"}
        self._connection.request("POST", "/crawler/resource", json.dumps({"name": name}), headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def close(self):
        self._connection.close()


class GrpcClient:
    """A client among others of one channel."""

    def __init__(self, client):
        self._client = client

    def add(self, name):
        try:
            self._client.add(Spec(name), Call(CALL.timeout_s))
        except Retryable as error:
            return CODES[error.code][1]
        return 200


def flood(connect, names):
    """Status and duration of each request of many clients that ask as fast as they can."""

    def ask(client):
        name, started_s = names.next(), time.monotonic()
        status = client.add(name)
        if status == 200:
            names.accepted.add(name)
        return status, time.monotonic() - started_s

    def run():
        with connect() as client:
            return for_s(LOAD_S, lambda _: ask(client))

    clients = [gevent.spawn(run) for _ in range(CLIENTS)]
    gevent.joinall(clients, timeout=LOAD_S + CALL.timeout_s + PATIENCE_S, raise_error=True)
    assert all(client.ready() for client in clients), "some requests hang"
    return [result for client in clients for result in client.value]


def assert_all_told(asked, lab, names):
    told = Counter(status for status, _ in asked)
    assert told.keys() <= ALLOWED, told
    assert told[200] > CLIENTS, told
    took = [took_s for _, took_s in asked]
    assert statistics.median(took) < CALL.timeout_s
    assert max(took) < CALL.timeout_s + PATIENCE_S, "the clients of a busy machine look late"
    assert names.accepted <= lab.resources().keys()


# -- those who say it again -----------------------------------------------------------------------


@pytest.mark.usefixtures("leadership")
def test_adding_again_is_one_task_however_and_wherever_it_is_said(lab):
    leader, follower = lab.masters()
    body = {"name": "said-again", "parameters": {"n": 1}}
    first = call(leader.http, "POST", "/crawler/resource", body)
    stored = lab.resources()["said-again"]
    assert first[0] == 200
    for node in (follower, leader, follower):
        again = call(node.http, "POST", "/crawler/resource", body)
        told = {**json.loads(first[2]), "new": False, "state": "pending"}
        assert (again[0], json.loads(again[2])) == (200, told)
        with client_of(node) as client:
            client.add(Spec("said-again", parameters={"n": 1}), CALL)
    assert json.loads(lab.resources()["said-again"][0])["ID"] == json.loads(stored[0])["ID"]
    assert lab.resources()["said-again"] == stored

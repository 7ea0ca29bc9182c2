"""The gRPC server itself: its address, its limits, health, reflection, clients of another make."""

import contextlib
import socket
import threading

import gevent
import grpc
import pytest
from gevent import monkey
from gevent.event import Event
from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from crawler.api.backend import Call
from crawler.api.health import Health
from crawler.api.rpc import server
from crawler.api.rpc.server import RpcServer
from crawler.errors import (
    ConfigError,
    CrawlerError,
    NotFound,
    Overloaded,
    Rejected,
    Unavailable,
)
from crawler.metrics import Metrics
from crawler.model.records import Report, Spec, State
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import CALL, Master, channel_to, client_of, running
from tests.unit.api.test_metrics import of_queue
from tests.waiting import PATIENCE_S, eventually

native_sleep = monkey.get_original("time", "sleep")

SPEC = Spec("task-test-4", "douban", {"tag": "小说", "pages": 3}, {"gpu": "yes"}, 2)


def test_a_client_finds_a_server_that_came_back(leader, client):
    client.nodes(CALL)
    port = leader.server.port
    leader.server.stop(0)
    again = RpcServer(
        f"127.0.0.1:{port}", leader.health, Metrics(), leader.settings, servicer=leader.servicer
    )
    again.start()
    try:
        eventually(lambda: isinstance(outcome_of(client.nodes, CALL), list))
    finally:
        again.stop(0)


def test_forty_calls_at_once_share_a_channel(client, backend):
    entered = threading.Barrier(40)
    backend.before = lambda: entered.wait(PATIENCE_S)
    calls = [gevent.spawn(client.add, Spec(f"task-{at}"), Call(20.0)) for at in range(40)]
    gevent.joinall(calls, timeout=PATIENCE_S, raise_error=True)
    assert sorted(call.value.name for call in calls) == sorted(backend.resources)


def test_calls_beyond_the_limit_are_refused_and_not_acted_upon(backend):
    release = Event()
    backend.before = release.wait
    with running(Master(backend, max_calls=2)) as (master,), client_of(master) as client:
        held = [gevent.spawn(client.nodes, Call(20.0)) for _ in range(2)]
        eventually(lambda: len(backend.calls) == 2)
        try:
            with pytest.raises(Overloaded, match="2 gRPC calls are in flight") as caught:
                client.add(SPEC, CALL)
            assert caught.value.code == "RESOURCE_EXHAUSTED"
            assert of_queue(master.metrics, "grpc calls") == (2, 2, 1)
        finally:
            release.set()
        gevent.joinall(held, timeout=PATIENCE_S, raise_error=True)
        assert of_queue(master.metrics, "grpc calls") == (0, 2, 1)
    assert backend.resources == {}


def test_health_and_the_workers_reports_have_room_when_clients_take_all(backend):
    release = Event()
    with running(Master(backend, max_calls=2)) as (master,), client_of(master) as client:
        backend.before = release.wait
        held = [gevent.spawn(client.nodes, Call(20.0)) for _ in range(2)]
        eventually(lambda: len(backend.calls) == 2)
        backend.before = lambda: None
        try:
            with channel_to(master) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                assert stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S).status
            assert client.report("w-2", [Report("x", "1", 1, State.DONE)], CALL) == ["x"]
        finally:
            release.set()
        gevent.joinall(held, timeout=PATIENCE_S, raise_error=True)


def test_a_connection_that_says_nothing_is_closed(backend, monkeypatch):
    monkeypatch.setattr(server, "HANDSHAKE_S", 1)
    with (
        running(Master(backend)) as (master,),
        socket.create_connection(("127.0.0.1", master.server.port), timeout=PATIENCE_S) as silent,
    ):
        while silent.recv(4096):
            pass


HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5)
"""How a client of HTTP/2 begins: the preface, and empty settings (RFC 9113, section 3.4)."""


def test_a_connection_without_calls_is_closed_and_a_client_loses_nothing(backend, monkeypatch):
    monkeypatch.setattr(server, "IDLE_S", 1)
    with (
        running(Master(backend)) as (master,),
        client_of(master) as client,
        socket.create_connection(("127.0.0.1", master.server.port), timeout=PATIENCE_S) as idle,
    ):
        assert client.nodes(CALL) is not None
        idle.sendall(HELLO)
        while idle.recv(4096):
            pass
        assert client.nodes(CALL) is not None


def frame(kind, flags, stream, payload):
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def frames(connection):
    """The frames that arrive until the connection is closed: kind and payload."""
    reads = connection.makefile("rb")
    while head := reads.read(9):
        yield head[3], reads.read(int.from_bytes(head[:3], "big"))


SETTINGS, PING, GOAWAY, ACK = 4, 6, 7, 1
MOST_STREAMS, MOST_HEADERS = 3, 6
WATCH = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/grpc.health.v1.Health/Watch",
    ":authority": "localhost",
    "te": "trailers",
    "content-type": "application/grpc",
}


def watching():
    """What a client sends that watches the health: its headers, plain (RFC 7541, 6.2.2), and an
    empty message."""
    fields = b"".join(
        b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in pair)
        for pair in WATCH.items()
    )
    return frame(1, 4, 1, fields) + frame(0, 1, 1, bytes(5))


@pytest.mark.parametrize("calls", [watching(), b""], ids=["during a call", "without a call"])
def test_a_connection_that_leaves_a_ping_unanswered_is_closed(backend, monkeypatch, calls):
    monkeypatch.setattr(server, "ALIVE_S", 0.3)
    monkeypatch.setattr(server, "ANSWER_S", 4)
    with (
        running(Master(backend)) as (master,),
        socket.create_connection(("127.0.0.1", master.server.port), timeout=PATIENCE_S) as vanishes,
    ):
        vanishes.sendall(HELLO + frame(SETTINGS, ACK, 0, b"") + calls)
        pings = 0
        for kind, payload in frames(vanishes):
            pings += kind == PING
            if kind == PING and pings < 3:
                vanishes.sendall(frame(PING, ACK, 0, payload))
        assert pings == 3, "it stays as long as it answers"


def test_one_client_cannot_take_all_connections(backend, monkeypatch):
    monkeypatch.setattr(server, "most_connections", lambda: 5)
    with running(Master(backend)) as (master,), contextlib.ExitStack() as idle:
        address = ("127.0.0.1", master.server.port)
        sockets = [idle.enter_context(socket.create_connection(address, 10)) for _ in range(5)]
        for each in sockets:
            each.sendall(HELLO)
            assert each.recv(9)
        with socket.create_connection(address, 10) as further:
            assert not further.recv(1), "closed at once"
        sockets.pop().close()

        def answered():
            with client_of(master) as client, contextlib.suppress(Unavailable):
                return client.nodes(CALL) is not None

        eventually(answered)


def test_a_connection_that_is_old_is_closed_though_a_watch_goes_on(backend, monkeypatch):
    monkeypatch.setattr(server, "AGE_S", 0.5)
    monkeypatch.setattr(server, "LAST_CALLS_S", 0.2)
    with (
        running(Master(backend)) as (master,),
        client_of(master) as client,
        socket.create_connection(("127.0.0.1", master.server.port), timeout=PATIENCE_S) as old,
    ):
        old.sendall(HELLO + frame(SETTINGS, ACK, 0, b"") + watching())
        kinds = [kind for kind, _ in frames(old)]  # until it is closed
        assert kinds.count(GOAWAY) >= 1
        assert client.nodes(CALL) is not None


def test_a_connection_is_told_how_many_calls_and_how_much_metadata_it_may_send(leader):
    with socket.create_connection(("127.0.0.1", leader.server.port), PATIENCE_S) as told:
        told.sendall(HELLO)
        kind, payload = next(frames(told))
    assert kind == SETTINGS
    pairs = [payload[at : at + 6] for at in range(0, len(payload), 6)]
    found = {int.from_bytes(pair[:2], "big"): int.from_bytes(pair[2:], "big") for pair in pairs}
    assert found[MOST_STREAMS] == server.MOST_CALLS_OF_CONNECTION
    assert found[MOST_HEADERS] == server.METADATA_BYTES


def test_metadata_beyond_the_limit_is_refused(leader, backend):
    with channel_to(leader) as channel:
        list_nodes = pb_grpc.CrawlerMasterStub(channel).ListNodes
        few, many = [("x", "y" * 7000)], [("x", "y" * (server.METADATA_BYTES + 1))]
        assert list_nodes(pb.ListNodesRequest(), timeout=20, metadata=few) is not None
        with pytest.raises(grpc.RpcError) as told:
            list_nodes(pb.ListNodesRequest(), timeout=20, metadata=many)
    assert told.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(backend.calls) == 1


@pytest.mark.parametrize(("files", "most"), [(64, 16), (1024, 256), (4096, 3328), (-1, 2**31 - 1)])
def test_connections_leave_descriptors_to_all_else(files, most, monkeypatch):
    monkeypatch.setattr(server.resource, "getrlimit", lambda kind: (files, files))
    assert server.most_connections() == most


def test_a_request_beyond_the_limit_is_rejected(backend):
    with (
        running(Master(backend, ApiSettings(max_request_bytes=1024))) as (master,),
        client_of(master) as client,
    ):
        with pytest.raises(Rejected, match="larger than max") as caught:
            client.add(Spec("x", parameters={"a": "x" * 1024}), CALL)
        assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_an_unknown_method_is_unimplemented(leader):
    with channel_to(leader) as channel:
        call = channel.unary_unary(
            "/CrawlerMaster/Nonsense", empty_pb2.Empty.SerializeToString, empty_pb2.Empty.FromString
        )
        with pytest.raises(grpc.RpcError) as told:
            call(empty_pb2.Empty())
    assert told.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stub_of_the_first_crawler_proto_works(leader):
    with channel_to(leader) as channel:
        messages = first_messages()
        add = channel.unary_unary(
            "/CrawlerMaster/AddResource",
            messages["ResourceSpec"].SerializeToString,
            messages["NodeSpec"].FromString,
        )
        node = add(messages["ResourceSpec"](id="zjx", name="task-test-4"), timeout=PATIENCE_S)
    assert (node.id, node.Address) == ("go.micro.server.worker-2", "192.168.0.107:9089")


def test_a_taken_port_is_a_fault_of_the_settings(leader):
    other = RpcServer(leader.address, Health(), Metrics(), ApiSettings())
    with pytest.raises(ConfigError, match=rf"{leader.address}.*--grpc"):
        other.start()
    other.stop(0)


@pytest.mark.parametrize("address", ["203.0.113.1:0", "no.such.host.invalid:0"])
def test_an_address_of_another_machine_is_a_fault_of_the_settings(address):
    with pytest.raises(ConfigError, match="no address of this machine"):
        RpcServer(address, Health(), Metrics(), ApiSettings()).start()


def test_an_address_without_a_host_is_every_interface():
    server = RpcServer(":0", Health(), Metrics(), ApiSettings())
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            asked = health_pb2.HealthCheckRequest()
            answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=PATIENCE_S)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    finally:
        server.stop(0)
        server.stop(0)


def test_health_is_checked_and_watched(leader):
    with channel_to(leader) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="CrawlerMaster"), timeout=20)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        leader.health.set_ready(True)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        assert stub.Check(health_pb2.HealthCheckRequest()).status == 1
        with pytest.raises(grpc.RpcError) as told:
            stub.Check(health_pb2.HealthCheckRequest(service="Nonsense"))
        assert told.value.code() is grpc.StatusCode.NOT_FOUND
        leader.health.shut_down()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with gevent.Timeout(PATIENCE_S):
            leader.server.stop(200)
        with pytest.raises(grpc.RpcError):
            next(watch)


def test_a_watch_that_its_client_ends_is_let_go(leader):
    with channel_to(leader) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        next(watch)
        watch.cancel()
        eventually(lambda: sample(leader, "/grpc.health.v1.Health/Watch", "CANCELLED"))


def test_a_server_that_stops_answers_all_calls_that_have_arrived(leader, client):
    """gRPC hands calls over one by one, and cancels those that still wait for it."""
    client.nodes(CALL)
    asked = [gevent.spawn(outcome_of, client.nodes, Call(200.0)) for _ in range(200)]
    gevent.sleep(0)  # all are sent
    native_sleep(1.0)  # they arrive, and the hub takes up none of them
    leader.server.stop(20.0)
    gevent.joinall(asked, timeout=PATIENCE_S)
    assert [job.value for job in asked if not isinstance(job.value, list)] == []


def test_reflection_shows_the_service(leader):
    with channel_to(leader) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "CrawlerMaster" in database.get_services()
        assert "grpc.health.v1.Health" in database.get_services()
        pool = descriptor_pool.DescriptorPool(database)
        method = pool.FindServiceByName("CrawlerMaster").FindMethodByName("AddResource")
        assert method.input_type.fields_by_name["creation_time"].number == 4


def test_a_worker_serves_health_and_reflection_only():
    server = RpcServer("127.0.0.1:0", Health(), Metrics(), ApiSettings())
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            services = ProtoReflectionDescriptorDatabase(channel).get_services()
            assert "CrawlerMaster" not in services
            stub = pb_grpc.CrawlerMasterStub(channel)
            with pytest.raises(grpc.RpcError) as told:
                stub.ListNodes(pb.ListNodesRequest(), timeout=PATIENCE_S)
            assert told.value.code() is grpc.StatusCode.UNIMPLEMENTED
    finally:
        server.stop(0)


def test_calls_are_timed_by_method_and_status(leader, client):
    client.nodes(CALL)
    with pytest.raises(NotFound):
        client.delete("x", CALL)
    assert sample(leader, "/CrawlerMaster/ListNodes", "OK") == 1
    assert sample(leader, "/CrawlerMaster/DeleteResource", "NOT_FOUND") == 1


def sample(master, method, code):
    labels = {"method": method, "code": code}
    return master.metrics.registry.get_sample_value("crawler_rpc_seconds_count", labels)


def first_messages():
    """The messages as the first version of crawler.proto had them, in a pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="first.proto", syntax="proto3")
    kinds = {"string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING}
    kinds["int64"] = descriptor_pb2.FieldDescriptorProto.TYPE_INT64
    for name, fields in (
        ("ResourceSpec", ["id", "name", "assigned_node", "creation_time:int64"]),
        ("NodeSpec", ["id", "Address"]),
    ):
        message = file.message_type.add(name=name)
        for number, field in enumerate(fields, 1):
            field_name, _, kind = field.partition(":")
            message.field.add(name=field_name, number=number, type=kinds[kind or "string"], label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        for name in ("ResourceSpec", "NodeSpec")
    }


def outcome_of(function, *args):
    try:
        return function(*args)
    except CrawlerError as error:
        return error

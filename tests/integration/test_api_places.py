"""The places of the gRPC server: nobody takes those of others, and each is had before reading."""

import logging

import gevent
import grpc
import pytest
from gevent.event import Event
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from crawler.api.backend import Call
from crawler.api.places import Places
from crawler.api.rpc import admission
from crawler.api.sparse import MOST_LINES
from crawler.errors import Overloaded
from crawler.model.records import Report, State
from crawler.settings.sections import ApiSettings
from tests.clients import Client
from tests.unit.api.fakes import CALL, SECRET, Master, channel_to, running
from tests.unit.api.test_metrics import of_queue
from tests.waiting import PATIENCE_S, eventually

ADD = "/CrawlerMaster/AddResource"


def bytes_call(channel, method=ADD, kind="unary_unary"):
    """A call that sends bytes as they are."""
    return getattr(channel, kind)(method, lambda raw: raw, lambda raw: raw)


def code_of(call, *args, **more):
    """The status with which a call ends."""
    with pytest.raises(grpc.RpcError) as told:
        call(*args, timeout=20, **more)
    return told.value.code().name


def test_idle_watches_take_no_place_of_reports_checks_and_what_is_forwarded(leader, client):
    with channel_to(leader) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(50)]
        answers = [first_of(watch) for watch in watches]
        assert answers.count("RESOURCE_EXHAUSTED") == 34, "one client has 16 streams"
        assert client.report("w-2", [Report("x", "1", 1, State.DONE)], CALL) == ["x"]
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S).status
        follower = Client(leader.address, forwards=True, token=lambda: SECRET)
        assert follower.nodes(CALL)
        follower.close()
        for watch in watches:
            watch.cancel()
        eventually(lambda: of_queue(leader.metrics, "grpc streams")[0] == 0)
        again = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(again).status
        again.cancel()


def first_of(watch):
    try:
        return next(watch).status
    except grpc.RpcError as error:
        return error.code().name


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (ADD, "unary_unary"),
        ("/CrawlerMaster/ReportRuns", "unary_unary"),
        ("/grpc.health.v1.Health/Check", "unary_unary"),
    ],
)
def test_what_is_no_message_is_refused_in_a_line_or_less(leader, caplog, method, kind):
    caplog.set_level(logging.INFO)
    with channel_to(leader) as channel:
        call = bytes_call(channel, method, kind)
        codes = {code_of(call, b"\xff\xff\xffgarbage") for _ in range(60)}
    assert codes == {"INVALID_ARGUMENT"}
    assert not [record for record in caplog.records if record.exc_info]
    assert len(caplog.records) <= 3 * MOST_LINES


def test_streams_of_garbage_are_refused_as_well(leader, caplog):
    with channel_to(leader) as channel:
        method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        answers = bytes_call(channel, method, "stream_stream")(iter([b"\xff\xff"]), timeout=20)
        with pytest.raises(grpc.RpcError) as told:
            next(answers)
        assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        watch = bytes_call(channel, "/grpc.health.v1.Health/Watch", "unary_stream")
        with pytest.raises(grpc.RpcError) as told:
            next(watch(b"\xff\xff", timeout=20))
        assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert reflection_pb2_grpc.ServerReflectionStub(channel)
    assert not [record for record in caplog.records if record.exc_info]


def test_what_is_no_message_counts_against_the_rate_of_its_client(backend):
    with (
        running(Master(backend, ApiSettings(rate=1, burst=3))) as (master,),
        channel_to(master) as channel,
    ):
        codes = [code_of(bytes_call(channel), b"\xff") for _ in range(8)]
    assert "INVALID_ARGUMENT" in codes[:3]
    assert codes[-1] == "RESOURCE_EXHAUSTED"


def test_calls_without_a_message_are_ended_and_keep_nobody_out(leader, client, monkeypatch):
    monkeypatch.setattr(admission, "MESSAGE_S", 2.0)
    never = Event()

    def silence():
        never.wait()
        yield b""

    with channel_to(leader) as channel:
        call = bytes_call(channel, ADD, "stream_unary")
        silent = [gevent.spawn(code_of, call, silence()) for _ in range(100)]
        assert client.nodes(Call(10.0))
        gevent.joinall(silent, timeout=PATIENCE_S, raise_error=True)
        assert {each.value for each in silent} <= {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}
        never.set()
        assert code_of(call, iter(())) == "INVALID_ARGUMENT"


def test_a_client_has_no_more_than_its_part_and_gets_it_back():
    places = Places("grpc streams", 3, 2)
    first, _ = places.take("a"), places.take("a")
    with pytest.raises(Overloaded, match="2 gRPC streams are in flight, the most that a may have"):
        places.take("a")
    places.take("b")
    with pytest.raises(Overloaded, match="3 gRPC streams are in flight, the most that this server"):
        places.take("c")
    first()
    assert places.take("a")

"""gRPC over real sockets: what the calls do, and how errors and deadlines cross the wire."""

import contextlib

import gevent
import grpc
import pytest
from gevent.event import Event

from crawler.api.backend import Call
from crawler.api.rpc.metadata import ANSWERED, RETRY_AFTER
from crawler.errors import (
    AlreadyExists,
    Conflict,
    CrawlerError,
    InvalidArgument,
    LeadershipLost,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)
from crawler.model.records import Counts, Leader, Query, Report, Spec, State, WorkerLoad
from crawler.model.run_statistics import MOST_BYTES, RunStatistics
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.settings.sections import ApiSettings
from tests.clients import Client
from tests.faults.proxy import Link
from tests.unit.api.fakes import CALL, Master, channel_to, client_of, running
from tests.waiting import PATIENCE_S, eventually

SPEC = Spec("task-test-4", "douban", {"tag": "小说", "pages": 3}, {"gpu": "yes"}, 2)


@pytest.fixture
def stub(leader):
    with channel_to(leader) as channel:
        yield pb_grpc.CrawlerMasterStub(channel)


def test_a_master_that_is_far_away_is_reached(leader):
    """A connection begins with two ways there and back: 0.8 s here."""
    link = Link(leader.address)
    link.start()
    try:
        link.slow(latency_s=0.2, bytes_per_s=1_000_000)
        with contextlib.closing(Client(link.endpoint)) as client:
            assert client.list(Query(), Call(PATIENCE_S)).total == 0
    finally:
        link.stop()


def test_a_task_from_its_addition_to_its_end(client, backend):
    added = client.add(SPEC, CALL)
    assert (added.spec, added.state) == (SPEC, State.ASSIGNED)
    assert str(added.owner) == "go.micro.server.worker-2|192.168.0.107:9089"
    assert client.add(SPEC, CALL) == added
    changed = Spec("task-test-4", "books")
    assert client.update(changed, CALL).spec == changed
    assert client.get("task-test-4", CALL) == added.replace(spec=changed)
    client.delete("task-test-4", CALL)
    with pytest.raises(NotFound, match=r"^no such task$"):
        client.get("task-test-4", CALL)
    assert backend.resources == {}


def test_flags_of_a_request_arrive(client, backend):
    assert client.submit(SPEC, CALL, wait_for_spider=True).new
    assert not client.submit(SPEC, CALL).new
    for restart in (None, False, True):
        client.update(SPEC, CALL, restart, wait_for_spider=restart is False)
    assert backend.waits == [True, False, False, True, False]
    assert backend.restarts == [None, False, True]


def test_a_pending_task_says_why(client, backend):
    backend.worker = None
    pending = client.add(SPEC, CALL)
    assert (pending.owner, pending.state, pending.reason) == (
        None,
        State.PENDING,
        "no worker is up",
    )


def test_listing_goes_page_by_page(client):
    names = [f"task-{at:02}" for at in range(25)]
    for name in names:
        client.add(Spec(name), CALL)
    seen, query = [], Query(page_size=10)
    while True:
        page = client.list(query, CALL)
        assert page.total == 25
        seen += [resource.name for resource in page.resources]
        if not page.next_token:
            break
        query = Query(page_size=10, page_token=page.next_token)
    assert seen == names
    assert client.list(Query(state=State.DONE), CALL).total == 0


def test_nodes_and_leader(client, leader):
    assert [(load.role, load.resources) for load in client.nodes(CALL)] == [
        ("master", 0),
        ("worker", 3),
    ]
    with pytest.raises(Unavailable, match="nobody leads: no master has won"):
        client.leader(CALL)
    leader.election.observed = Leader("master2-h:1", "h:1")
    assert client.leader(CALL) == Leader("master2-h:1", "h:1")


def test_reports_of_any_number(client, backend):
    client.add(Spec("known"), CALL)
    reports = [
        Report(f"lost-{at}", str(at), 1, State.RUNNING, counts=Counts(1, 2, 3, 4.5))
        for at in range(1200)
    ]
    refused = client.report("w-2", [Report("known", "1", 1, State.DONE), *reports], CALL)
    assert refused == [report.name for report in reports]
    assert [report for _, report in backend.reports[1:]] == reports


def test_statistics_of_runs_that_are_over_are_taken_if_they_are_short_enough(client, backend):
    over = [RunStatistics("7", 2, 4, '{"pages":3}')]
    assert client.report("w-2", [], CALL, over=over) == []
    assert backend.over == over
    long = [RunStatistics("7", 2, 4, " " * (MOST_BYTES + 1))]
    with pytest.raises(InvalidArgument, match=r"over\[0\].statistics: 2001 characters"):
        client.report("w-2", [], CALL, over=long)


def test_a_worker_without_news_tells_its_load_all_the_same(client, backend):
    assert client.report("w-2", [], CALL, WorkerLoad(0.5, 0.25)) == []
    assert backend.loads == [("w-2", WorkerLoad(0.5, 0.25))]


@pytest.mark.parametrize(
    ("raised", "seen", "status"),
    [
        (InvalidArgument("m"), InvalidArgument, "INVALID_ARGUMENT"),
        (NotFound("m"), NotFound, "NOT_FOUND"),
        (AlreadyExists("m"), AlreadyExists, "ALREADY_EXISTS"),
        (Conflict("m"), Conflict, "ABORTED"),
        (Unavailable("m", 2.5), Unavailable, "UNAVAILABLE"),
        (LeadershipLost("m"), Unavailable, "UNAVAILABLE"),
        (OutcomeUnknown("m"), OutcomeUnknown, "DEADLINE_EXCEEDED"),
        (CrawlerError("m"), CrawlerError, "INTERNAL"),
    ],
)
def test_every_error_has_its_status_and_comes_back_as_it_was(
    client, stub, backend, raised, seen, status
):
    backend.before = raising(raised)
    with pytest.raises(grpc.RpcError) as told:
        stub.AddResource(pb.ResourceSpec(name="x"))
    assert (told.value.code().name, told.value.details()) == (status, "m")
    assert dict(told.value.trailing_metadata())[ANSWERED] == "1"
    with pytest.raises(CrawlerError) as caught:
        client.add(SPEC, CALL)
    assert type(caught.value) is seen
    assert (caught.value.code, str(caught.value)) == (status, "m")


def test_unavailable_says_when_to_come_back(client, stub, backend):
    backend.before = raising(Unavailable("later", 2.5))
    with pytest.raises(grpc.RpcError) as told:
        stub.ListNodes(pb.ListNodesRequest())
    assert dict(told.value.trailing_metadata())[RETRY_AFTER] == "2.5"
    with pytest.raises(Unavailable) as caught:
        client.nodes(CALL)
    assert caught.value.retry_after_s == 2.5


def test_a_defect_leaves_no_trace_outside(stub, backend, caplog):
    backend.before = raising(ZeroDivisionError("the secret"))
    with pytest.raises(grpc.RpcError) as told:
        stub.AddResource(pb.ResourceSpec(name="x"))
    assert told.value.code() is grpc.StatusCode.INTERNAL
    assert told.value.details().startswith("internal error; see the log of this node, id ")
    error_id = told.value.details().rsplit(" ", 1)[1]
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert (record.fields["error_id"], str(record.exc_info[1])) == (error_id, "the secret")


def test_a_name_is_judged_before_anyone_leads(leader, stub):
    leader.election.backend = None
    with pytest.raises(grpc.RpcError) as told:
        stub.AddResource(pb.ResourceSpec(name="a/b"))
    assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_long_message_still_arrives(client, backend):
    backend.before = raising(NotFound("豆" * 5000))
    with pytest.raises(NotFound, match=r"^豆+\.\.\.$"):
        client.get("x", CALL)


def test_the_deadline_comes_with_the_call_or_from_the_settings(client, stub, backend):
    client.nodes(Call(3.0))
    stub.ListNodes(pb.ListNodesRequest())
    first, second = backend.calls
    assert 2.0 < first.timeout_s <= 3.06
    assert second.timeout_s == ApiSettings().timeout_s
    assert not first.forwarded


def test_a_deadline_missed_is_unknown_for_a_write_and_unavailable_for_a_read(client, backend):
    release = Event()
    backend.before = release.wait
    try:
        with pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.2 s"):
            client.add(SPEC, Call(0.2))
        with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
            client.nodes(Call(0.2))
    finally:
        release.set()


def test_no_time_left_means_nothing_was_sent(client, backend):
    with pytest.raises(Unavailable, match="the deadline passed before"):
        client.add(SPEC, Call(0.0))
    assert backend.calls == []


def test_a_connection_lost_under_a_write_leaves_its_outcome_unknown(backend):
    release = Event()
    backend.before = release.wait
    with running(Master(backend)) as (master,), client_of(master) as client:
        writing = gevent.spawn(outcome_of, client.add, SPEC, Call(20.0))
        reading = gevent.spawn(outcome_of, client.nodes, Call(20.0))
        eventually(lambda: len(backend.calls) == 2)
        master.server.stop(0)
        release.set()
        assert type(writing.get(timeout=PATIENCE_S)) is OutcomeUnknown
        assert type(reading.get(timeout=PATIENCE_S)) is Unavailable


def test_nobody_there_means_nothing_was_done(leader):
    address = leader.address
    leader.server.stop(0)
    client = Client(address)
    with pytest.raises(Unavailable, match=f"cannot reach {address}"):
        client.add(SPEC, CALL)
    client.close()
    with pytest.raises(Unavailable, match="was closed"):
        client.add(SPEC, CALL)


def raising(error):
    def raise_it():
        raise error

    return raise_it


def outcome_of(function, *args):
    try:
        return function(*args)
    except CrawlerError as error:
        return error

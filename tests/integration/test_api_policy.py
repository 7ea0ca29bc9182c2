"""Steering the scheduler and looking into it, over gRPC and HTTP, at the leader and elsewhere."""

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict, ParseDict

from crawler.errors import InvalidArgument, NotFound
from crawler.model.policy import Policy, PolicyChange
from crawler.model.records import Spec
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from tests.unit.api.fakes import (
    CALL,
    PLUGINS,
    STRATEGIES,
    WORKER,
    FakeBackend,
    Master,
    body_of,
    channel_to,
    client_of,
    running,
)
from tests.waiting import PATIENCE_S

SCHEDULER = "/crawler/scheduler"


@pytest.fixture
def backend():
    backend = FakeBackend()
    backend.add(Spec("x"), CALL)
    return backend


@pytest.fixture
def pair(backend):
    leader, follower = Master(backend), Master()
    with running(leader, follower):
        follower.follow(leader.address)
        yield leader, follower


@pytest.fixture(params=["leader", "follower"])
def master(request, pair):
    return pair[request.param == "follower"]


@pytest.fixture
def client(master):
    with client_of(master) as client:
        yield client


@pytest.fixture
def stub(master):
    with channel_to(master) as channel:
        yield pb_grpc.CrawlerMasterStub(channel)


def as_json(message):
    """A message as grpc-gateway writes it."""
    return MessageToDict(message, always_print_fields_with_no_presence=True)


def test_the_policy_is_shown_switched_and_reset(client, backend):
    view = client.scheduler(CALL)
    assert view.policy == Policy("least-load", frozenset({"gpu"}), {"spread": 2.5})
    assert (list(view.strategies), list(view.plugins)) == (STRATEGIES, PLUGINS)
    assert not view.switched
    view = client.update_scheduler(PolicyChange("random", frozenset(), {}), CALL)
    assert (view.policy, view.switched) == (Policy("random"), True)
    assert client.reset_scheduler(CALL).policy == Policy("least-load")
    assert not backend.switched


@pytest.mark.parametrize(
    ("change", "body", "policy"),
    [
        (
            PolicyChange(strategy="random"),
            {"strategy": "random"},
            Policy("random", frozenset({"gpu"}), {"spread": 2.5}),
        ),
        (
            PolicyChange(disabled=frozenset({"spread", "labels"})),
            {"disabled": ["spread", "labels"]},
            Policy("least-load", frozenset({"spread", "labels"}), {"spread": 2.5}),
        ),
        (
            PolicyChange(disabled=frozenset()),
            {"disabled": []},
            Policy("least-load", frozenset(), {"spread": 2.5}),
        ),
        (
            PolicyChange(weights={"gpu": 0.0}),
            {"weights": {"gpu": 0}},
            Policy("least-load", frozenset({"gpu"}), {"gpu": 0.0}),
        ),
        (
            PolicyChange(weights={}),
            {"weights": {}},
            Policy("least-load", frozenset({"gpu"}), {}),
        ),
        (
            PolicyChange(disable=frozenset({"spread"})),
            {"disable": ["spread"]},
            Policy("least-load", frozenset({"gpu", "spread"}), {"spread": 2.5}),
        ),
        (
            PolicyChange(enable=frozenset({"gpu"})),
            {"enable": ["gpu"]},
            Policy("least-load", frozenset(), {"spread": 2.5}),
        ),
        (
            PolicyChange(weigh={"gpu": 3.0}),
            {"weigh": {"gpu": 3}},
            Policy("least-load", frozenset({"gpu"}), {"spread": 2.5, "gpu": 3.0}),
        ),
        (
            PolicyChange(weigh={"spread": None, "gpu": 0.0}),
            {"weigh": {"spread": None, "gpu": 0}},
            Policy("least-load", frozenset({"gpu"}), {"gpu": 0.0}),
        ),
        (
            PolicyChange(),
            {"strategies": ["x"], "plugins": [], "switched": True, "fault": "y"},
            Policy("least-load", frozenset({"gpu"}), {"spread": 2.5}),
        ),
    ],
)
def test_what_is_not_given_stays_as_it_is(master, client, backend, change, body, policy):
    before = backend.policy
    assert client.update_scheduler(change, CALL).policy == policy
    backend.policy = before
    assert master.web.put(SCHEDULER, json=body).status_code == 200
    assert backend.policy == policy


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"strategy": ""}, "strategy: '' is not allowed; allowed are 1 characters or more"),
        ({"strategy": 3}, "strategy: 3 is not text"),
        ({"disabled": "gpu"}, "disabled: 'gpu' is not allowed; allowed is a list of names"),
        ({"disabled": [1]}, "disabled: list is not allowed; allowed is a list of names"),
        ({"weights": []}, "weights: list is not allowed; allowed is a map to numbers"),
        (
            {"weights": {"gpu": -1}},
            "weights: -1 at 'gpu' is not allowed; allowed is a number from 0 to 1000000000",
        ),
        (
            {"weights": {"gpu": True}},
            "weights: True at 'gpu' is not allowed; allowed is a number from 0 to 1000000000",
        ),
        ({"enable": "gpu"}, "enable: 'gpu' is not allowed; allowed is a list of names"),
        (
            {"enable": ["b", "a", "c"], "disable": ["c", "a"]},
            "enable: 'a' is to be disabled too; give one",
        ),
        (
            {"weigh": {"gpu": "2"}},
            "weigh: '2' at 'gpu' is not allowed; allowed is a number from 0 to 1000000000, or null "
            "for the plugin's own",
        ),
        (
            {"weights": {"gpu": None}},
            "weights: NoneType at 'gpu' is not allowed; allowed is a number from 0 to 1000000000",
        ),
        (
            {"strategie": "random"},
            "'strategie' is not a field; did you mean strategies? The fields are strategy, "
            "disabled, weights, disable, enable, weigh, strategies, plugins, switched, fault",
        ),
        ({"strategy": "none"}, "strategy: 'none' is unknown"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_field_value_and_what_is_allowed(master, body, fault):
    answer = master.web.put(SCHEDULER, json=body)
    assert (answer.status_code, body_of(answer)["message"]) == (400, fault)


def test_grpc_refuses_as_http_does(client, stub):
    with pytest.raises(InvalidArgument, match=r"^strategy: 'none' is unknown$"):
        client.update_scheduler(PolicyChange("none"), CALL)
    request = ParseDict({"disabled": [1], "weights": {"gpu": "much"}}, pb.Scheduler())
    with pytest.raises(grpc.RpcError) as refused:
        stub.UpdateScheduler(request, timeout=PATIENCE_S)
    assert refused.value.code().name == "INVALID_ARGUMENT"
    assert refused.value.details() == (
        "disabled: list is not allowed; allowed is a list of names; "
        "weights: 'much' at 'gpu' is not allowed; allowed is a number from 0 to 1000000000"
    )


def test_http_answers_what_grpc_answers(master, stub):
    cases = [
        ("get", SCHEDULER, stub.GetScheduler, empty_pb2.Empty()),
        ("delete", SCHEDULER, stub.ResetScheduler, empty_pb2.Empty()),
        ("put", SCHEDULER, stub.UpdateScheduler, pb.Scheduler()),
        ("post", f"{SCHEDULER}/dry-run", stub.DryRunScheduler, pb.Scheduler()),
        ("get", "/crawler/resource/x/explain", stub.ExplainResource, pb.ResourceSpec(name="x")),
        ("post", "/crawler/node/2/drain", stub.DrainNode, pb.NodeRequest(node="2")),
        ("post", "/crawler/node/2/uncordon", stub.UncordonNode, pb.NodeRequest(node="2")),
    ]
    for method, path, call, request in cases:
        answer = getattr(master.web, method)(path)
        assert answer.status_code == 200, path
        assert body_of(answer) == as_json(call(request, timeout=PATIENCE_S)), path


def test_an_explanation_comes_whole(client, backend):
    assert client.explain("x", CALL) == backend.explain("x", CALL)
    with pytest.raises(NotFound, match="no such task"):
        client.explain("y", CALL)


def test_a_worker_is_drained_and_let_again(client, master):
    drained = client.drain("2", CALL)
    assert (drained.node, drained.unfinished, drained.cordoned) == (WORKER, 2, True)
    assert not client.uncordon(WORKER.id, CALL).cordoned
    for action in ("drain", "uncordon"):
        assert master.web.post(f"/crawler/node/9/{action}").status_code == 404
        assert master.web.get(f"/crawler/node/2/{action}").status_code == 405
    with pytest.raises(InvalidArgument, match=r"^node: '' is not allowed; allowed is the id or"):
        client.drain("", CALL)


def test_a_dry_run_comes_whole_and_changes_nothing(master, client, backend):
    change = PolicyChange("random", disable=frozenset({"spread"}))
    before = backend.policy
    assert client.dry_run(change, CALL) == backend.dry_run(change, CALL)
    told = master.web.post(f"{SCHEDULER}/dry-run", json={"strategy": "random"})
    assert told.status_code == 200
    assert body_of(told)["policy"] == {
        "strategy": "random",
        "disabled": ["gpu"],
        "weights": {"spread": 2.5},
    }
    assert body_of(told)["workers"][0] == {"id": "w-1", "now": 5, "afterPass": 7, "anew": 6}
    assert (backend.policy, backend.switched) == (before, False)


def test_a_dry_run_of_what_is_no_policy_is_refused(master, client):
    refused = master.web.post(f"{SCHEDULER}/dry-run", json={"strategy": 3})
    assert (refused.status_code, body_of(refused)["message"]) == (400, "strategy: 3 is not text")
    with pytest.raises(InvalidArgument, match=r"^strategy: 'none' is unknown$"):
        client.dry_run(PolicyChange("none"), CALL)


def test_a_follower_passes_all_of_it_on(pair, backend):
    backend.calls.clear()
    with client_of(pair[1]) as client:
        client.scheduler(CALL)
        client.update_scheduler(PolicyChange(), CALL)
        client.dry_run(PolicyChange(), CALL)
        client.reset_scheduler(CALL)
        client.explain("x", CALL)
        client.drain("2", CALL)
        client.uncordon("2", CALL)
    assert [call.forwarded for call in backend.calls] == [True] * 7

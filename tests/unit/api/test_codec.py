"""Records survive their way through messages, and JSON agrees with protobuf's own."""

import json
import math

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from crawler.api.backend import NodeLoad, Page, Submission
from crawler.api.http import bodies
from crawler.api.rpc import codec
from crawler.errors import InvalidArgument
from crawler.model.records import (
    Blame,
    Counts,
    Interruption,
    Node,
    Owner,
    Query,
    Report,
    Resource,
    Sort,
    Spec,
    State,
    ToldState,
    WorkerLoad,
)
from crawler.proto import crawler_pb2 as pb
from crawler.schemas import constraint_json, task_schemas
from tests.unit import constraints as made
from tests.unit.api.fakes import MASTER, WORKER
from tests.unit.test_constraint_json import EVERYTHING

RESOURCE = Resource(
    spec=Spec(
        "douban_book_list",
        "douban",
        {"tag": "小说", "pages": 3},
        {"gpu": "yes"},
        -2,
        constraint_json.read(EVERYTHING),
        retries=3,
        workers=4,
        shard=2,
        shard_of="douban",
        isolated=True,
    ),
    id="1602250527540776960",
    creation_time=1670841268798763000,
    owner=Owner(WORKER.id, WORKER.address),
    epoch=4,
    state=State.FAILED,
    reason="the start URL is gone",
    counts=Counts(10, 9, 1, 2.5),
    assigned_time=1670841268798763001,
    failed_on=("w-3", "w-1"),
    kills=2,
    running=3,
)
LOADED = NodeLoad(WORKER, "worker", 1, 2, {"cpu": 1.5}, True, WorkerLoad(0.5, 0.25))
PENDING = Resource(Spec("idle"), id="1", reason="no worker is up")


@pytest.mark.parametrize("resource", [RESOURCE, PENDING])
def test_resources(resource):
    wire = codec.resource_message(resource).SerializeToString()
    assert codec.resource_from(pb.ResourceSpec.FromString(wire)) == resource


@pytest.mark.parametrize("resource", [RESOURCE, PENDING])
def test_placements(resource):
    for new in (True, False):
        message = codec.placement_message(Submission(resource, new))
        assert codec.placement_from(message, resource.spec) == (resource, new)
        assert message.state == resource.state.value
    assert (message.id, message.Address) == (
        (WORKER.id, WORKER.address) if resource.owner else ("", "")
    )


def test_a_master_of_another_make_tells_no_more_than_the_node():
    resource, new = codec.placement_from(pb.NodeSpec(id="w-1", Address="h:1"), Spec("x"))
    assert new
    assert resource == Resource(Spec("x"), owner=Owner("w-1", "h:1"), state=State.ASSIGNED)
    assert codec.resource_from(pb.ResourceSpec(name="x", assigned_node="w-1|h:1")) == resource


specs = st.builds(
    Spec,
    name=st.just("x"),
    spider=made.text,
    labels=st.dictionaries(made.names, made.text, max_size=2),
    priority=st.integers(-(2**31), 2**31 - 1),
    constraints=made.constraints,
    retries=st.integers(0, 1000),
)


@given(specs)
def test_a_request_that_is_passed_on_keeps_everything(spec):
    message = pb.ResourceSpec.FromString(codec.spec_message(spec).SerializeToString())
    assert task_schemas.load_spec(codec.spec_fields(message)) == spec


@given(specs)
def test_what_the_cluster_says_of_a_task_may_be_sent_to_it_again(spec):
    told = json.loads(bodies.write(bodies.resource(Resource(spec))))
    assert task_schemas.load_spec(told) == spec
    assert codec.resource_from(codec.resource_message(Resource(spec))).spec == spec


def test_half_a_character_and_a_long_number_are_written_too():
    told = bodies.write({"half": "ü\ud800", "long": 2**70, "rest": [1.5, None, True]})
    assert (
        told == '{"half":"ü\\ud800","long":1180591620717411303424,"rest":[1.5,null,true]}'.encode()
    )


class Word(str):
    """A str of a spider's own class."""


class Count(int):
    """An int of a spider's own class."""


def test_subclasses_and_keys_that_are_no_texts_are_written_as_json_has_them():
    told = {"word": Word("ü"), "count": Count(7), "keys": {None: 1, True: 2, 3: 4}}
    ours = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    assert bodies.write(told) == ours
    assert json.loads(ours)["keys"] == {"null": 1, "true": 2, "3": 4}


def test_constraints_are_judged_over_grpc_as_over_http():
    bad = pb.Constraints(
        requests={"cpu": math.nan},
        preferred=[pb.Expression(label="a", operator="Exists", weight=0)],
        spread=[pb.Spread(over="zone", label="a", value="b", max_skew=0)],
        apart=[pb.Neighbour(label="site")],
    )
    with pytest.raises(InvalidArgument) as told:
        task_schemas.load_spec(codec.spec_fields(pb.ResourceSpec(name="x", constraints=bad)))
    for fault in (
        "constraints.requests['cpu']: 'NaN' is not allowed",
        "constraints.preferred[0].weight: 0",
        "constraints.spread[0].max_skew: 0 is not allowed",
    ):
        assert fault in str(told.value)
    lacking = pb.Constraints(apart=[pb.Neighbour(label="site")])
    with pytest.raises(InvalidArgument, match=r"apart\[0\]\.value: is missing, and the task has"):
        task_schemas.load_spec(codec.spec_fields(pb.ResourceSpec(name="x", constraints=lacking)))


def test_what_another_master_means_and_we_do_not_know_is_an_error():
    message = pb.ResourceSpec(name="x")
    message.constraints.required.add(label="a", operator="Near")
    with pytest.raises(InvalidArgument, match=r"constraints\.required\[0\]\.operator: 'Near'"):
        codec.resource_from(message)


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(7, "token", State.DONE, shards=True, labels={"team": "a"}),
        Query(state=ToldState.STOPPED),
        Query(search="ä", spider="shop/s", node="w-2", sort=Sort.ITEMS, descending=True),
    ],
)
def test_queries(query):
    message = codec.query_message(query)
    state = query.state.value if query.state else ""
    assert codec.query_fields(message) == {
        "page_size": query.page_size,
        "page_token": query.page_token,
        "state": state,
        "shards": query.shards,
        "labels": query.labels,
        "search": query.search,
        "spider": query.spider,
        "node": query.node,
        "sort": query.sort.value,
        "descending": query.descending,
    }
    read = task_schemas.load_query(codec.query_fields(message))
    assert read == query


def test_who_names_no_order_gets_the_tasks_by_name():
    message = pb.ListResourcesRequest()
    assert task_schemas.load_query(codec.query_fields(message)) == Query()


def test_pages_and_nodes():
    page = Page([RESOURCE, PENDING], "next", 9, {"pending": 4, "paused": 5})
    assert codec.page_from(codec.page_message(page)) == page
    assert codec.page_from(pb.ListResourcesResponse(total=9)) == Page([], "", 9, {})
    for load in (LOADED, NodeLoad(WORKER, "worker", 1, 2), NodeLoad(MASTER, "master")):
        assert codec.node_from(codec.node_message(load)) == load
    nothing = NodeLoad(Node("w-3", "h:1", spiders=frozenset()), "worker")
    assert codec.node_from(codec.node_message(nothing)) == nothing


def test_reports():
    reports = [
        Report("a", "1", 2, State.RUNNING, counts=Counts(1, 2, 3, 4.5)),
        Report("c", "3", 1, State.DONE, shard_counts={2: Counts(5), 63: Counts(6, 7, 8, 9.5)}),
        Report("b", "2", 1, State.FAILED, "has no spider 'b'", awaits_spider=True),
        Report("d", "4", 1, State.FAILED, "process 5 was killed", interrupted=True),
        Report("e", "5", 1, State.FAILED, "process 6 crashed", interrupted=True, charged=True),
    ]
    load = WorkerLoad(0.75, 0.125)
    message = codec.reports_message("w-1", reports, load)
    assert codec.reports_from(message) == reports
    assert codec.load_from(message) == load


def test_a_worker_that_does_not_tell_its_load_has_none():
    assert codec.load_from(pb.ReportRunsRequest(node_id="w-1")) == WorkerLoad()


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["cpu", "lag_s", "disk"])
def test_a_load_that_is_no_load_is_refused(field, value):
    message = pb.ReportRunsRequest(node_id="w-1", load=pb.WorkerLoad(**{field: value}))
    with pytest.raises(InvalidArgument, match=rf"^load\.{field}: .* is not allowed; allowed is 0"):
        codec.load_from(message)


@pytest.mark.parametrize(
    "message",
    [
        pb.ReportRunsRequest(),
        pb.ReportRunsRequest(node_id="w-1", reports=[pb.RunReport(name="a", state="lost")]),
    ],
)
def test_reports_that_are_refused(message):
    with pytest.raises(InvalidArgument):
        codec.reports_from(message)


@pytest.mark.parametrize(
    ("about", "complaint"),
    [
        (
            {"state": "running", "interrupted": True},
            "reports[0].interrupted: true is not allowed; allowed where state is failed",
        ),
        ({"state": "done", "interrupted": True}, "reports[0].interrupted: true is not allowed"),
        (
            {"state": "failed", "interrupted": True, "awaits_spider": True},
            "reports[0].interrupted: true is not allowed",
        ),
        (
            {"state": "failed", "charged": True},
            "reports[0].charged: true is not allowed; allowed where interrupted is true",
        ),
    ],
)
def test_only_what_failed_was_interrupted_and_only_that_is_charged(about, complaint):
    message = pb.ReportRunsRequest(node_id="w-1", reports=[pb.RunReport(name="a", **about)])
    with pytest.raises(InvalidArgument) as caught:
        codec.reports_from(message)
    assert str(caught.value).startswith(complaint)


def test_a_report_of_a_worker_that_knows_no_interruptions_says_none():
    message = pb.ReportRunsRequest(node_id="w-1", reports=[pb.RunReport(name="a", state="failed")])
    [report] = codec.reports_from(message)
    assert (report.interrupted, report.charged) == (False, False)


def test_what_became_of_an_interrupted_task_is_shown():
    again = Interruption("interrupted at w-2: process 5 was killed", 1)
    resource = RESOURCE.replace(kills=3, blame=Blame(processes=2), interruption=again, reason="")
    resource = resource.replace(state=State.RUNNING)
    seen = codec.resource_from(codec.resource_message(resource))
    assert seen.reason == "interrupted at w-2: process 5 was killed; placed again"
    assert (seen.kills, seen.blame.processes) == (3, 2)
    done = resource.replace(state=State.DONE)
    assert codec.resource_from(codec.resource_message(done)).reason == ""


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (bodies.resource(RESOURCE), codec.resource_message(RESOURCE)),
        (
            bodies.page(Page([RESOURCE], "next", 2)),
            codec.page_message(Page([RESOURCE], "next", 2)),
        ),
        (
            bodies.nodes([LOADED, NodeLoad(MASTER, "master")]),
            pb.ListNodesResponse(
                nodes=[codec.node_message(load) for load in (LOADED, NodeLoad(MASTER, "master"))]
            ),
        ),
    ],
)
def test_json_is_what_protobuf_makes_of_the_message(ours, message):
    theirs = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    assert json.loads(bodies.write(ours)) == theirs


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pages", -1),
        ("items", -5),
        ("failures", -(2**63)),
        ("seconds", float("nan")),
        ("seconds", float("inf")),
        ("seconds", -0.5),
        ("seconds", 1e300),
    ],
)
def test_counts_of_a_report_that_could_not_be_stored_are_refused(field, value):
    report = pb.RunReport(name="a", state="running", counts=pb.Counts(**{field: value}))
    fine = pb.RunReport(name="a", state="running", reason="x" * 10_000)
    with pytest.raises(InvalidArgument, match=rf"reports\[1\]\.counts\.{field}: .* is not allowed"):
        codec.reports_from(pb.ReportRunsRequest(node_id="w", reports=[fine, report]))
    [read] = codec.reports_from(pb.ReportRunsRequest(node_id="w", reports=[fine]))
    assert len(read.reason) == codec.MOST_REASON


@pytest.mark.parametrize(
    ("shard", "pages", "told"),
    [
        (0, 1, "0 is no shard; allowed are 1 to 63"),
        (64, 1, "64 is no shard; allowed are 1 to 63"),
        (3, -4, r"\[3\]\.pages: -4 is not allowed"),
    ],
)
def test_counts_of_shards_that_could_not_be_stored_are_refused(shard, pages, told):
    report = pb.RunReport(name="a", state="running", shard_counts={shard: pb.Counts(pages=pages)})
    with pytest.raises(InvalidArgument, match=rf"reports\[0\]\.shard_counts.*{told}"):
        codec.reports_from(pb.ReportRunsRequest(node_id="w", reports=[report]))

"""Records survive their way through messages, and JSON agrees with protobuf's own."""

import json

import pytest
from google.protobuf import json_format

from crawler.api import codec, payloads
from crawler.api.service import NodeLoad, Page
from crawler.errors import InvalidArgument
from crawler.proto import crawler_pb2 as pb
from crawler.records import Counts, Node, Owner, Query, Report, Resource, Spec, State
from tests.unit.api.fakes import MASTER, WORKER

RESOURCE = Resource(
    spec=Spec("douban_book_list", "douban", {"tag": "小说", "pages": 3}, {"gpu": "yes"}, -2),
    id="1602250527540776960",
    creation_time=1670841268798763000,
    owner=Owner(WORKER.id, WORKER.address),
    epoch=4,
    state=State.FAILED,
    reason="the start URL is gone",
    counts=Counts(10, 9, 1, 2.5),
)
PENDING = Resource(Spec("idle"), id="1", reason="no worker is up")


@pytest.mark.parametrize("resource", [RESOURCE, PENDING])
def test_resources(resource):
    wire = codec.resource_message(resource).SerializeToString()
    assert codec.resource_from(pb.ResourceSpec.FromString(wire)) == resource


@pytest.mark.parametrize("resource", [RESOURCE, PENDING])
def test_placements(resource):
    message = codec.placement_message(resource)
    assert codec.placement_from(message, resource.spec) == resource
    assert (message.id, message.Address) == (
        (WORKER.id, WORKER.address) if resource.owner else ("", "")
    )


def test_a_master_of_another_make_tells_no_more_than_the_node():
    resource = codec.placement_from(pb.NodeSpec(id="w-1", Address="h:1"), Spec("x"))
    assert resource == Resource(Spec("x"), owner=Owner("w-1", "h:1"), state=State.ASSIGNED)
    assert codec.resource_from(pb.ResourceSpec(name="x", assigned_node="w-1|h:1")) == resource


@pytest.mark.parametrize("query", [Query(), Query(7, "token", State.DONE)])
def test_queries(query):
    message = codec.query_message(query)
    state = query.state.value if query.state else ""
    assert codec.query_fields(message) == {
        "page_size": query.page_size,
        "page_token": query.page_token,
        "state": state,
    }


def test_pages_and_nodes():
    page = Page([RESOURCE, PENDING], "next", 9)
    assert codec.page_from(codec.page_message(page)) == page
    for load in (NodeLoad(WORKER, "worker", 1, 2), NodeLoad(MASTER, "master")):
        assert codec.node_from(codec.node_message(load)) == load
    nothing = NodeLoad(Node("w-3", "h:1", spiders=frozenset()), "worker")
    assert codec.node_from(codec.node_message(nothing)) == nothing


def test_reports():
    reports = [
        Report("a", "1", 2, State.RUNNING, counts=Counts(1, 2, 3, 4.5)),
        Report("b", "2", 1, State.FAILED, "has no spider 'b'", awaits_spider=True),
    ]
    assert codec.reports_from(codec.reports_message("w-1", reports)) == reports


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
    ("ours", "message"),
    [
        (payloads.resource(RESOURCE), codec.resource_message(RESOURCE)),
        (
            payloads.page(Page([RESOURCE], "next", 2)),
            codec.page_message(Page([RESOURCE], "next", 2)),
        ),
        (
            payloads.nodes([NodeLoad(WORKER, "worker", 1, 2)]),
            pb.ListNodesResponse(nodes=[codec.node_message(NodeLoad(WORKER, "worker", 1, 2))]),
        ),
    ],
)
def test_json_is_what_protobuf_makes_of_the_message(ours, message):
    theirs = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    assert json.loads(payloads.write(ours)) == theirs

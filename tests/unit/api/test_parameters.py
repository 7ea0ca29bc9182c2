"""Parameters are the same whichever way they travel."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.api.rpc import codec
from crawler.coordination.codec import decode_resource, encode_resource
from crawler.errors import InvalidArgument
from crawler.model.records import Resource
from crawler.proto import crawler_pb2 as pb
from crawler.schemas.parameters import EXACT, MAX_DEPTH, MOST_NUMBER, normal
from crawler.schemas.task_schemas import load_spec

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.integers(-EXACT, EXACT) | st.floats(-MOST_NUMBER, MOST_NUMBER)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_a_task_is_the_same_over_grpc_and_http(parameters):
    over_http = load_spec({"name": "x", "parameters": json.loads(json.dumps(parameters))})
    wire = codec.spec_message(over_http).SerializeToString()
    over_grpc = load_spec(codec.spec_fields(pb.ResourceSpec.FromString(wire)))
    assert over_grpc == over_http
    assert text_of(over_grpc) == text_of(over_http)


ANY_NUMBER = st.floats() | st.floats(1e299, 1e301) | st.integers()


@given(st.dictionaries(TEXT, VALUES | ANY_NUMBER, max_size=5), st.integers())
def test_what_is_accepted_is_read_again_from_the_store(parameters, priority):
    try:
        spec = load_spec({"name": "x", "parameters": parameters, "priority": priority})
    except InvalidArgument:
        return
    stored = encode_resource(Resource(spec, id="1", creation_time=1))
    assert decode_resource("x", stored, 7).spec == spec


def test_whole_numbers_are_int_and_stay_so():
    assert (
        repr(normal({"a": 2.0, "b": [1, 2.5], "c": True})) == "{'a': 2, 'b': [1, 2.5], 'c': True}"
    )


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (2**53 + 1, r"beyond 2\^53 at \.a; write it as a string"),
        (float("nan"), r"contains nan at \.a"),
        (float("inf"), r"contains inf at \.a"),
        (-2e300, r"contains -2e\+300 at \.a; numbers from -1e300 to 1e300 are allowed"),
        ("\ud800", r"no UTF-8 at \.a"),
        ({"\udfff": 1}, r"no UTF-8 at \.a"),
        (object(), r"contains object at \.a"),
    ],
)
def test_what_would_not_survive_is_refused(value, fault):
    with pytest.raises(InvalidArgument, match=f"^parameters: .*{fault}"):
        load_spec({"name": "x", "parameters": {"a": value}})


def test_nesting_is_limited_to_what_protobuf_reads_back():
    value = 1
    for _ in range(MAX_DEPTH - 1):
        value = {"a": value}
    spec = load_spec({"name": "x", "parameters": {"a": value}})
    wire = pb.NodeSpec(resource=codec.spec_message(spec)).SerializeToString()
    assert codec.resource_from(pb.NodeSpec.FromString(wire).resource).spec == spec
    with pytest.raises(InvalidArgument, match="nested deeper than 16 levels"):
        load_spec({"name": "x", "parameters": {"a": {"a": value}}})


def text_of(spec):
    return json.dumps(spec.parameters, sort_keys=True)

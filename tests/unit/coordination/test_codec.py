"""Values in etcd are what other programs read and write."""

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.api.rpc import codec
from crawler.coordination.codec import decode_resource, encode_resource
from crawler.coordination.registration import decode_node, encode_node
from crawler.model.constraints import (
    NONE,
    Constraints,
    Effect,
    Expression,
    Neighbour,
    Operator,
    Spread,
    Taint,
    Toleration,
)
from crawler.model.records import Blame, Counts, Interruption, Node, Owner, Resource, Spec, State
from crawler.model.shards import shard_spec
from tests.unit import constraints as made

REFERENCE = (
    b'{"ID":"1602250527540776960","Name":"douban_book_list",'
    b'"AssignedNode":"go.micro.server.worker-2|192.168.0.107:9089",'
    b'"CreationTime":1670841268798763000}'
)


FIVE = b'"ID":"1","Name":"x","AssignedNode":"w|h","CreationTime":1,"State":"running",'
"""The fields that a program of ours always writes."""

FIELDS = (
    *("ID", "Name", "AssignedNode", "CreationTime", "State", "Spider", "Epoch", "Incarnation"),
    *("Term", "AssignedTime", "Parameters", "Labels", "Priority", "Retries", "Constraints"),
    *("Reason", "AwaitsSpider", "Counts", "FailedOn", "Kills"),
    *("Workers", "Shard", "ShardOf", "Shared"),
)


def test_a_resource_written_by_the_reference_is_understood():
    resource = decode_resource("douban_book_list", REFERENCE, 7)
    assert resource == Resource(
        Spec("douban_book_list"),
        id="1602250527540776960",
        creation_time=1670841268798763000,
        owner=Owner("go.micro.server.worker-2", "192.168.0.107:9089"),
        state=State.ASSIGNED,
        mod_revision=7,
    )


def test_the_four_fields_come_first_and_as_the_reference_writes_them():
    written = encode_resource(decode_resource("douban_book_list", REFERENCE, 7))
    assert written.startswith(REFERENCE[:-1])


def test_a_task_on_several_workers_and_its_shards_say_so_and_others_do_not():
    head = Resource(Spec("books", workers=4), id="1")
    assert b'"Workers":4' in encode_resource(head)
    assert b"Shard" not in encode_resource(head)
    shard = Resource(shard_spec(head.spec, 3), id="1")
    value = json.loads(encode_resource(shard))
    assert (value["Name"], value["Spider"]) == ("books~3", "books")
    assert (value["Workers"], value["Shard"], value["ShardOf"]) == (4, 3, "books")
    assert decode_resource("books~3", encode_resource(shard), 0) == shard
    ended = head.replace(shard_counts={3: Counts(pages=7)})
    assert json.loads(encode_resource(ended))["ShardCounts"]["3"]["Pages"] == 7
    for theirs in (b'"Theirs":1', b'"Theirs":1,"Epoch":null'):
        raw = encode_resource(ended)[:-1] + b"," + theirs + b"}"
        assert decode_resource("books", raw, 0).shard_counts == ended.shard_counts
    assert b"Workers" not in encode_resource(Resource(Spec("books"), id="1"))


def test_an_unassigned_resource_has_an_empty_node():
    value = json.loads(encode_resource(Resource(Spec("x"), id="1", reason="no worker")))
    assert value["AssignedNode"] == ""
    assert (value["State"], value["Reason"]) == ("pending", "no worker")


def test_fields_of_other_programs_are_kept():
    raw = b'{"ID":"1","Name":"x","AssignedNode":"","CreationTime":1,"Theirs":{"a":[1]}}'
    value = json.loads(encode_resource(decode_resource("x", raw, 1)))
    assert value["Theirs"] == {"a": [1]}


@pytest.mark.parametrize("ours", [b'"Priority":7', b'"Priority":7,"Epoch":null'])
@pytest.mark.parametrize(
    "theirs",
    [
        b"[" * 300 + b"]" * 300,
        b"1e999",
        b"8" * 6000,
        b"0.10000000000000000000001",
        b'{ "a" :1,"a":  2 }',
        b'"\\u00e9"',
    ],
)
def test_no_field_of_another_program_is_too_odd_to_be_kept_as_it_is(ours, theirs):
    raw = b'{"\xc3\xa9":%s,%s}' % (theirs, ours)
    resource = decode_resource("x", raw, 1)
    assert resource.spec.priority == 7
    assert encode_resource(resource).endswith(b',"\xc3\xa9":%s}' % theirs)


counts = st.builds(
    Counts,
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.integers(0, 10**6).map(lambda ms: ms / 1000),
)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
resources = st.builds(
    Resource,
    spec=st.builds(
        Spec,
        name=st.just("x"),
        spider=text,
        parameters=st.dictionaries(text, st.one_of(text, st.integers(), st.booleans())),
        labels=st.dictionaries(text, text),
        priority=st.integers(-(2**31), 2**31 - 1),
        constraints=st.just(NONE) | made.constraints,
        retries=st.integers(0, 1000),
        workers=st.integers(1, 64),
        isolated=st.booleans(),
    ),
    id=text,
    creation_time=st.integers(0, 2**62),
    owner=st.none()
    | st.builds(
        Owner,
        st.from_regex(r"[a-z.-]{1,9}", fullmatch=True),
        text,
        st.integers(0, 2**40),
    ),
    epoch=st.integers(0, 2**40),
    state=st.sampled_from(State),
    reason=text,
    awaits_spider=st.booleans(),
    counts=counts,
    shard_counts=st.dictionaries(st.integers(1, 63), counts, max_size=3),
    assigned_time=st.integers(0, 2**62),
    failed_on=st.lists(text, max_size=3).map(tuple),
    kills=st.integers(1, 2**31 - 1),
    blame=st.builds(
        Blame,
        st.lists(text, max_size=3).map(tuple),
        st.integers(0, 50),
        st.integers(0, 2**62),
        st.integers(0, 2**31 - 1),
    ),
    interruption=st.builds(Interruption, text, st.integers(0, 2**31 - 1)),
    shared=st.booleans(),
    mod_revision=st.just(3),
)


@given(resources)
def test_what_is_written_is_read_again(resource):
    assert decode_resource("x", encode_resource(resource), 3) == resource


@given(resources)
def test_what_is_written_fits_into_the_messages_of_the_api(resource):
    said = codec.resource_from(codec.resource_message(resource))
    assert (said.spec.constraints, said.spec.retries) == (
        resource.spec.constraints,
        resource.spec.retries,
    )
    assert (said.assigned_time, said.failed_on, said.kills) == (
        resource.assigned_time,
        resource.failed_on,
        resource.kills,
    )


def test_what_a_task_asks_is_written_like_over_http_without_what_says_nothing():
    asked = Constraints(
        requests=(("cpu", 0.5),),
        required=(Expression("zone", Operator.IN, ("a",)),),
        apart=(Neighbour("site"),),
        spread=(Spread("zone", "site", max_skew=2, weight=3.0),),
        tolerations=(Toleration("spot", effect=Effect.NO_SCHEDULE),),
    )
    spec = Spec("x", constraints=asked, retries=2)
    resource = Resource(spec, assigned_time=5, failed_on=("w-1", "w-2"), kills=1)
    value = json.loads(encode_resource(resource))
    assert value["Constraints"] == {
        "requests": {"cpu": 0.5},
        "required": [{"label": "zone", "operator": "In", "values": ["a"]}],
        "apart": [{"label": "site", "over": "node"}],
        "spread": [{"over": "zone", "label": "site", "maxSkew": 2, "weight": 3.0}],
        "tolerations": [{"key": "spot", "effect": "NoSchedule"}],
    }
    told = [value[key] for key in ("Retries", "AssignedTime", "FailedOn", "Kills")]
    assert told == [2, 5, ["w-1", "w-2"], 1]


def test_that_a_task_is_isolated_or_was_interrupted_is_written_only_if_it_is_so():
    plain = json.loads(encode_resource(Resource(Spec("x"))))
    assert not {"Isolated", "Interruption", "Blame"} & plain.keys()
    resource = Resource(Spec("x", isolated=True), interruption=Interruption("at w", 2), kills=1)
    value = json.loads(encode_resource(resource.replace(blame=Blame(processes=1))))
    told = {"Reason": "at w", "InARow": 2}
    assert (value["Isolated"], value["Interruption"]) == (True, told)
    assert value["Blame"] == {"Processes": 1}


@pytest.mark.parametrize("asked", [NONE, Constraints()])
def test_what_a_task_does_not_ask_is_not_written(asked):
    value = json.loads(encode_resource(Resource(Spec("x", constraints=asked))))
    assert list(value) == ["ID", "Name", "AssignedNode", "CreationTime", "State"]
    assert decode_resource("x", encode_resource(Resource(Spec("x"))), 1).spec.constraints is NONE


def test_tasks_that_ask_the_same_share_it():
    raw = b'{"Constraints":{"requests":{"gpu":1,"cpu":2}}}'
    first, second = (decode_resource("x", raw, at).spec.constraints for at in (1, 2))
    assert first is second
    assert first == Constraints(requests=(("cpu", 2.0), ("gpu", 1.0)))


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b'{"Constraints":[1]}', "Constraints is [1], not dict"),
        (b'{"Constraints":{"requests":{"cpu":0}}}', "Constraints.requests['cpu']: 0 is not allo"),
        (b'{"Constraints":{"requests":{"cpu":NaN}}}', "NaN is no JSON value"),
        (
            b'{"Constraints":{"required":[{"label":"a","operator":"Gt"}],"node":1}}',
            "Constraints.required[0].values: is missing; Gt takes one whole number, as text; "
            "Constraints.node: 1 is not text",
        ),
        (b'{"Constraints":{"moon":1}}', "Constraints: 'moon' is not a field; the fields are"),
        (b'{"Retries":1001}', "Retries is 1001; 0 to 1000 is allowed"),
        (b'{"Retries":"2"}', "Retries is '2', not int"),
        (b'{"AssignedTime":-1}', "AssignedTime is -1; 0 to "),
        (b'{"Workers":0}', "Workers is 0; 1 to 64 is allowed"),
        (b'{"Workers":65}', "Workers is 65; 1 to 64 is allowed"),
        (b'{"Shard":64}', "Shard is 64; 0 to 63 is allowed"),
        (b'{"Shard":1}', "ShardOf is '' and Shard is 1, but the key says 'x'"),
        (b'{"ShardOf":"y"}', "ShardOf is 'y' and Shard is 0, but the key says 'x'"),
        (b'{"Shard":1,"ShardOf":"y"}', "ShardOf is 'y' and Shard is 1, but the key says 'x'"),
        (b'{"FailedOn":"w-1"}', "FailedOn is 'w-1', not list"),
        (b'{"FailedOn":[1]}', "FailedOn is [1], not a list of text"),
        (b'{"ShardCounts":[]}', "ShardCounts is [], not dict"),
        (b'{"ShardCounts":{"64":{}}}', "ShardCounts names '64'; allowed are numbers from 1 to 63"),
        (b'{"ShardCounts":{"x":{}}}', "ShardCounts names 'x'; allowed are numbers from 1 to 63"),
        (b'{"ShardCounts":{"2":7}}', "2 is 7, not dict"),
        (b'{"ShardCounts":{"2":{"Pages":-1}}}', "Pages is -1; 0 to"),
        (b'{"Kills":2147483648}', "Kills is 2147483648; 0 to 2147483647 is allowed"),
        (b"[]", "a JSON object is expected"),
        (b"nonsense", "Expecting value"),
        (b'{"Name":"y"}', "Name is 'y', but the key says 'x'"),
        (b'{"ID":5}', "ID is 5, not str"),
        (b'{"CreationTime":"soon"}', "CreationTime is 'soon', not int"),
        (b'{"State":"odd"}', "odd"),
        (b'{"Labels":{"a":[1]}}', "labels are no map of text to text"),
        (b'{"Note":"\\ud800"}', "surrogates not allowed"),
        (b'{"Epoch":99999999999999999999}', "Epoch is 99999999999999999999; 0 to "),
        (b'{"Epoch":9007199254740993}', "0 to 9007199254740992 is allowed"),
        (b'{"Epoch":true}', "Epoch is True, not int"),
        (b'{"CreationTime":-1}', "CreationTime is -1; 0 to "),
        (b'{"Priority":2147483648}', "Priority is 2147483648"),
        (b'{"Counts":{"Seconds":"x"}}', "Seconds is 'x', not a number"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("others", [b"", FIVE, FIVE + b'"Theirs":1,'])
def test_what_is_no_resource_is_refused_with_a_reason(raw, others, complaint):
    raw = raw.replace(b"{", b"{" + others, 1)
    with pytest.raises(ValueError, match=re.escape(complaint)):
        decode_resource("x", raw, 1)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -1, 1001, "w|h", "x", "done"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["Pages", "Seconds", "a", "node"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def outcome(value):
    """The resource that a value is, but for other programs' fields; None when it is none."""
    try:
        found = decode_resource("x", json.dumps(value).encode(), 1)
    except ValueError:
        return None
    return repr(found.replace(foreign={}))


@given(st.dictionaries(st.sampled_from(FIELDS), values, max_size=3))
def test_fields_of_others_make_no_difference_to_what_is_read_of_ours(fields):
    """What our own programs write is read at once, all else with care: to the same end."""
    ours = json.loads(b"{" + FIVE.rstrip(b",") + b"}") | fields
    assert outcome(ours) == outcome({**ours, "Theirs": 1})


@pytest.mark.parametrize("field", FIELDS)
def test_null_is_as_good_as_nothing(field):
    assert outcome({field: None}) == outcome({})


@pytest.mark.parametrize(
    "metadata",
    [
        {"snowflake": 5},
        {"labels": {"a": "b"}},
        {"labels": "[1]"},
        {"labels": '{"a":1}'},
        {"labels": "{" * 9},
        {"spiders": "5"},
        {"spiders": "[5]"},
        {"capacity": "[1]"},
        {"capacity": '{"cpu":"4"}'},
        {"capacity": '{"cpu":-1}'},
        {"capacity": '{"cpu":NaN}'},
        {"capacity": '{"cpu":true}'},
        {"capacity": '{"\\ud800":1}'},
        {"labels": '{"a":"\\ud800"}'},
        {"taints": "{}"},
        {"taints": "[5]"},
        {"taints": '["spot"]'},
        {"taints": '["spot=yes:NoExecute"]'},
    ],
)
def test_entries_of_another_program_that_are_named_like_ours_mean_nothing(metadata):
    raw = json.dumps({"nodes": [{"id": "w-1", "address": "h:1", "metadata": metadata}]}).encode()
    node = decode_node(raw, 1)
    assert node.labels == {}
    assert node.spiders is None
    assert node.capacity == {}
    assert node.taints == ()


@pytest.mark.parametrize("raw", [b"[]", b"{}", b'{"nodes":[]}', b'{"nodes":[{"id":"a|b"}]}'])
def test_what_is_no_registration_is_refused(raw):
    with pytest.raises(ValueError, match=r"expected|empty|ends an id"):
        decode_node(raw, 1)


def test_a_registration_has_the_form_of_go_micro():
    node = Node("go.micro.server.worker-2", "192.168.0.107:9089")
    assert json.loads(encode_node("go.micro.server.worker", node)) == {
        "name": "go.micro.server.worker",
        "version": "latest",
        "metadata": None,
        "endpoints": [],
        "nodes": [
            {
                "id": "go.micro.server.worker-2",
                "address": "192.168.0.107:9089",
                "metadata": {
                    "broker": "http",
                    "protocol": "grpc",
                    "registry": "etcd",
                    "server": "grpc",
                    "transport": "grpc",
                },
            }
        ],
    }


def test_metadata_is_a_map_of_text_and_carries_labels_and_spiders():
    node = Node("w-1", "h:1", labels={"zone": "a"}, spiders=frozenset({"b", "a"}))
    raw = encode_node("w", node)
    metadata = json.loads(raw)["nodes"][0]["metadata"]
    assert all(isinstance(value, str) for value in metadata.values())
    read = decode_node(raw, 5)
    assert (read.labels, read.spiders, read.incarnation) == ({"zone": "a"}, {"a", "b"}, 5)


def test_metadata_carries_capacity_and_taints_as_text():
    taint = Taint("spot", "yes", Effect.NO_SCHEDULE)
    node = Node("w-1", "h:1", capacity={"memory": 512.0, "cpu": 4}, taints=(taint,))
    metadata = json.loads(encode_node("w", node))["nodes"][0]["metadata"]
    assert metadata["capacity"] == '{"cpu": 4, "memory": 512.0}'
    assert metadata["taints"] == '["spot=yes:NoSchedule"]'


@given(
    st.builds(
        Node,
        id=st.from_regex(r"[a-z.-]{1,9}", fullmatch=True),
        address=text,
        labels=st.dictionaries(text, text, max_size=3),
        spiders=st.none() | st.frozensets(text, max_size=3),
        incarnation=st.integers(1, 2**62),
        capacity=made.capacities,
        taints=made.taints,
    )
)
def test_a_node_is_read_as_it_registered(node):
    read = decode_node(encode_node("w", node), node.incarnation)
    assert dataclasses.replace(read, metadata={}) == node


def test_a_worker_of_another_make_is_a_full_member():
    raw = b'{"name":"w","nodes":[{"id":"w-1","address":"h:1","metadata":{"broker":"http"}}]}'
    node = decode_node(raw, 5)
    assert node.has_spider("anything")
    assert (node.labels, node.capacity, node.taints) == ({}, {}, ())


@pytest.mark.parametrize("others", [b"", FIVE])
@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        (b'"FailedOn":[%s]' % b",".join([b'"w"'] * 1001), "FailedOn has 1001 entries; at most"),
        (
            b'"Blame":{"Lives":[%s]}' % b",".join([b'"w 1"'] * 1001),
            "Lives has 1001 entries; at most",
        ),
        (b'"Blame":{"Parkings":2147483648}', "0 to 2147483647 is allowed"),
        (b'"Counts":{"Seconds":1e400}', "0 to 1e+12 is allowed"),
        (b'"Counts":{"Seconds":-1}', "0 to 1e+12 is allowed"),
        (b'"Counts":{"Pages":-1}', "Pages is -1"),
        (b'"Parameters":{"a":[1e999]}', "number beyond 1e300"),
        (b'"Parameters":{"a":{"b":%s}}' % (b"9" * 350), "number beyond 1e300"),
        (b'"Parameters":{"a":%s}' % (b"9" * 5000), "digits"),
        (b'"Parameters":%s' % (b'{"a":' * 40 + b"1" + b"}" * 40), "nested deeper than 32 levels"),
        (b'"Parameters":{"a":-Infinity}', "-Infinity is no JSON value"),
        (b'"Theirs":"\xed\xa0\x80"', "can't decode"),
        (b'"Labels":{"a":"\xed\xbf\xbf"}', "can't decode"),
        (b'"Spider":"\\udfff"', "surrogates not allowed"),
    ],
)
def test_what_could_never_be_written_again_is_not_read(others, field, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        decode_resource("x", b"{" + others + field + b"}", 1)


def test_the_largest_values_are_read_and_carried_by_every_message():
    nested = b'{"a":' * 32 + b"1e300" + b"}" * 32
    raw = b'{"FailedOn":[%s],"Kills":2147483647,"Epoch":9007199254740992,"Parameters":%s}'
    resource = decode_resource("x", raw % (b",".join([b'"w"'] * 1000), nested), 1)
    assert decode_resource("x", encode_resource(resource), 1) == resource
    message = codec.resource_message(resource)
    again = type(message).FromString(message.SerializeToString())
    assert codec.resource_from(again).failed_on == resource.failed_on


def test_of_whom_a_task_is_blamed_is_written_only_if_it_is():
    blame = Blame(("w-1 10", "w-2 20"), 1, 99)
    blamed = Resource(Spec("a"), kills=2, blame=blame)
    stored = json.loads(encode_resource(blamed))
    assert stored["Blame"] == {"Lives": ["w-1 10", "w-2 20"], "Parkings": 1, "Until": 99}
    assert "Blame" not in json.loads(encode_resource(Resource(Spec("a"))))
    # A program that does not know the field took the count back.
    stored["Kills"] = 0
    assert decode_resource("a", json.dumps(stored).encode(), 3).blame == Blame()

"""What a client may send, and what it is told when it may not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.api.rpc import codec
from crawler.errors import InvalidArgument
from crawler.model.records import Query, Spec, State, ToldState
from crawler.proto import crawler_pb2 as pb
from crawler.schemas import task_schemas


@given(st.text(max_size=140))
def test_a_name_is_taken_as_it_is_or_refused(name):
    allowed = (
        1 <= len(name) <= 128
        and "/" not in name
        and name != "election"
        and all(unicodedata.category(letter) not in ("Cc", "Cs") for letter in name)
    )
    told = outcome({"name": name})
    assert told == Spec(name) if allowed else told.encode().startswith(b"name: ")


@given(st.text(st.characters(codec="utf-8"), max_size=140))
def test_grpc_and_http_judge_names_alike(name):
    over_grpc = codec.spec_fields(pb.ResourceSpec(name=name))
    assert outcome(over_grpc) == outcome({"name": name})


@pytest.mark.parametrize("name", ["", "a/b", "election", "a\nb", "a\x7f", "a\x85", "x" * 129])
def test_bad_names(name):
    with pytest.raises(InvalidArgument, match=r"^name: .* is not allowed; allowed are 1 to 128"):
        task_schemas.load_spec({"name": name})


@pytest.mark.parametrize("name", ["a", " a ", "x" * 128, "豆瓣", "elections", "a|b", "a.b-c_d"])
def test_good_names(name):
    assert task_schemas.load_spec({"name": name}).name == name


def test_what_the_cluster_says_of_a_resource_may_come_back_and_is_ignored():
    given = {
        "id": "zjx",
        "name": "task-test-4",
        "assignedNode": "a|b",
        "creationTime": "1670841268798763000",
        "state": "running",
        "reason": None,
        "epoch": 3,
        "counts": {"pages": "1"},
        "assignedTime": "1670841268798763000",
        "failedOn": ["worker-1"],
        "kills": 2,
    }
    assert task_schemas.load_spec(given) == Spec("task-test-4")
    snake = {"name": "x", "assigned_node": "a|b", "creation_time": 1670841268798763000}
    assert task_schemas.load_spec(snake) == Spec("x")


def test_every_fault_is_named_with_field_value_and_what_is_allowed():
    with pytest.raises(InvalidArgument) as caught:
        task_schemas.load_spec(
            {
                "name": "a/b",
                "colour": "red",
                "spider": 3,
                "priority": 2**31,
                "labels": {"zone": 1},
                "parameters": [1],
            }
        )
    message = str(caught.value)
    for part in (
        "name: 'a/b' is not allowed; allowed are 1 to 128 characters",
        "'colour' is not a field; the fields are",
        "spider: 3 is not text",
        "priority: 2147483648 is not allowed; allowed is an integer from -2147483648 to 2147483647",
        "labels: 1 at 'zone' is not text",
        "parameters: list is not allowed; allowed is a JSON object",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("worker", "'worker' is not a field; did you mean workers? The fields are "),
        ("Priorty", "'Priorty' is not a field; did you mean priority? The fields are "),
        ("moon", "'moon' is not a field; the fields are "),
    ],
)
def test_an_unknown_field_is_told_with_the_likely_one_and_those_that_may_be_set(given, told):
    with pytest.raises(InvalidArgument) as caught:
        task_schemas.load_spec({"name": "a", given: 3})
    message = str(caught.value)
    assert message.startswith(told)
    fields = set(message.partition("fields are ")[2].split(", "))
    assert fields == {
        *("name", "spider", "parameters", "labels", "priority", "constraints", "retries"),
        *("workers", "isolated", "project", "bundle"),
    }


def test_the_faults_of_constraints_are_named_with_the_others_and_with_their_whole_path():
    with pytest.raises(InvalidArgument) as caught:
        task_schemas.load_spec(
            {
                "name": "x",
                "retries": 1001,
                "constraints": {
                    "node": 5,
                    "required": [{"label": "zone", "operator": "Is"}],
                    "colour": "red",
                },
            }
        )
    message = str(caught.value)
    for part in (
        "constraints.node: 5 is not text",
        "constraints.required[0].operator: 'Is' is not allowed; allowed is one of In, NotIn, ",
        "constraints: 'colour' is not a field; the fields are node, requests, required, preferred",
        "retries: 1001 is not allowed; allowed is an integer from 0 to 1000",
    ):
        assert part in message


OWN = {
    "near": [{"label": "crawl"}],
    "apart": [{"label": "site", "value": "other"}, {"label": "site"}],
    "spread": [{"over": "zone", "label": "kind"}],
}


@pytest.mark.parametrize(
    ("labels", "lacking"),
    [
        ({}, ["near[0]", "apart[1]", "spread[0]"]),
        ({"crawl": "1", "site": ""}, ["apart[1]", "spread[0]"]),
        ({"site": "books", "kind": "shop"}, ["near[0]"]),
    ],
)
def test_a_term_without_value_needs_the_label_of_the_task_itself(labels, lacking):
    with pytest.raises(InvalidArgument) as caught:
        task_schemas.load_spec({"name": "x", "labels": labels, "constraints": OWN})
    faults = str(caught.value).split("; ")
    labelled = {"near[0]": "crawl", "apart[1]": "site", "spread[0]": "kind"}
    assert faults == [
        f"constraints.{term}.value: is missing, and the task has no label {labelled[term]!r}"
        for term in lacking
    ]


def test_a_term_without_value_means_the_label_of_the_task_itself():
    labels = {"crawl": "1", "site": "books", "kind": "shop"}
    spec = task_schemas.load_spec({"name": "x", "labels": labels, "constraints": OWN})
    assert [term.value for term in spec.constraints.apart] == ["other", ""]


def test_a_label_is_not_missed_while_the_labels_themselves_are_at_fault():
    with pytest.raises(InvalidArgument, match=r"^labels: 5 is not allowed[^;]*; allowed [^;]*$"):
        task_schemas.load_spec({"name": "x", "labels": 5, "constraints": OWN})


@pytest.mark.parametrize("given", [{}, {"name": None}])
def test_a_name_is_required(given):
    with pytest.raises(InvalidArgument, match=r"^name: is missing$"):
        task_schemas.load_spec(given)


@pytest.mark.parametrize(("value", "priority"), [("5", 5), (-3, -3), (2.0, 2), (None, 0)])
def test_integers_come_as_numbers_or_strings(value, priority):
    assert task_schemas.load_spec({"name": "x", "priority": value}).priority == priority


@pytest.mark.parametrize("value", [True, 1.5, "1.5", "x", "", [], "9" * 30])
def test_what_is_no_integer(value):
    with pytest.raises(InvalidArgument, match=r"^priority: .* allowed is an integer"):
        task_schemas.load_spec({"name": "x", "priority": value})


@pytest.mark.parametrize("value", ["yes", 1, [], "True"])
def test_what_does_not_say_whether_a_task_is_isolated(value):
    with pytest.raises(InvalidArgument, match=r"^isolated: .* is not allowed; allowed: true, f"):
        task_schemas.load_spec({"name": "x", "isolated": value})


@pytest.mark.parametrize(("value", "isolated"), [(True, True), (False, False), (None, False)])
def test_a_task_is_isolated_if_it_asks_for_that_over_http_and_grpc(value, isolated):
    spec = task_schemas.load_spec({"name": "x", "isolated": value})
    assert spec.isolated is isolated
    assert task_schemas.load_spec(codec.spec_fields(codec.spec_message(spec))) == spec


def test_a_spider_name_is_limited():
    assert task_schemas.load_spec({"name": "x", "spider": "s" * 128}).spider_name == "s" * 128
    with pytest.raises(InvalidArgument, match=r"^spider: .* allowed are 0 to 128 characters"):
        task_schemas.load_spec({"name": "x", "spider": "s" * 129})


def test_a_resource_is_named_by_whatever_another_program_called_it():
    assert task_schemas.load_name({"name": "x" * 200, "spider": "ignored"}) == "x" * 200
    with pytest.raises(InvalidArgument, match="allowed are 1 characters or more"):
        task_schemas.load_name({"name": ""})


def test_queries():
    assert task_schemas.load_query({}) == Query(100, "", None)
    assert task_schemas.load_query({"pageSize": "5000", "state": ""}) == Query(1000, "", None)
    both = {"page_size": 2, "pageToken": "t", "state": "running"}
    assert task_schemas.load_query(both) == Query(2, "t", State.RUNNING)
    assert task_schemas.load_query({"state": "paused"}) == Query(100, "", ToldState.PAUSED)
    with pytest.raises(InvalidArgument, match=r"'lost' is not allowed; allowed: .*paused, stopped"):
        task_schemas.load_query({"state": "lost"})
    for bad in ({"page_size": "-1"}, {"pageSize": "many"}, {"state": "lost"}, {"stat": "done"}):
        with pytest.raises(InvalidArgument):
            task_schemas.load_query(bad)


@pytest.mark.parametrize("given", [{"colour": None}, {"constraints": {"colour": None}}])
def test_an_unknown_field_is_refused_without_a_value_too(given):
    with pytest.raises(InvalidArgument, match="'colour' is not a field"):
        task_schemas.load_spec({"name": "x", **given})


@pytest.mark.parametrize("name", ["page_size", "pageSize"])
def test_a_fault_is_told_by_the_name_that_was_given(name):
    with pytest.raises(InvalidArgument, match=f"^{name}: -1 is not allowed; allowed is an integer"):
        task_schemas.load_query({name: -1})


def outcome(given):
    try:
        return task_schemas.load_spec(given)
    except InvalidArgument as error:
        return str(error)

"""What a task may ask of its worker, as JSON, and what a client is told when it may not."""

import json

import pytest
from hypothesis import given

from crawler.model.constraints import (
    NONE,
    Constraints,
    Effect,
    Expression,
    Neighbour,
    Operator,
    Spread,
    Toleration,
)
from crawler.schemas import constraint_json
from crawler.schemas.readers import Faulty
from tests.unit import constraints as made

EVERYTHING = {
    "node": "worker-2",
    "requests": {"memory": 512, "cpu": 0.5},
    "required": [{"label": "zone", "operator": "In", "values": ["a", "b"]}],
    "preferred": [{"label": "disk", "operator": "Gt", "values": ["100"], "weight": 5}],
    "near": [{"label": "site", "value": "books", "over": "zone", "weight": 2}],
    "apart": [{"label": "site"}],
    "spread": [{"over": "zone", "label": "site", "value": "books", "maxSkew": 2}],
    "tolerations": [{"key": "spot", "value": "yes", "effect": "NoSchedule"}, {}],
}


def test_every_field_is_understood():
    assert constraint_json.read(EVERYTHING) == Constraints(
        node="worker-2",
        requests=(("cpu", 0.5), ("memory", 512.0)),
        required=(Expression("zone", Operator.IN, ("a", "b")),),
        preferred=(Expression("disk", Operator.GT, ("100",), 5.0),),
        near=(Neighbour("site", "books", "zone", 2.0),),
        apart=(Neighbour("site", "", "node", 0.0),),
        spread=(Spread("zone", "site", "books", 2, 0.0),),
        tolerations=(Toleration("spot", "yes", Effect.NO_SCHEDULE), Toleration()),
    )


@given(made.constraints)
def test_what_is_written_is_read_again(constraints):
    text = json.dumps(constraint_json.write(constraints))
    read = constraint_json.read(json.loads(text))
    assert read == constraints
    assert hash(read) == hash(constraints)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"node": "", "requests": {}, "near": [], "tolerations": None}),
        ({"requests": {"cpu": 1, "gpu": 2}}, {"requests": {"gpu": 2.0, "cpu": 1.0}}),
        (
            {"spread": [{"over": "node", "label": "a", "maxSkew": 3}]},
            {"spread": [{"over": "node", "label": "a", "max_skew": "3", "weight": 0}]},
        ),
        (
            {"apart": [{"label": "a", "value": "", "over": "", "weight": None}]},
            {"apart": [{"label": "a", "over": "node"}]},
        ),
    ],
)
def test_what_means_the_same_is_equal(one, other):
    first, second = constraint_json.read(one), constraint_json.read(other)
    assert first == second
    assert hash(first) == hash(second)


def test_nothing_asked_is_no_constraints():
    assert constraint_json.read({}) is NONE


def expression(operator, *values):
    return {"required": [{"label": "a", "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([], ": list is not allowed; allowed is a JSON object"),
        ({"node": 5}, ".node: 5 is not text"),
        ({"node": "\ud800"}, ".node: '\\ud800' is not text"),
        ({"colour": 1}, ": 'colour' is not a field; the fields are node, requests, required, "),
        ({"requests": [1]}, ".requests: list is not allowed; allowed is a map from quantities"),
        ({"requests": {"a b": 1}}, ".requests['a b']: is no name of a quantity; allowed are 1 to"),
        ({"requests": {"": 1}}, ".requests['']: is no name of a quantity"),
        ({"requests": {"cpu": 0}}, ".requests['cpu']: 0 is not allowed; allowed is a number above"),
        ({"requests": {"cpu": 0.0001}}, "with at most 3 decimals"),
        ({"requests": {"cpu": 10**13}}, "up to 1000000000000"),
        ({"requests": {"cpu": float("nan")}}, ".requests['cpu']: nan is not allowed"),
        ({"requests": {"cpu": float("inf")}}, ".requests['cpu']: inf is not allowed"),
        ({"requests": {"cpu": True}}, ".requests['cpu']: True is not allowed"),
        ({"requests": {"cpu": "1"}}, ".requests['cpu']: '1' is not allowed"),
        (
            {"requests": {f"q{at}": 1 for at in range(65)}},
            ".requests: 65 quantities given; at most",
        ),
        (
            expression("In", *map(str, range(257))),
            ".required[0].values: 257 items given; at most 256",
        ),
        ({"near": [{"label": "a"}] * 65}, ".near: 65 items given; at most 64 are allowed"),
        ({"required": {}}, ".required: dict is not allowed; allowed is a list"),
        ({"required": [5]}, ".required[0]: 5 is not allowed; allowed is a JSON object"),
        ({"required": [{"operator": "Exists"}]}, ".required[0].label: is missing"),
        ({"required": [{"label": "a"}]}, ".required[0].operator: is missing"),
        (expression("in"), ".required[0].operator: 'in' is not allowed; allowed is one of In, No"),
        (expression("In"), ".required[0].values: is missing; In takes one value or more"),
        (expression("NotIn"), "NotIn takes one value or more"),
        (expression("In", 3), ".required[0].values[0]: 3 is not text"),
        (expression("Exists", "x"), "values: 'x' is not allowed; Exists takes no values"),
        (expression("DoesNotExist", "x"), "DoesNotExist takes no values"),
        (expression("Gt"), "values: is missing; Gt takes one whole number, as text"),
        (expression("Gt", "1", "2"), "values: '1, 2' is not allowed; Gt takes one whole number"),
        (expression("Lt", "1.5"), "values: '1.5' is not allowed; Lt takes one whole number"),
        (
            {"required": [{"label": "a", "operator": "Exists", "weight": 1}]},
            ".required[0]: 'weight' is not a field; the fields are label, operator, values",
        ),
        (
            {"preferred": [{"label": "a", "operator": "Exists", "weight": 0}]},
            ".preferred[0].weight: 0 is not allowed; allowed is a number above 0",
        ),
        ({"near": [{"label": ""}]}, ".near[0].label: '' is not allowed; allowed is text of 1"),
        (
            {"near": [{"label": "a", "weight": -1}]},
            ".near[0].weight: -1 is not allowed; allowed is 0, which is required, or the weight",
        ),
        ({"spread": [{"label": "a"}]}, ".spread[0].over: is missing"),
        (
            {"spread": [{"over": "a", "label": "a", "maxSkew": 0}]},
            ".spread[0].maxSkew: 0 is not allowed; allowed is an integer from 1 to",
        ),
        (
            {"spread": [{"over": "a", "label": "a", "max_skew": "many"}]},
            ".spread[0].max_skew: 'many' is not allowed; allowed is an integer from 1 to",
        ),
        (
            {"spread": [{"over": "a", "label": "a", "skew": 1}]},
            ".spread[0]: 'skew' is not a field; the fields are over, label, value, maxSkew, weight",
        ),
        (
            {"tolerations": [{}, {"effect": "NoExecute"}]},
            ".tolerations[1].effect: 'NoExecute' is not allowed; allowed is one of NoSchedule, Pre",
        ),
    ],
)
def test_a_fault_is_told_with_its_place_the_value_and_what_is_allowed(given, complaint):
    with pytest.raises(Faulty) as caught:
        constraint_json.read(given)
    assert complaint in caught.value.told("it")


def test_several_faults_are_told_at_once():
    given = {"node": 1, "requests": {"cpu": -1, "gpu": 0}, "near": [{}, {"label": "a", "over": 2}]}
    with pytest.raises(Faulty) as caught:
        constraint_json.read(given)
    assert [place for place, _ in caught.value.faults] == [
        ".node",
        ".requests['cpu']",
        ".requests['gpu']",
        ".near[0].label",
        ".near[1].over",
    ]

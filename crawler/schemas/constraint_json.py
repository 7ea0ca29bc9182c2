"""Constraints as JSON, in one form for HTTP, the seed tasks and etcd. gRPC's own JSON is the
same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from crawler.errors import shown
from crawler.model.constraints import (
    MOST_AMOUNT,
    NODE,
    NONE,
    Constraints,
    Effect,
    Expression,
    Neighbour,
    Operator,
    Spread,
    Toleration,
)
from crawler.schemas.readers import (
    Faulty,
    Reader,
    Record,
    each,
    name,
    number,
    one_of,
    refusal,
    text,
    together,
    whole,
)

QUANTITY = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}"
"""The name of a quantity."""

QUANTITIES = "1 to 63 letters, digits, dots, dashes, slashes, underscores"
"""The names of quantities, in words."""

MOST_WEIGHT = 10**6
"""The largest weight of a preference."""

MOST_SKEW = 10**9
"""The largest skew."""


MOST_TERMS = 64
"""How many terms of one kind, and how many quantities, a task may have: a pass looks at each of
them for each worker."""

MOST_VALUES = 256
"""How many values one expression may have."""


def read(value: Any) -> Constraints:
    """Read constraints from a JSON object. Equal constraints give equal results. Raises Faulty."""
    constraints: Constraints = _CONSTRAINTS(value)
    return NONE if constraints == NONE else constraints


def valueless(constraints: Constraints, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the faults of terms that refer to the task's own value of a label which it lacks."""
    for kind in ("near", "apart", "spread"):
        for at, term in enumerate(getattr(constraints, kind)):
            if not term.value and not labels.get(term.label):
                what = f"is missing, and the task has no label {shown(term.label)}"
                yield f".{kind}[{at}].value", what


def write(constraints: Constraints) -> dict[str, Any]:
    """Return the JSON object with all its fields, as protobuf writes the message."""
    return {
        "node": constraints.node,
        "requests": dict(constraints.requests),
        "required": [_expression_of(term) for term in constraints.required],
        "preferred": [
            {**_expression_of(term), "weight": term.weight} for term in constraints.preferred
        ],
        "near": [_neighbour_of(term) for term in constraints.near],
        "apart": [_neighbour_of(term) for term in constraints.apart],
        "spread": [_spread_of(term) for term in constraints.spread],
        "tolerations": [_toleration_of(term) for term in constraints.tolerations],
    }


def _expression_of(term: Expression) -> dict[str, Any]:
    return {"label": term.label, "operator": term.operator.value, "values": list(term.values)}


def _neighbour_of(term: Neighbour) -> dict[str, Any]:
    return {"label": term.label, "value": term.value, "over": term.over, "weight": term.weight}


def _spread_of(term: Spread) -> dict[str, Any]:
    return {
        "over": term.over,
        "label": term.label,
        "value": term.value,
        "maxSkew": term.max_skew,
        "weight": term.weight,
    }


def _toleration_of(term: Toleration) -> dict[str, Any]:
    effect = term.effect.value if term.effect else ""
    return {"key": term.key, "value": term.value, "effect": effect}


def _over(value: Any) -> str:
    return text(value) or NODE


def _effect(value: Any) -> Effect | None:
    return None if value == "" else _known_effect(value)


def _requests(value: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, Mapping):
        raise refusal(value, "a map from quantities to numbers")
    if len(value) > MOST_TERMS:
        raise Faulty(("", f"{len(value)} quantities given; at most {MOST_TERMS} are allowed"))
    return tuple(
        sorted(together((f"[{shown(key)}]", _request, (key, value[key])) for key in value))
    )


def _request(pair: tuple[Any, Any]) -> tuple[str, float]:
    quantity, amount = pair
    if not isinstance(quantity, str) or not re.fullmatch(QUANTITY, quantity):
        raise Faulty(("", f"is no name of a quantity; allowed are {QUANTITIES}"))
    return quantity, _amount(amount)


def _expression(
    label: str, operator: Operator, values: tuple[str, ...] = (), weight: float = 1.0
) -> Expression:
    """Make an expression, and check that it has as many values as its operator takes."""
    allowed, fits = _VALUES[operator]
    if not fits(values):
        given = f"{shown(', '.join(values))} is not allowed" if values else "is missing"
        raise Faulty((".values", f"{given}; {operator.value} takes {allowed}"))
    return Expression(label, operator, values, weight)


def _is_whole(values: tuple[str, ...]) -> bool:
    return len(values) == 1 and re.fullmatch(r"-?[0-9]{1,18}", values[0]) is not None


_Values = tuple[str, Callable[[tuple[str, ...]], bool]]
_SOME: _Values = ("one value or more", bool)
_NO: _Values = ("no values", lambda values: not values)
_WHOLE: _Values = ("one whole number, as text", _is_whole)
_VALUES: Mapping[Operator, _Values] = {
    Operator.IN: _SOME,
    Operator.NOT_IN: _SOME,
    Operator.EXISTS: _NO,
    Operator.DOES_NOT_EXIST: _NO,
    Operator.GT: _WHOLE,
    Operator.LT: _WHOLE,
}

_known_effect = one_of(Effect)
_amount = number(
    lambda value: 0 < value <= MOST_AMOUNT and round(value, 3) == value,
    f"a number above 0 up to {MOST_AMOUNT} with at most 3 decimals",
)
_weight = number(
    lambda value: 0 <= value <= MOST_WEIGHT,
    f"0, which is required, or the weight of a preference, up to {MOST_WEIGHT}",
)
_preference = number(
    lambda value: 0 < value <= MOST_WEIGHT, f"a number above 0 up to {MOST_WEIGHT}"
)

_EXPRESSION: Mapping[str, Reader] = {
    "label": name,
    "operator": one_of(Operator),
    "values": each(text, MOST_VALUES),
}
_REQUIRED = Record(_expression, _EXPRESSION, ("label", "operator"))
_PREFERRED = Record(_expression, {**_EXPRESSION, "weight": _preference}, ("label", "operator"))
_NEIGHBOUR = Record(
    Neighbour, {"label": name, "value": text, "over": _over, "weight": _weight}, ("label",)
)
_SPREAD = Record(
    Spread,
    {
        "over": name,
        "label": name,
        "value": text,
        "max_skew": whole(1, MOST_SKEW),
        "weight": _weight,
    },
    ("over", "label"),
    {"maxSkew": "max_skew"},
)
_TOLERATION = Record(Toleration, {"key": text, "value": text, "effect": _effect})
_CONSTRAINTS = Record(
    Constraints,
    {
        "node": text,
        "requests": _requests,
        "required": each(_REQUIRED, MOST_TERMS),
        "preferred": each(_PREFERRED, MOST_TERMS),
        "near": each(_NEIGHBOUR, MOST_TERMS),
        "apart": each(_NEIGHBOUR, MOST_TERMS),
        "spread": each(_SPREAD, MOST_TERMS),
        "tolerations": each(_TOLERATION, MOST_TERMS),
    },
)

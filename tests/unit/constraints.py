"""Constraints at random, for the tests of all the formats they travel in."""

from hypothesis import strategies as st

from crawler.model.constraints import (
    Constraints,
    Effect,
    Expression,
    Neighbour,
    Operator,
    Spread,
    Taint,
    Toleration,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
quantities = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,9}", fullmatch=True)
amounts = st.integers(1, 10**15).map(lambda thousandths: thousandths / 1000)
weights = st.floats(0, 10**6).map(abs)
preferences = st.floats(0, 10**6, exclude_min=True)
wholes = st.integers(-(10**18) + 1, 10**18 - 1).map(str)
VALUES = {
    Operator.IN: st.lists(text, min_size=1, max_size=3),
    Operator.NOT_IN: st.lists(text, min_size=1, max_size=3),
    Operator.EXISTS: st.just([]),
    Operator.DOES_NOT_EXIST: st.just([]),
    Operator.GT: wholes.map(lambda number: [number]),
    Operator.LT: wholes.map(lambda number: [number]),
}


def expressions(weights):
    """Expressions with as many values as their operators take."""
    return st.one_of(
        st.builds(Expression, names, st.just(operator), values.map(tuple), weights)
        for operator, values in VALUES.items()
    )


def some(terms):
    """A few of them."""
    return st.lists(terms, max_size=2).map(tuple)


neighbours = st.builds(Neighbour, names, names, names, weights)
spreads = st.builds(Spread, names, names, names, st.integers(1, 10**9), weights)
effects = st.sampled_from(Effect)
constraints = st.builds(
    Constraints,
    node=text,
    requests=st.dictionaries(quantities, amounts, max_size=3).map(
        lambda d: tuple(sorted(d.items()))
    ),
    required=some(expressions(st.just(1.0))),
    preferred=some(expressions(preferences)),
    near=some(neighbours),
    apart=some(neighbours),
    spread=some(spreads),
    tolerations=some(st.builds(Toleration, text, text, st.none() | effects)),
)
plain = st.from_regex(r"[a-z0-9./-]{1,8}", fullmatch=True)
taints = some(st.builds(Taint, plain, plain | st.just(""), effects))
capacities = st.dictionaries(quantities, st.floats(0, 10**12).map(abs), max_size=3)

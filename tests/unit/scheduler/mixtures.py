"""Small clusters and tasks of all kinds, for properties."""

from __future__ import annotations

from hypothesis import strategies as st

from crawler.constraints import (
    Constraints,
    Effect,
    Expression,
    Neighbour,
    Operator,
    Spread,
    Taint,
    Toleration,
)
from crawler.records import Node, Resource, Spec, State
from tests.unit.scheduler.cluster import on

ZONES = st.sampled_from(["", "a", "b", "c"])
OVER = st.sampled_from(["zone", "node"])
WEIGHTS = st.sampled_from([0.0, 0.0, 1.0, 3.0])


def rarely(strategy, nothing=()):
    """Mostly nothing, so that most tasks can be placed somewhere."""
    return st.integers(0, 3).flatmap(lambda n: st.just(nothing) if n else strategy)


def some(strategy):
    return rarely(st.lists(strategy, min_size=1, max_size=2).map(tuple))


def given(**values):
    """A mapping without what is empty."""
    return st.fixed_dictionaries(values).map(lambda d: {k: v for k, v in d.items() if v})


taints = st.builds(
    Taint, st.just("for"), st.sampled_from(["tests", "shop"]), st.sampled_from(list(Effect))
)

nodes = st.builds(
    dict,
    labels=given(
        zone=ZONES,
        gpu=rarely(st.just("true"), ""),
        weight=st.sampled_from(["", "2", "4"]),
        cores=st.sampled_from(["", "4", "8", "many"]),
    ),
    capacity=given(cpu=st.sampled_from([0, 1.0, 2.0]), gpu=rarely(st.just(2.0), 0)),
    taints=some(taints),
    spiders=rarely(st.just(frozenset({"books"})), None),
)

expressions = st.one_of(
    st.builds(
        Expression,
        st.just("zone"),
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.sampled_from([("a",), ("a", "b")]),
        st.sampled_from([1.0, 3.0]),
    ),
    st.builds(Expression, st.just("zone"), st.just(Operator.EXISTS)),
    st.builds(Expression, st.just("gpu"), st.just(Operator.DOES_NOT_EXIST)),
    st.builds(
        Expression,
        st.just("cores"),
        st.sampled_from([Operator.GT, Operator.LT]),
        st.just(("5",)),
    ),
)

values = st.sampled_from(["", "web", "db"])
neighbours = st.builds(Neighbour, st.just("app"), values, OVER, WEIGHTS)
spreads = st.builds(Spread, OVER, st.just("app"), values, st.integers(1, 2), WEIGHTS)
tolerations = st.one_of(
    st.builds(Toleration), st.builds(Toleration, st.just("for"), st.sampled_from(["", "shop"]))
)

constraints = st.builds(
    Constraints,
    node=st.sampled_from(["", "", "", "", "", "2", "w-1"]),
    requests=rarely(
        given(cpu=st.sampled_from([0, 0.1, 0.5, 1.0]), gpu=rarely(st.just(1.0), 0)), {}
    ).map(lambda asked: tuple(sorted(asked.items()))),
    required=some(expressions),
    preferred=some(expressions),
    near=some(neighbours),
    apart=some(neighbours),
    spread=some(spreads),
    tolerations=some(tolerations),
)

labels = given(app=st.sampled_from(["", "web", "web", "db"]), gpu=rarely(st.just("yes"), ""))

shapes = st.tuples(
    labels,
    constraints,
    rarely(st.sampled_from(["books", "quotes"]), ""),
    rarely(st.lists(st.sampled_from(["w-0", "w-1"]), min_size=1, unique=True).map(tuple)),
)


@st.composite
def clusters(draw, most_nodes=6, most_tasks=10):
    """(workers, tasks), some of the tasks on workers already."""
    workers = [
        Node(f"w-{n}", f"h:{n}", incarnation=n + 1, **about)
        for n, about in enumerate(draw(st.lists(nodes, min_size=1, max_size=most_nodes)))
    ]
    kinds = draw(st.lists(shapes, min_size=1, max_size=4))
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=most_tasks))
    resources = []
    for n, (labels, asked, spider, failed_on) in enumerate(chosen):
        spec = Spec(
            f"t-{n}",
            spider=spider,
            labels=labels,
            priority=draw(st.integers(0, 1)),
            constraints=asked,
        )
        resource = Resource(spec, failed_on=failed_on)
        if draw(st.integers(0, 4)) == 0:
            state = draw(st.sampled_from([State.RUNNING, State.DONE]))
            resource = on(draw(st.sampled_from(workers)), resource, state)
        resources.append(resource)
    return workers, resources

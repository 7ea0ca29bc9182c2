"""Small clusters and tasks of all kinds, for properties."""

from __future__ import annotations

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
from crawler.model.records import Node, Resource, Spec, State
from tests.unit.scheduler.cluster import on

OVER = st.sampled_from(["zone", "zone", "node"])
WEIGHTS = st.sampled_from([0.0, 0.0, 0.0, 1.0, 3.0])


def given(**values):
    """A mapping without what is empty."""
    return st.fixed_dictionaries(values).map(lambda d: {k: v for k, v in d.items() if v})


def some(strategy):
    return st.lists(strategy, min_size=1, max_size=2).map(tuple)


taints = st.builds(
    Taint, st.just("for"), st.sampled_from(["tests", "shop"]), st.sampled_from(list(Effect))
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
    st.builds(Expression, st.just("weight"), st.just(Operator.DOES_NOT_EXIST)),
    st.builds(
        Expression,
        st.just("cores"),
        st.sampled_from([Operator.GT, Operator.LT]),
        st.just(("5",)),
    ),
)

values = st.sampled_from(["", "", "web", "db"])
neighbours = st.builds(Neighbour, st.just("app"), values, OVER, WEIGHTS)
spreads = st.builds(Spread, OVER, st.just("app"), values, st.integers(1, 2), WEIGHTS)
tolerations = st.one_of(
    st.builds(Toleration), st.builds(Toleration, st.just("for"), st.sampled_from(["", "shop"]))
)
requests = given(
    cpu=st.sampled_from([0, 0.1, 0.5, 1.0]), gpu=st.sampled_from([0.0, 0.0, 0.0, 1.0])
).map(lambda asked: tuple(sorted(asked.items())))

THEMES = {
    "node": st.sampled_from(["2", "w-1"]),
    "requests": requests,
    "required": some(expressions),
    "preferred": some(expressions),
    "near": some(neighbours),
    "apart": some(neighbours),
    "spread": some(spreads),
    "tolerations": some(tolerations),
}
"""What tasks ask for: each cluster is about some of it, so that it meets."""


@st.composite
def workers(draw, most):
    """Some workers."""
    gpus, tainted, picky = draw(st.tuples(*[st.integers(0, 2).map(lambda n: n == 0)] * 3))
    about = st.fixed_dictionaries(
        {
            "labels": given(
                zone=st.sampled_from(["a", "a", "b", "b", "c", ""]),
                gpu=st.sampled_from(["", "true"]) if gpus else st.just(""),
                weight=st.sampled_from(["", "2", "4"]),
                cores=st.sampled_from(["4", "8", "many"]),
            ),
            "capacity": given(
                cpu=st.sampled_from([0, 1.0, 2.0]),
                gpu=st.sampled_from([0, 2.0]) if gpus else st.just(0),
            ),
            "taints": some(taints) if tainted else st.just(()),
            "spiders": st.sampled_from([None, frozenset({"books"})]) if picky else st.none(),
        }
    )
    drawn = draw(st.lists(about, min_size=2, max_size=most))
    return [Node(f"w-{n}", f"h:{n}", incarnation=n + 1, **a) for n, a in enumerate(drawn)]


@st.composite
def kinds(draw, themes):
    """What a task is and asks for: (labels, constraints, spider, failed_on)."""
    asked = {theme: draw(THEMES[theme]) for theme in themes if draw(st.integers(0, 2))}
    return (
        draw(given(app=st.sampled_from(["web", "web", "web", "db", ""]))),
        Constraints(**asked),
        draw(st.sampled_from(["quotes", "quotes", "books", ""])),
        draw(st.sampled_from([(), (), (), ("w-0",), ("w-1", "w-0")])),
    )


@st.composite
def clusters(draw, most_nodes=6, most_tasks=10):
    """(workers, tasks), some of the tasks on workers already."""
    nodes = draw(workers(most_nodes))
    themes = draw(st.lists(st.sampled_from(sorted(THEMES)), min_size=1, max_size=2, unique=True))
    shapes = draw(st.lists(kinds(themes), min_size=1, max_size=3))
    resources = []
    for n, shape in enumerate(
        draw(st.lists(st.sampled_from(shapes), min_size=4, max_size=most_tasks))
    ):
        labels, asked, spider, failed_on = shape
        gpu = {"gpu": "yes"} if draw(st.integers(0, 9)) == 9 else {}
        priority = draw(st.sampled_from([0, 0, 0, 1]))
        spec = Spec(f"t-{n}", spider, {}, {**labels, **gpu}, priority, asked)
        resource = Resource(spec, failed_on=failed_on)
        state = draw(st.sampled_from([None, None, None, None, State.RUNNING, State.DONE]))
        if state is not None:
            resource = on(draw(st.sampled_from(nodes)), resource, state)
        resources.append(resource)
    return nodes, resources

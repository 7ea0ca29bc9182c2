"""The cluster state: kept with each change, it is what counting anew would give."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.model.constraints import Constraints, Neighbour
from crawler.model.records import Node, Owner, Resource, Spec, State, WorkerLoad
from crawler.scheduler.cluster_state import ClusterState
from tests.depth import examples
from tests.unit.scheduler.cluster import on, task, worker

KEYS = ("zone", "node")
PAIRS = (("app", "web"), ("app", "db"), ("team", "x"), ("team", "y"))
IDS = ("w-0", "w-1", "w-2")

labels = st.fixed_dictionaries(
    {}, optional={"app": st.sampled_from(["web", "db"]), "team": st.sampled_from(["x", "y"])}
)
asked = st.builds(
    Constraints,
    requests=st.sampled_from([(), (("cpu", 0.1),), (("cpu", 0.2), ("gpu", 1.0))]),
    apart=st.sampled_from(
        [(), (Neighbour("app"),), (Neighbour("app", "db", "zone"), Neighbour("team", "x"))]
    ),
)
owners = st.builds(Owner, st.sampled_from(IDS), st.just("h"), st.sampled_from([0, 1, 2]))
specs = [
    Spec(f"t-{n}", labels={"app": app} if app else {}, constraints=constraints)
    for n, (app, constraints) in enumerate(
        (app, constraints)
        for app in ("", "web", "db")
        for constraints in (
            Constraints(),
            Constraints(requests=(("cpu", 0.1),), apart=(Neighbour("app", "db", "zone"),)),
        )
    )
]
resources = st.builds(
    lambda spec, labels, asked, owner, state, awaits: Resource(
        Spec(spec.name, labels=labels, constraints=asked),
        owner=owner,
        state=State.FAILED if awaits else state,
        awaits_spider=awaits,
    ),
    st.sampled_from(specs),
    labels,
    asked,
    st.none() | owners,
    st.sampled_from(State),
    st.booleans(),
)
nodes = st.builds(
    lambda id, zone, incarnation, draining: Node(
        id,
        "h",
        metadata={"draining": "true"} if draining else {},
        labels={"zone": zone} if zone else {},
        incarnation=incarnation,
    ),
    st.sampled_from(IDS),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([1, 2]),
    st.booleans(),
)
steps = st.one_of(
    st.tuples(st.just("see"), resources),
    st.tuples(st.just("see"), resources),
    st.tuples(st.just("forget"), st.sampled_from(specs)),
    st.tuples(st.just("reserve"), st.tuples(st.sampled_from(specs), nodes)),
    st.tuples(st.just("join"), nodes),
    st.tuples(st.just("leave"), st.sampled_from(IDS)),
    st.tuples(st.just("cordon"), st.frozensets(st.sampled_from(IDS))),
    st.tuples(st.just("ask"), st.sampled_from(KEYS)),
)


class Facts:
    """What the cluster state was told, and nothing derived from it."""

    def __init__(self):
        self.resources = {}
        self.nodes = {}
        self.cordoned = frozenset()

    def see(self, resource):
        self.resources[resource.name] = resource

    def forget(self, spec):
        self.resources.pop(spec.name, None)

    def reserve(self, chosen):
        spec, node = chosen
        before = self.resources.get(spec.name, Resource(spec))
        after = on(node, before.replace(awaits_spider=False))
        self.resources[spec.name] = after

    def join(self, node):
        self.nodes[node.id] = node

    def leave(self, id):
        self.nodes.pop(id, None)

    def cordon(self, ids):
        self.cordoned = ids

    def ask(self, key):
        pass


class Followed:
    """A cluster state that is told the same, bit by bit."""

    def __init__(self, facts):
        self.facts = facts
        self.cluster_state = ClusterState("team")

    def see(self, resource):
        self.cluster_state.see(resource.name, resource)

    def forget(self, spec):
        self.cluster_state.see(spec.name, None)

    def reserve(self, chosen):
        spec, node = chosen
        before = self.facts.resources.get(spec.name, Resource(spec))
        if spec.name not in self.facts.resources:
            self.cluster_state.see(spec.name, before)
        assert self.cluster_state.reserve(spec.name, node)

    def join(self, node):
        self.cluster_state.workers.join(node)

    def leave(self, id):
        self.cluster_state.workers.leave(id)

    def cordon(self, ids):
        self.cluster_state.workers.cordon(ids)

    def ask(self, key):
        self.cluster_state.places(key)


def tally(place, over=KEYS):
    return (
        {pair: place.count(*pair) for pair in PAIRS},
        {(key, *pair) for key in over for pair in PAIRS if place.repels(key, *pair)},
    )


def picture(cluster_state):
    """All that a cluster state tells."""
    candidates = {
        id: (
            each.node,
            each.unfinished,
            each.owned,
            {quantity: each.used(quantity) for quantity in ("cpu", "gpu")},
            tally(each),
        )
        for id, each in cluster_state.candidates.items()
    }
    places = {key: {each.value: tally(each) for each in cluster_state.places(key)} for key in KEYS}
    return (
        candidates,
        places,
        {each.value: each.workers for each in cluster_state.places("zone")},
        [each.id for each in cluster_state.schedulable],
        +cluster_state.workers.groups,
        {id: sorted(cluster_state.holdings.names_on(id)) for id in IDS},
        {pair: cluster_state.repelled_over(dict([pair])) for pair in PAIRS},
        len(cluster_state.holdings),
    )


def counted(facts, nodes_first):
    cluster_state = ClusterState("team")
    for node in facts.nodes.values() if nodes_first else ():
        cluster_state.workers.join(node)
    for name, resource in facts.resources.items():
        cluster_state.see(name, resource)
    for node in facts.nodes.values():
        cluster_state.workers.join(node)
    cluster_state.workers.cordon(facts.cordoned)
    return cluster_state


@settings(max_examples=examples(300))
@given(st.lists(steps, max_size=30), st.booleans())
def test_kept_with_each_change_it_is_what_counting_anew_gives(steps, nodes_first):
    facts = Facts()
    followed = Followed(facts)
    for step, what in steps:
        getattr(followed, step)(what)
        getattr(facts, step)(what)
    assert picture(followed.cluster_state) == picture(counted(facts, nodes_first))


@settings(max_examples=examples(200))
@given(st.lists(resources, max_size=20), st.lists(nodes, max_size=4, unique_by=lambda n: n.id))
def test_the_load_of_a_worker_is_what_is_assigned_to_this_life_of_it(resources, nodes):
    cluster_state = ClusterState()
    by_name = {each.name: each for each in resources}
    for node in nodes:
        cluster_state.workers.join(node)
    for name, resource in by_name.items():
        cluster_state.see(name, resource)
    for node in nodes:
        mine = [r for r in by_name.values() if r.owner and node.owns(r.owner)]
        working = [r for r in mine if not r.state.finished]
        candidate = cluster_state.candidates[node.id]
        assert (candidate.owned, candidate.unfinished) == (len(mine), len(working))
        for label, value in PAIRS:
            having = [r for r in working if r.spec.labels.get(label) == value]
            assert candidate.count(label, value) == len(having)
        asked = [amount for r in working for _, amount in r.spec.constraints.requests[:1]]
        assert abs(candidate.used("cpu") - sum(asked)) < 1e-9


def test_what_was_reserved_and_not_committed_is_taken_back():
    cluster_state, node, waiting = ClusterState(), worker(1), task("a", labels={"app": "web"})
    cluster_state.workers.join(node)
    cluster_state.see("a", waiting)
    before = picture(cluster_state)
    assert cluster_state.reserve("a", node)
    assert cluster_state.candidates["w-1"].unfinished == 1
    cluster_state.see("a", waiting)
    assert picture(cluster_state) == before


def test_what_a_worker_reports_lasts_as_long_as_this_life_of_it():
    cluster_state = ClusterState()
    cluster_state.workers.join(Node("w-1", "h", incarnation=1))
    cluster_state.workers.report("w-1", WorkerLoad(cpu=0.5))
    cluster_state.workers.report("w-9", WorkerLoad(cpu=0.5))
    cluster_state.workers.join(Node("w-1", "h", labels={"zone": "a"}, incarnation=1))
    assert cluster_state.candidates["w-1"].reported == WorkerLoad(cpu=0.5)
    cluster_state.workers.join(Node("w-1", "h", incarnation=2))
    assert cluster_state.candidates["w-1"].reported == WorkerLoad()


def test_labels_that_some_task_wanted_to_be_apart_from_are_remembered():
    cluster_state = ClusterState()
    shy = Resource(Spec("a", constraints=Constraints(apart=(Neighbour("app", "web"),))))
    cluster_state.see("a", shy)
    assert cluster_state.relevant_labels.labels == {"app"}
    assert cluster_state.repelled_over({"app": "web"}) == {"node"}
    cluster_state.see("a", shy.replace(state=State.DONE))
    assert cluster_state.repelled_over({"app": "web"}) == set()
    assert cluster_state.relevant_labels.labels == {"app"}

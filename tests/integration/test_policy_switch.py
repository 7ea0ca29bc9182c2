"""A running cluster is told to place otherwise, or to drain a worker, and the next leader knows."""

import json

import gevent
import pytest

from crawler.coordination.store import Put
from crawler.errors import InvalidArgument, NotFound
from crawler.model.constraints import Constraints
from crawler.model.policy import Move, Policy, PolicyChange, Share
from crawler.model.records import Query, Spec
from crawler.settings.scheduler import SchedulerSettings
from crawler.settings.sections import NodeSettings
from tests.clusters import CALL, Cluster, request
from tests.waiting import eventually

POLICY = "/crawler/scheduler/policy"
CORDON = "/crawler/scheduler/cordons/go.micro.server.worker-1"

WAITING = """
import gevent
from crawler import Spider

class Waiting(Spider):
    name = "waiting"

    def start(self):
        gevent.sleep(600)
        yield from ()
"""


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "waiting.py").write_text(WAITING)
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def workers(cluster, *names):
    return [cluster.worker(name, ["waiting.py"]) for name in names]


def add(client, *names, **about):
    for name in names:
        client.add(Spec(name, "waiting", **about), CALL)


def stored(cluster, key):
    kv = cluster.store.get(key)
    return kv and json.loads(kv.value)


def next_leader(cluster, first):
    """Another master leads, with settings of its own; a client to it."""
    second = cluster.master("2")
    first.stop()
    client = cluster.client(second)
    eventually(lambda: client.leader(CALL).id.startswith("master2"), what="the other leads")
    return client


def test_a_switch_in_the_middle_of_a_stream_of_adds_loses_nothing(cluster):
    master = cluster.master("1")
    workers(cluster, "1", "2", "3")
    client = cluster.client(master)
    names = [f"task-{number}" for number in range(60)]
    adders = [gevent.spawn(add, client, *names[start::3]) for start in range(3)]
    for strategy in ["consistent-hash", "random", "round-robin", "least-load"]:
        seen = len(cluster.resources())
        eventually(lambda n=seen: len(cluster.resources()) > n + 10 or all(map(bool, adders)))
        client.update_scheduler(PolicyChange(strategy), CALL)
    gevent.joinall(adders, raise_error=True)
    owners = cluster.owners()
    assert owners.keys() == set(names)
    assert set(owners.values()) == {"1", "2", "3"}
    assert {resource.epoch for resource in cluster.resources().values()} == {1}


def test_a_switch_counts_from_the_next_pass_on_and_moves_nothing(cluster):
    master = cluster.master("1")
    workers(cluster, "1", "2")
    client = cluster.client(master)
    add(client, *(f"early-{number}" for number in range(6)))
    eventually(lambda: all(b'"running"' in value for value in cluster.raw().values()))
    before = cluster.raw()
    view = client.update_scheduler(PolicyChange("consistent-hash"), CALL)
    assert (view.policy, view.switched) == (Policy("consistent-hash"), True)
    assert stored(cluster, POLICY) == {"Strategy": "consistent-hash", "Disabled": [], "Weights": {}}
    assert client.explain("early-1", CALL).judgement.strategy == "consistent-hash"
    names = [f"late-{number}" for number in range(12)]
    add(client, *names)
    first = {name: cluster.owners()[name] for name in names}
    for name in names:
        client.delete(name, CALL)
    add(client, *reversed(names))  # under least-load the other worker would get each
    assert {name: cluster.owners()[name] for name in names} == first
    assert {key: value for key, value in cluster.raw().items() if "early" in key} == before


def test_unknown_names_are_refused_and_change_nothing(cluster):
    master = cluster.master("1")
    client = cluster.client(master)
    with pytest.raises(InvalidArgument, match=r"^strategy: 'best' is unknown; allowed: .*random"):
        client.update_scheduler(PolicyChange("best"), CALL)
    with pytest.raises(InvalidArgument, match=r"^disabled: 'x' is no plugin; allowed: .*spread"):
        client.update_scheduler(PolicyChange(disabled=frozenset({"x"})), CALL)
    status, _, answer = request(master, "PUT", "/crawler/scheduler", {"weights": {"x": 1}})
    assert (status, answer["code"]) == (400, 3)
    assert answer["message"].startswith("weights: 'x' is no plugin; allowed: ")
    assert stored(cluster, POLICY) is None
    assert not client.scheduler(CALL).switched


def test_changes_that_come_together_all_count(cluster):
    client = cluster.client(cluster.master("1"))
    changes = [
        PolicyChange("random"),
        PolicyChange(disabled=frozenset({"gpu"})),
        PolicyChange(weights={"spread": 3.0}),
    ]
    done = [gevent.spawn(client.update_scheduler, change, CALL) for change in changes]
    gevent.joinall(done, raise_error=True)
    assert client.scheduler(CALL).policy == Policy("random", frozenset({"gpu"}), {"spread": 3.0})


SELDOM = SchedulerSettings(check_s=600.0)
"""Nothing that is parked is tried again just because time has passed."""


def test_a_plugin_that_is_off_is_not_asked(cluster):
    master = cluster.master("1", scheduler=SELDOM)
    workers(cluster, "1")
    client = cluster.client(master)
    client.add(Spec("pinned", "waiting", constraints=Constraints(node="7")), CALL)
    assert cluster.owners() == {"pinned": None}
    client.update_scheduler(PolicyChange(disabled=frozenset({"pinned"})), CALL)
    eventually(lambda: cluster.owners() == {"pinned": "1"}, what="what was parked is tried again")


def test_a_dry_run_tells_what_a_switch_then_does_and_stores_nothing(cluster):
    master = cluster.master("1", scheduler=SELDOM)
    workers(cluster, "1")
    client = cluster.client(master)
    add(client, "early")
    eventually(lambda: b'"running"' in next(iter(cluster.raw().values())))
    add(client, "pinned", constraints=Constraints(node="7"))
    before, change = cluster.raw(), PolicyChange(disabled=frozenset({"pinned"}))
    told = client.dry_run(change, CALL)
    owner = "go.micro.server.worker-1"
    assert told.placements == [Move("pinned", "", owner)]
    assert told.workers == [Share(owner, 1, 2, 2)]
    assert (told.waiting, told.owned, told.checked, told.moved) == (1, 1, 1, 0)
    [left] = client.dry_run(PolicyChange(), CALL).left
    assert (left.name, left.after) == ("pinned", "")
    assert left.reason.startswith("it may run on 7 only, and no worker of that id or name is")
    assert (cluster.raw(), stored(cluster, POLICY)) == (before, None)
    assert not client.scheduler(CALL).switched
    client.update_scheduler(change, CALL)
    eventually(lambda: cluster.owners() == {"early": "1", "pinned": "1"})
    with pytest.raises(InvalidArgument, match=r"^disable: 'x' is no plugin; allowed: .*spread"):
        client.dry_run(PolicyChange(disable=frozenset({"x"})), CALL)


def test_tasks_that_were_alike_are_told_apart_when_a_plugin_is_on_again(cluster):
    client = cluster.client(cluster.master("1", scheduler=SELDOM))
    listens = {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"}
    node = NodeSettings(id="1", drain_s=0.05, capacity={"cpu": 1.0}, **listens)
    cluster.worker("1", ["waiting.py"], node=node)
    half = {"constraints": Constraints(requests=(("cpu", 0.5),))}
    client.update_scheduler(PolicyChange(disabled=frozenset({"gpu"})), CALL)
    add(client, "holder", constraints=Constraints(requests=(("cpu", 1.0),)))
    add(client, "plain", **half)
    add(client, "needs", labels={"gpu": "yes"}, **half)
    add(client, "x", "y", constraints=Constraints(node="9"))  # passes that look at those alone
    client.update_scheduler(PolicyChange(disabled=frozenset()), CALL)
    client.delete("holder", CALL)
    eventually(lambda: cluster.owners()["plain"] == "1")
    add(client, "z", constraints=Constraints(node="9"))  # another pass
    assert cluster.owners()["needs"] is None


def test_a_new_leader_goes_on_with_the_policy_and_the_cordons(cluster):
    first = cluster.master("1")
    workers(cluster, "1", "2")
    client = cluster.client(first)
    client.update_scheduler(PolicyChange("round-robin", frozenset({"gpu"}), {"spread": 2.0}), CALL)
    client.drain("1", CALL)
    client = next_leader(cluster, first)
    add(client, "a", "b", "c")
    assert set(cluster.owners().values()) == {"2"}
    policy = Policy("round-robin", frozenset({"gpu"}), {"spread": 2.0})
    assert client.scheduler(CALL).policy == policy
    loads = {each.node.id: each.cordoned for each in client.nodes(CALL) if each.role == "worker"}
    assert list(loads.values()) == [True, False]


def test_a_new_leader_reads_what_was_decided_even_if_its_watch_lags(cluster):
    first = cluster.master("1")
    workers(cluster, "1", "2")
    client = cluster.client(first)
    second = cluster.master("2")
    eventually(lambda: request(second, "GET", "/crawler/leader")[0] == 200)
    second._role._mirrors.decisions.mirror._take_batch = lambda batch: None
    client.update_scheduler(PolicyChange("random"), CALL)
    client.drain("1", CALL)
    first.stop()
    client = cluster.client(second)
    add(client, "a", "b", "c")
    assert set(cluster.owners().values()) == {"2"}
    assert client.explain("a", CALL).judgement.strategy == "random"


def test_a_policy_that_was_reset_is_gone_for_the_next_leader_too(cluster):
    first = cluster.master("1", scheduler=SchedulerSettings("random", disabled=["spread"]))
    client = cluster.client(first)
    client.update_scheduler(PolicyChange("round-robin"), CALL)
    view = client.reset_scheduler(CALL)
    assert (view.policy, view.switched) == (Policy("random", frozenset({"spread"})), False)
    assert client.reset_scheduler(CALL) == view
    assert stored(cluster, POLICY) is None
    assert next_leader(cluster, first).scheduler(CALL).policy == Policy("least-load")


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        ({"Strategy": "theirs"}, "scheduler.strategy: 'theirs' is unknown; allowed: "),
        ({"Strategy": "random", "Disabled": ["x"]}, "scheduler.disabled: 'x' is no plugin"),
    ],
)
def test_a_policy_that_this_master_cannot_carry_out_is_told_and_placement_goes_on(
    cluster, caplog, policy, fault
):
    cluster.store.txn([], [Put(POLICY, json.dumps(policy).encode())])
    master = cluster.master("1")
    workers(cluster, "1")
    client = cluster.client(master)
    add(client, "a", "b")
    assert set(cluster.owners().values()) == {"1"}
    view = client.scheduler(CALL)
    assert (view.policy, view.switched) == (Policy("least-load"), True)
    assert view.fault.startswith(fault)
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "the stored policy cannot be applied" in errors[0].getMessage()
    assert "crawler strategy --reset" in errors[0].getMessage()
    assert client.update_scheduler(PolicyChange("random"), CALL).fault == ""
    assert stored(cluster, POLICY)["Strategy"] == "random"


def test_what_cannot_be_read_is_ignored_and_can_be_replaced(cluster, caplog):
    cluster.store.txn([], [Put(POLICY, b"{"), Put(CORDON, b'{"Since": "now"}')])
    master = cluster.master("1")
    workers(cluster, "1")
    client = cluster.client(master)
    add(client, "a")
    assert cluster.owners() == {"a": "1"}
    assert sum("cannot be read" in record.getMessage() for record in caplog.records) >= 2
    assert client.update_scheduler(PolicyChange("random"), CALL).policy == Policy("random")
    assert client.drain("1", CALL).cordoned
    assert stored(cluster, CORDON)["ID"] == "go.micro.server.worker-1"


def test_a_drained_worker_gives_up_its_tasks_and_gets_none(cluster):
    master = cluster.master("1")
    workers(cluster, "1", "2")
    client = cluster.client(master)
    add(client, *(f"task-{number}" for number in range(6)))
    before = cluster.resources()
    answer = client.drain("1", CALL)
    assert (answer.node.id, answer.cordoned) == ("go.micro.server.worker-1", True)
    eventually(lambda: set(cluster.owners().values()) == {"2"}, what="its tasks move")
    after = cluster.resources()
    moved = {name for name in before if before[name].owner != after[name].owner}
    assert {after[name].epoch for name in moved} == {2}
    assert {after[name].epoch for name in before.keys() - moved} == {1}
    assert len(moved) == 3
    since = stored(cluster, CORDON)["Since"]
    for name in ("go.micro.server.worker-1", "worker-1"):
        assert client.drain(name, CALL).unfinished == 0
    assert stored(cluster, CORDON) == {"ID": "go.micro.server.worker-1", "Since": since}
    add(client, "new")
    assert cluster.owners()["new"] == "2"
    assert client.uncordon("1", CALL).cordoned is False
    assert client.uncordon("1", CALL).cordoned is False
    assert stored(cluster, CORDON) is None
    add(client, "newer")
    assert cluster.owners()["newer"] == "1"


def test_tasks_stay_where_they_are_while_no_other_worker_takes_them(cluster):
    master = cluster.master("1")
    workers(cluster, "1")
    client = cluster.client(master)
    add(client, "a")
    client.drain("1", CALL)
    explained = client.explain("a", CALL)
    assert explained.waits_for.startswith("a worker that suits")
    assert client.drain("1", CALL).unfinished == 1
    workers(cluster, "2")
    eventually(lambda: cluster.owners() == {"a": "2"}, what="it moves as soon as it can")


def test_a_worker_that_is_gone_can_be_let_again_and_nobody_else(cluster):
    master = cluster.master("1")
    (one,) = workers(cluster, "1")
    client = cluster.client(master)
    client.drain("1", CALL)
    one.stop()
    eventually(lambda: [each.role for each in client.nodes(CALL)] == ["master"])
    assert client.drain("1", CALL).unfinished == 0
    assert client.uncordon("1", CALL).node.id == "go.micro.server.worker-1"
    for call in (client.drain, client.uncordon):
        with pytest.raises(NotFound, match="no worker '1' is registered"):
            call("1", CALL)


def test_why_a_task_waits_is_told(cluster):
    settings = SchedulerSettings(check_s=1.0, most={"few": 1})
    master = cluster.master("1", scheduler=settings)
    workers(cluster, "1")
    client = cluster.client(master)
    add(client, "one", "two", labels={"group": "few"})
    add(client, "elsewhere", constraints=Constraints(node="9"))
    waits = client.explain("two", CALL)
    assert (waits.group, waits.state) == ("few", "pending")
    assert waits.waits_for == "its group 'few' to have fewer than 1 task on workers"
    waits = client.explain("elsewhere", CALL)
    assert waits.waits_for == "its only worker: it is parked until that worker is registered"
    assert waits.reason.endswith("is registered; there are 1: go.micro.server.worker-1")
    assert waits.judgement.chosen == ""
    (verdict,) = waits.judgement.workers
    assert list(verdict.refusals) == ["pinned"]
    runs = client.explain("one", CALL)
    assert (runs.assigned_node, runs.waits_for) == ("go.micro.server.worker-1", "")
    assert runs.judgement.chosen == "go.micro.server.worker-1"
    with pytest.raises(NotFound, match="no such task"):
        client.explain("none", CALL)
    numbers = numbers_of(master)
    assert (numbers["crawler_backlog"], numbers["crawler_parked"]) == (2, 1)
    assert numbers['crawler_plugin_seconds_total{plugin="pinned"}'] > 0
    assert numbers['crawler_plugin_failures_total{plugin="pinned"}'] == 0
    assert numbers['crawler_plugin_slow_total{plugin="pinned"}'] == 0


def numbers_of(master):
    lines = master.app.test_client().get("/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_a_follower_answers_as_the_leader_does(cluster):
    leader = cluster.master("1")
    workers(cluster, "1")
    first = cluster.client(leader)
    follower = cluster.master("2")
    second = cluster.client(follower)
    second.update_scheduler(PolicyChange("random"), CALL)
    assert first.scheduler(CALL).policy == Policy("random")
    add(second, "a")
    assert second.explain("a", CALL).judgement.strategy == "random"
    status, _, drained = request(follower, "POST", "/crawler/node/1/drain")
    assert (status, drained["cordoned"], drained["unfinished"]) == (200, True, 1)
    assert first.list(Query(), CALL).total == 1

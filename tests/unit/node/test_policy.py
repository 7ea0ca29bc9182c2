"""Decisions about the scheduler: only who leads makes them, and each term reads what is stored."""

import pytest

from crawler.alerts.channels import Channels
from crawler.alerts.rules import Rules
from crawler.api.backend import Call
from crawler.clock import ManualClock
from crawler.coordination.alerts import Alerts
from crawler.coordination.election import Election
from crawler.coordination.keys import Keys
from crawler.coordination.lease import Lease
from crawler.coordination.ledger import Ledger
from crawler.coordination.memory import MemoryStore
from crawler.coordination.projects import Projects
from crawler.coordination.schedules import Schedules
from crawler.coordination.sealing import Seals
from crawler.coordination.secrets import Secrets
from crawler.coordination.store import Delete, Put
from crawler.coordination.tokens import Tokens
from crawler.coordination.tombstones import Tombstones
from crawler.errors import Conflict, InvalidArgument, LeadershipLost, Overloaded
from crawler.model.policy import Policy, PolicyChange
from crawler.model.records import Leadership, Node, Spec, State
from crawler.node.master import dry_runs
from crawler.node.master.explain import waits_for
from crawler.node.master.leader_context import LeaderContext, Refusals
from crawler.node.master.mirrors import Mirrors
from crawler.node.master.placement import Placer
from crawler.node.master.policy import PolicyControl
from crawler.node.master.policy_requests import PolicyRequests
from crawler.scheduler.framework import Framework
from crawler.settings.alerts import AlertSettings
from crawler.settings.scheduler import SchedulerSettings
from crawler.settings.sections import CoordinationSettings
from tests.unit.node.scene import W1, Scene, stored

CALL = Call(60.0)
KEYS = Keys(CoordinationSettings())
NODE = KEYS.node_id("worker", "1")


class Leader(PolicyRequests):
    """What one term makes of decisions: it answers requests, and carries out what is stored."""

    def __init__(self, ctx, stage):
        super().__init__(ctx, stage)
        self.framework = ctx.framework
        self.resources = ctx.mirrors.resources
        stage.placer = Placer(ctx.mirrors.cluster_state, ctx.framework, ctx.settings)
        self.apply = PolicyControl(ctx).apply


class Stage:
    """A store, and leaders in it, each the only one when it is made; it is their writer too."""

    def __init__(self, store=None):
        self.clock = ManualClock()
        self.store = store or MemoryStore(self.clock)
        self.woken = 0
        self.placer = None
        """The placer of the last leader."""

    def leader(self, *plugins):
        candidates = self.store.range(KEYS.election).items
        self.store.txn([], [Delete(kv.key) for kv in candidates])
        key = KEYS.candidate(len(candidates) + 1)
        leadership = Leadership(key, self.store.txn([], [Put(key, b"m")]).revision)
        mirrors = Mirrors(self.store, KEYS, self.clock, lambda: None)
        mirrors.cluster_state.workers.join(Node(NODE, "h:1"))
        mirrors.decisions.mirror.refresh()
        ctx = LeaderContext(
            leadership,
            Lease.grant(self.store, 5, self.clock),
            number=1,
            mirrors=mirrors,
            ledger=Ledger(self.store, KEYS),
            tombstones=Tombstones(self.store, KEYS),
            tokens=Tokens(self.store, KEYS, self.clock),
            secrets=Secrets(self.store, KEYS, Seals([])),
            schedules=Schedules(self.store, KEYS, self.clock),
            projects=Projects(self.store, KEYS, self.clock),
            alerts=Alerts(self.store, KEYS, self.clock),
            alert_rules=Rules(AlertSettings()),
            channels=Channels(AlertSettings(), self.clock),
            election=Election(self.store, KEYS, self.clock),
            framework=Framework("least-load", plugins),
            clock=self.clock,
            settings=SchedulerSettings(),
            refusals=Refusals(),
        )
        return Leader(ctx, self)

    def wake(self):
        self.woken += 1

    def decided(self):
        return {kv.key: kv.value for kv in self.store.range(KEYS.decisions).items}


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.store.close()


def test_a_leader_that_was_replaced_decides_nothing(stage):
    old = stage.leader()
    new = stage.leader()
    new.cordon("1")
    new.change(PolicyChange("random"))
    before = stage.decided()
    for decide in (
        lambda: old.change(PolicyChange("round-robin")),
        lambda: old.reset(),
        lambda: old.uncordon("1"),
    ):
        with pytest.raises(LeadershipLost):
            decide()
    assert stage.decided() == before
    assert stage.woken == 2


def test_the_next_leader_carries_out_what_is_stored_before_it_places(stage):
    stage.leader().change(PolicyChange("random"))
    stage.leader().cordon("1")
    new = stage.leader()
    assert new.apply()
    assert new.view().policy == Policy("random")
    assert not new.apply(), "nothing has changed since"


def test_a_decision_is_carried_out_between_passes_only(stage):
    leader = stage.leader()
    framework = leader.framework
    leader.change(PolicyChange("random"))
    assert framework.policy.strategy == "least-load"
    assert leader.view().policy.strategy == "random"
    assert stage.woken == 1
    assert leader.apply()
    assert framework.policy.strategy == "random"


def test_there_is_one_dry_run_at_a_time_and_others_run_in_between(stage, monkeypatch):
    leader = stage.leader()
    turns = []

    def meanwhile():
        with pytest.raises(Overloaded, match="another dry run goes on"):
            leader.dry_run(PolicyChange("random"), CALL)
        turns.append(len(stage.decided()))

    monkeypatch.setattr(dry_runs, "give_turn", meanwhile)
    monkeypatch.setattr(dry_runs, "SLICE_S", 0.0)
    names = [f"task-{number}" for number in range(60)]
    leader.resources.adopt([(KEYS.resource(name), stored(name)) for name in names], 1)
    leader.dry_run(PolicyChange("random"), CALL)
    assert turns
    assert set(turns) == {0}
    monkeypatch.setattr(dry_runs, "give_turn", lambda: None)
    assert leader.dry_run(PolicyChange("random"), CALL).policy == Policy("random")


class Meanwhile(MemoryStore):
    """Somebody else switches off a plugin, and weighs one, before the first transaction."""

    policy = b'{"Strategy": "least-load", "Disabled": ["gpu"], "Weights": {"labels": 7}}'

    def txn(self, compares, success, failure=()):
        policy, self.policy = self.policy, None
        if policy:
            super().txn([], [Put(KEYS.policy, policy)])
        return super().txn(compares, success, failure)


@pytest.mark.parametrize(
    ("change", "policy"),
    [
        (PolicyChange(disable=frozenset({"spread"})), {"gpu", "spread"}),
        (PolicyChange(enable=frozenset({"spread"})), {"gpu"}),
        (PolicyChange(enable=frozenset({"gpu"})), set()),
        (PolicyChange(weigh={"spread": 2.0}), {"gpu"}),
        (PolicyChange(weigh={"labels": None}), {"gpu"}),
        (PolicyChange(disabled=frozenset({"spread"})), {"spread"}),
    ],
)
def test_what_others_said_of_other_plugins_meanwhile_stays(change, policy):
    stage = Stage(Meanwhile(ManualClock()))
    found = stage.leader().change(change).policy
    weights = {"labels": 7.0, **change.weigh}
    expected = {name: weight for name, weight in weights.items() if weight is not None}
    assert found == Policy("least-load", frozenset(policy), expected)
    stage.store.close()


@pytest.mark.parametrize("field", ["disable", "enable", "weigh"])
def test_a_plugin_that_is_none_is_not_switched(stage, field):
    change = PolicyChange(**{field: {"spraed": 1.0} if field == "weigh" else {"spraed"}})
    with pytest.raises(InvalidArgument, match=f"^{field}: 'spraed' is no plugin; allowed: least-"):
        stage.leader().change(change)
    assert not stage.decided()


class Contested(MemoryStore):
    """Somebody else writes the policy before each transaction."""

    def txn(self, compares, success, failure=()):
        super().txn([], [Put(KEYS.policy, b'{"Strategy": "random"}')])
        return super().txn(compares, success, failure)


def test_others_that_keep_writing_are_told():
    stage = Stage(Contested(ManualClock()))
    with pytest.raises(Conflict, match="others keep writing /crawler/scheduler/policy: try again"):
        stage.leader().change(PolicyChange("round-robin"))
    stage.store.close()


def waits(scene, name):
    return waits_for(scene.placer, scene.cluster_state, scene.stored[name], scene.now_s)


def test_what_a_task_waits_for_is_told():
    scene = Scene(most={"few": 1})
    scene.add(Spec("a", labels={"group": "few"}), Spec("b", labels={"group": "few"}))
    scene.add(Spec("c", spider="x"))
    scene.settle()
    few = sorted(name for name, owner in scene.owners().items() if owner and name in "ab")
    assert (len(few), waits(scene, few[0]), waits(scene, "c")) == (1, "", "")
    (other,) = {"a", "b"} - set(few)
    assert waits(scene, other) == "its group 'few' to have fewer than 1 task on workers"
    scene.leave(W1.id)
    scene.settle()
    assert waits(scene, "c").startswith("a worker that suits")


def test_a_task_whose_run_failed_waits_for_its_pause():
    failed = stored("a", None, state=State.PENDING, failed_on=("w-1",))
    scene = Scene(failed)
    scene.settle()
    assert waits(scene, "a") == "1.0 s to pass: its last run failed"
    scene.now_s += 2.0
    scene.settle()
    assert waits(scene, "a") == ""


def test_a_task_that_killed_its_workers_waits_for_its_pause_to_end():
    scene = Scene(stored("a", None, state=State.PENDING, kills=3))
    scene.settle()
    assert waits(scene, "a").startswith("60.0 s to pass: 3 workers died")

"""Alerts of a leader: what it finds is stored with whom it owes, and the next leader goes on."""

import pytest

from crawler.alerts import channels as module
from crawler.alerts.channels import Channels
from crawler.alerts.rules import Rules
from crawler.alerts.sending import Unsent
from crawler.clock import ManualClock, settle
from crawler.coordination.alerts import Alerts
from crawler.coordination.codec import encode_resource as encode
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Delete, Put
from crawler.errors import Unavailable
from crawler.history.history import NoHistory
from crawler.model.alerts import AlertRule, When
from crawler.model.records import Counts, Leadership, Node, State, WorkerLoad
from crawler.node.master import looking
from crawler.node.master.alerting import Alerting
from crawler.node.master.leaderless import Leaderless
from crawler.node.master.mirrors import Mirrors
from crawler.settings.alerts import AlertSettings, Channel, RuleOfSettings
from crawler.settings.sections import CoordinationSettings
from crawler.supervision import Supervisor
from tests.unit.alerts.test_judging import end
from tests.unit.node.scene import W1, stored

KEYS = Keys(CoordinationSettings())
CHANNELS = {"ops": Channel(url="http://ops"), "chat": Channel("slack", url="http://chat")}


class Past(NoHistory):
    """A history with the events of tasks, or one that is away."""

    def __init__(self):
        self.events, self.away, self.asked = [], False, 0

    def of_task(self, name, limit, timeout_s):
        self.asked += 1
        if self.away:
            raise Unavailable("the database is away")
        return self.events


class NoSchedules:
    """The schedules of a cluster that has none."""

    def all(self):
        return {}


def told_of(alert):
    return alert.rule, alert.subject, alert.fires, alert.text if alert.fires else alert.recovery


class Context:
    """What a term has of its master."""


class Stage:
    """A cluster in memory: its leaders one after the other, and what the channels were told."""

    def __init__(self, monkeypatch):
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.told, self.refusing, self.terms = [], set(), []
        self.history, self.supervisor = Past(), Supervisor("stage", clock=self.clock)
        self.reported = WorkerLoad()
        monkeypatch.setattr(module, "send", self._send)

    def _send(self, channel, message, timeout_s, clock):
        name = next(name for name, each in CHANNELS.items() if each is channel)
        if name in self.refusing:
            raise Unsent("the answer was 503")
        told = [
            (a.rule, a.subject, a.fires, a.text if a.fires else a.recovery) for a in message.alerts
        ]
        self.told.append((name, told))
        self.last = message

    def settings(self, *rules, **more):
        return AlertSettings(CHANNELS, [RuleOfSettings(*rule) for rule in rules], **more)

    def follow(self):
        """The mirrors of a master that does not lead."""
        mirrors = Mirrors(self.store, KEYS, self.clock, lambda: None)
        mirrors.start(self.supervisor)
        settle()
        return mirrors

    def lead(self, *rules, mirrors=None, **more):
        """Another master leads from now on."""
        for term in self.terms:
            term.stop()
        ctx = self.ctx = Context()
        key = f"{KEYS.election}{len(self.terms)}"
        ctx.leadership = Leadership(key, self.store.txn([], [Put(key, b"m")]).revision)
        ctx.clock, ctx.history, ctx.schedules = self.clock, self.history, NoSchedules()
        ctx.mirrors = mirrors or self.follow()
        ctx.alerts = Alerts(self.store, KEYS, self.clock)
        ctx.alerts.mirror.start(self.supervisor)
        settings = self.settings(*rules, **more)
        ctx.alert_rules, ctx.channels = Rules(settings), Channels(settings, self.clock)
        settle()
        term = Alerting(ctx, lambda task: task)
        self.terms.append(term)
        term.start()
        settle()
        return ctx

    def put(self, task):
        self.store.txn([], [Put(KEYS.resource(task.name), encode(task))])
        self.pass_(1.0)

    def pass_(self, duration_s):
        """Time passes, and everybody looks and tells."""
        for _ in range(3):
            settle()
        steps = max(1, round(duration_s))
        for _ in range(steps):
            self.clock.advance(duration_s / steps)
        settle()

    def take_told(self):
        found, self.told = self.told, []
        return found


@pytest.fixture
def stage(monkeypatch):
    made = Stage(monkeypatch)
    yield made
    for term in made.terms:
        term.stop()
    made.supervisor.stop()
    made.store.close()


def ended(state=State.DONE, run=1, items=0, **more):
    counts = Counts(50, items, 0, 9.0)
    return stored(state=state, run=run, generation=run, counts=counts, **more)


FIRING = ("failed", "task a", True, "it failed: boom")
WELL = ("failed", "task a", False, "the next run ended well")


def test_a_failed_run_is_told_to_each_channel_once_and_its_recovery_once(stage):
    stage.lead(("failed", "failed"))
    stage.put(ended(State.FAILED, reason="boom"))
    assert sorted(stage.take_told()) == [("chat", [FIRING]), ("ops", [FIRING])]
    stage.pass_(60)
    assert stage.take_told() == []
    stage.put(stored(run=2))
    stage.pass_(60)
    assert stage.take_told() == [], "a run that goes on is no recovery"
    stage.put(ended(run=2))
    stage.pass_(10)
    assert sorted(stage.take_told()) == [("chat", [WELL]), ("ops", [WELL])]


def put_all(stage, *tasks):
    """Store these one after the other, before anybody looks."""
    for task in tasks:
        stage.store.txn([], [Put(KEYS.resource(task.name), encode(task))])
    stage.pass_(1.0)


def failed(run, reason):
    return ended(State.FAILED, run=run, reason=reason)


def again(run):
    return stored(run=run, generation=run)


def test_a_failed_run_is_told_though_the_task_was_begun_again_before_anybody_looked(stage):
    stage.lead(("failed", "failed", {}, ["ops"]))
    put_all(stage, failed(1, "boom"), again(2))
    stage.pass_(30)
    assert stage.take_told() == [("ops", [FIRING])]
    put_all(stage, ended(run=2), again(3))
    stage.pass_(30)
    assert stage.take_told() == [("ops", [WELL])]


def test_an_end_that_cannot_be_stored_at_first_is_told_later(stage, monkeypatch):
    stage.lead(("failed", "failed", {}, ["ops"]))

    def failing(self, leadership, alert):
        raise Unavailable("etcd is away")

    with monkeypatch.context() as away:
        away.setattr(Alerts, "put", failing)
        put_all(stage, failed(1, "boom"), again(2))
        stage.pass_(5)
    stage.pass_(30)
    assert stage.take_told() == [("ops", [FIRING])]


def test_each_of_several_runs_that_failed_between_two_looks_is_told(stage):
    stage.lead(("failed", "failed", {}, ["ops"]))
    put_all(stage, failed(1, "one"), again(2), failed(2, "two"), again(3), failed(3, "three"))
    stage.pass_(30)
    [(_, [(*_, text)])] = stage.take_told()
    for reason in ("one", "two", "three"):
        assert text.count(f"it failed: {reason}") == 1
    stage.pass_(60)
    assert stage.take_told() == []


def test_a_run_that_failed_and_the_next_one_that_ended_well_before_anybody_looked(stage):
    stage.lead(("failed", "failed", {}, ["ops"]))
    put_all(stage, failed(1, "boom"), again(2), ended(run=2))
    stage.pass_(30)
    told = [each for _, told in stage.take_told() for each in told]
    assert told[-1] == WELL
    assert stage.last.alerts[-1].text == "it failed: boom"


def test_the_next_leader_judges_the_ends_that_the_last_one_has_not(stage):
    stage.lead(("failed", "failed", {}, ["ops"]))
    stage.put(failed(1, "boom"))
    stage.take_told()
    first = stage.terms[-1]
    mirrors = stage.follow()
    first.stop()
    put_all(stage, again(2), failed(2, "boom"), again(3))
    stage.lead(("failed", "failed", {}, ["ops"]), mirrors=mirrors)
    stage.pass_(60)
    assert stage.take_told() == [("ops", [FIRING])], (
        "the second run's, and not the first one's again"
    )
    assert stage.last.alerts[0].mark.endswith("/2/2")


def test_ends_before_there_were_rules_are_not_told_though_tasks_were_begun_again(stage):
    stage.lead()
    put_all(stage, failed(1, "boom"), again(2))
    rule = AlertRule("failed", When.FAILED, channels=("ops",))
    stage.ctx.alerts.put_rule(stage.ctx.leadership, rule)
    stage.pass_(60)
    assert stage.take_told() == []


def test_the_next_leader_neither_repeats_nor_forgets(stage):
    stage.lead(("failed", "failed"))
    stage.refusing.add("chat")
    stage.put(ended(State.FAILED, reason="boom"))
    stage.pass_(5)
    assert stage.take_told() == [("ops", [FIRING])]
    stage.refusing.clear()
    stage.lead(("failed", "failed"))
    stage.pass_(60)
    assert stage.take_told() == [("chat", [FIRING])]
    stage.terms[-1].stop()
    stage.put(ended(run=2))
    stage.lead(("failed", "failed"))
    stage.pass_(60)
    assert sorted(stage.take_told()) == [("chat", [WELL]), ("ops", [WELL])]


def test_what_ended_before_there_were_rules_is_not_told(stage):
    stage.lead()
    stage.put(ended(State.FAILED, reason="boom"))
    rule = AlertRule("failed", When.FAILED, channels=("ops",))
    stage.ctx.alerts.put_rule(stage.ctx.leadership, rule)
    stage.pass_(60)
    assert stage.take_told() == []
    stage.put(ended(State.FAILED, run=2, reason="boom"))
    assert stage.take_told() == [("ops", [FIRING])]
    stage.ctx.alerts.remove_rule(stage.ctx.leadership, "failed")
    stage.pass_(60)
    assert stage.take_told() == []
    assert stage.ctx.alerts.found() == {}


def test_a_rule_concerns_the_tasks_with_its_labels(stage):
    stage.lead(("failed", "failed", {"team": "a"}))
    stage.put(ended(State.FAILED, reason="boom"))
    stage.pass_(30)
    assert stage.take_told() == []


def test_a_deleted_task_is_a_recovery(stage):
    stage.lead(("failed", "failed", {}, ["ops"]))
    stage.put(ended(State.FAILED, reason="boom"))
    stage.store.txn([], [Delete(KEYS.resource("a"))])
    stage.take_told()
    stage.pass_(30)
    assert stage.take_told() == [("ops", [("failed", "task a", False, "the task was deleted")])]


def test_a_channel_that_refuses_is_tried_again_and_keeps_no_other_waiting(stage):
    stage.lead(("failed", "failed"))
    stage.refusing.add("ops")
    stage.put(ended(State.FAILED, reason="boom"))
    stage.pass_(30)
    assert stage.take_told() == [("chat", [FIRING])]
    stage.refusing.clear()
    stage.pass_(60)
    assert stage.take_told() == [("ops", [FIRING])]


def test_a_channel_gets_one_message_in_its_pause_with_all_that_waits(stage):
    stage.lead(("failed", "failed", {}, ["ops"]), pause_s=60.0)
    for name in "abc":
        stage.put(ended(State.FAILED, reason="boom", name=name, id=name))
    assert [len(told) for _, told in stage.take_told()] == [1]
    stage.pass_(40)
    assert stage.take_told() == []
    stage.pass_(40)
    assert [len(told) for _, told in stage.take_told()] == [2]


def test_fewer_items_than_usual(stage):
    stage.history.events = [end(run, 100, id="1") for run in (1, 2, 3, 4)]
    stage.lead(("few", "few-items", {}, ["ops"]))
    stage.history.away = True
    stage.put(ended(run=4, items=7))
    stage.pass_(30)
    assert stage.take_told() == [], "nobody can say what is usual"
    stage.history.away = False
    stage.pass_(30)
    text = "it ended with 7 items; usual are 100"
    assert stage.take_told() == [("ops", [("few", "task a", True, text)])]
    asked = stage.history.asked
    stage.pass_(30)
    assert stage.history.asked == asked, "what is usual of a run is read once"


def test_a_history_that_is_behind_is_waited_for_but_not_for_ever(stage):
    stage.history.events = [end(run, 100, id="1") for run in (1, 2)]
    stage.lead(("few", "few-items", {}, ["ops"]))
    stage.put(ended(run=4, items=7))
    stage.pass_(30)
    stage.history.events = [end(run, 100, id="1") for run in (1, 2, 3, 4)]
    stage.pass_(10)
    assert len(stage.take_told()) == 1
    stage.put(ended(run=5, items=6))
    stage.pass_(40)
    assert stage.take_told() == []
    stage.pass_(30)
    assert len(stage.take_told()) == 1, "it never hears of the fifth run"


def test_many_tasks_are_looked_up_in_many_looks(stage, monkeypatch):
    monkeypatch.setattr(looking, "MOST_LOOKUPS", 2)
    stage.history.events = [end(run, 100, id="x") for run in (1, 2, 3)]
    stage.history.events += [end(1, 100, id=name) for name in "abcde"]
    stage.lead(("few", "few-items", {}, ["ops"]))
    puts = [Put(KEYS.resource(name), encode(ended(name=name, id=name))) for name in "abcde"]
    stage.store.txn([], puts)
    stage.pass_(60)
    told = [subject for _, told in stage.take_told() for _, subject, *_ in told]
    assert sorted(told) == [f"task {name}" for name in "abcde"]


def test_a_task_without_a_worker_must_wait_so_long(stage):
    stage.lead(("waiting", "waiting", {}, ["ops"]))
    stage.put(stored(owner=None, state=State.PENDING, reason="no worker"))
    stage.pass_(290)
    assert stage.take_told() == []
    stage.pass_(20)
    text = "it waits for a worker: no worker"
    assert stage.take_told() == [("ops", [("waiting", "task a", True, text)])]
    stage.put(stored())
    stage.pass_(20)
    assert stage.take_told() == [("ops", [("waiting", "task a", False, "it is over")])]


def test_a_full_disk_and_no_worker(stage):
    ctx = stage.lead(("disk", "disk", {}, ["ops"]), ("nobody", "no-worker", {}, ["ops"]))
    pool = ctx.mirrors.cluster_state.workers
    pool.join(Node(W1.id, W1.address))
    pool.report(W1.id, WorkerLoad(disk=0.95))
    stage.pass_(100)
    told = [each for _, told in stage.take_told() for each in told]
    assert ("disk", f"worker {W1.id}", True, "its disk is 95% full") in told
    assert ("nobody", "cluster", True, "there is no worker") in told
    pool.report(W1.id, WorkerLoad(disk=0.5))
    stage.pass_(30)
    assert stage.take_told() == [("ops", [("disk", f"worker {W1.id}", False, "it is over")])]


class Follower:
    """A master that does not lead."""

    def __init__(self, stage, *rules):
        self.why, self.store = "", stage.store
        settings = stage.settings(*rules)
        self.alerts = Alerts(stage.store, KEYS, stage.clock)
        self.alerts.mirror.start(stage.supervisor)
        channels = Channels(settings, stage.clock)
        made = Leaderless(
            self.alerts, Rules(settings), channels, stage.clock, lambda: self.why, lambda: 7
        )
        made.start(stage.supervisor)
        settle()


NOBODY = ("nobody", "no-leader", {}, ["ops"])


def test_of_the_masters_without_a_leader_one_tells_it_and_the_leader_its_end(stage):
    followers = [Follower(stage, NOBODY) for _ in range(3)]
    for each in followers:
        each.why = "nobody leads"
    stage.pass_(25)
    assert stage.take_told() == []
    stage.pass_(10)
    assert stage.take_told() == [("ops", [("nobody", "cluster", True, "nobody leads")])]
    stage.pass_(100)
    assert stage.take_told() == []
    for each in followers:
        each.why = ""
    stage.lead(NOBODY)
    stage.pass_(30)
    assert stage.take_told() == [("ops", [("nobody", "cluster", False, "it is over")])]


def test_without_etcd_each_master_tells_it_under_the_same_id(stage, monkeypatch):
    followers = [Follower(stage, NOBODY) for _ in range(2)]
    whole = Alerts.put_alone

    def failing(self, alert):
        raise Unavailable("etcd is away")

    monkeypatch.setattr(Alerts, "put_alone", failing)
    ids, send = [], module.send
    monkeypatch.setattr(
        module, "send", lambda c, message, *more: ids.append((message.id, message.note))
    )
    for each in followers:
        each.why = "etcd does not answer, so nobody can lead"
    stage.pass_(40)
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert "other masters may tell this, too" in ids[0][1]
    monkeypatch.setattr(Alerts, "put_alone", whole)
    monkeypatch.setattr(module, "send", send)
    for each in followers:
        each.why = ""
        stage.pass_(5)
        stage.lead(NOBODY)
        stage.pass_(30)
    over = ("ops", [("nobody", "cluster", False, "it is over")])
    assert stage.take_told() == [over], "the second master stores nothing that is over"

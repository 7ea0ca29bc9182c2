"""A part that fails, or an etcd that refuses: a node is a whole member, or none."""

import gevent
import pytest
import re2
from gevent.event import Event

from crawler.api.backend import Call
from crawler.clock import SystemClock
from crawler.coordination import ledger
from crawler.errors import CrawlerError, InvalidArgument, StoreRefused, Unavailable
from crawler.gunicorn import Asked, _stop_or_hurry
from crawler.model.records import Report, Spec, State
from crawler.node.master import backend
from crawler.node.worker import reporter
from crawler.node.worker import worker as worker_module
from crawler.scheduler.task import Task
from tests.clusters import CALL, KEYS, Cluster, Shared
from tests.waiting import eventually

SPIDER = """
import gevent
from crawler import Spider

class Waiting(Spider):
    name = "waiting"

    def start(self):
        gevent.sleep(600)
        yield from ()
"""


class Refusing(Shared):
    """A store that refuses for good, as an etcd whose user has lost its rights."""

    watches = 0
    """How many watches of tasks it refuses yet."""
    everything = False

    def __getattr__(self, name):
        if self.everything and name != "renewer":
            raise StoreRefused("etcd: permission denied")
        return super().__getattr__(name)

    def watch(self, prefix, revision, *, exact=False):
        if self.watches and prefix == KEYS.resources:
            self.watches -= 1
            raise StoreRefused("etcd: permission denied")
        return self._store.watch(prefix, revision, exact=exact)


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "waiting.py").write_text(SPIDER)
    cluster = Cluster(tmp_path, ttl_s=5)
    yield cluster
    cluster.stop()


def runs(node):
    return {name: key.epoch for name, key in node._role._runs.known().items()}


def test_a_worker_that_cannot_hear_of_its_tasks_is_no_member_until_it_can(cluster):
    client = cluster.client(cluster.master("1"))
    store = Refusing(cluster.store)
    store.watches = 1
    worker = cluster.worker("1", ["waiting.py"], store=store)
    client.add(Spec("a", spider="waiting"), CALL)
    eventually(lambda: runs(worker), what="it runs what it is given")
    client.delete("a", CALL)
    eventually(lambda: not runs(worker), what="and stops what is deleted")
    assert worker.failure == ""


def test_the_patterns_of_a_request_are_checked_once_and_before_it_waits(cluster, monkeypatch):
    client = cluster.client(cluster.master("1"))
    compiled = []
    compile = re2.compile
    monkeypatch.setattr(
        re2, "compile", lambda text, **options: compiled.append(text) or compile(text, **options)
    )

    def spec(name, *more):
        many = [f"/{number}/" for number in range(1_100)]
        return Spec(name, "books", {"settings": {"deny_urls": [*many, *more]}})

    client.add(spec("a"), CALL)
    assert len(compiled) == 1_100
    client.update(spec("a", "/more/"), CALL)
    assert len(compiled) == 2_201
    with pytest.raises(InvalidArgument, match="no look-around"):
        client.update(spec("a", "(?=x)"), CALL)
    with pytest.raises(InvalidArgument, match="no look-around"):
        client.add(spec("b", "(?=x)"), CALL)


def test_a_task_whose_check_outlasts_the_call_is_not_added_behind_the_callers_back(
    cluster, monkeypatch
):
    client = cluster.client(cluster.master("1"))
    checked = Event()

    def slowly(spec):
        if spec.name == "late":
            gevent.sleep(0.4)
            checked.set()
        return ""

    monkeypatch.setattr(backend, "parameter_faults", slowly)
    with pytest.raises(CrawlerError):
        client.add(Spec("late"), Call(0.2))
    assert checked.wait(CALL.timeout_s)
    client.add(Spec("next"), CALL)
    assert set(cluster.resources()) == {"next"}


def test_a_node_that_etcd_refuses_stops_all_the_same(cluster):
    cluster.client(cluster.master("1"))
    store = Refusing(cluster.store)
    worker = cluster.worker("1", ["waiting.py"], store=store)
    lease = worker._membership.session.lease
    store.everything = True
    worker.stop()
    assert worker.stopped.is_set()
    assert lease.lost.is_set(), "nobody renews it any more"


def test_a_node_whose_registration_etcd_refuses_to_show_fails_and_says_so(cluster):
    cluster.client(cluster.master("1"))
    store = Refusing(cluster.store)
    worker = cluster.worker("1", ["waiting.py"], store=store)
    store.everything = True
    eventually(worker.stopped.is_set, what="it has left")
    assert "permission denied" in worker.failure


@pytest.mark.parametrize("part", ["drain", "leave", "stop"])
def test_a_defect_in_the_stopping_of_a_role_keeps_nothing_else_alive(cluster, part):
    cluster.client(cluster.master("1"))
    worker = cluster.worker("1", ["waiting.py"])

    def fail(*_):
        raise RuntimeError("a defect")

    sound = getattr(worker._role, part)
    setattr(worker._role, part, fail)
    worker.stop()
    assert worker.stopped.is_set()
    assert cluster.store.get(KEYS.registration("worker", KEYS.node_id("worker", "1"))) is None
    setattr(worker._role, part, sound)
    worker._role.stop()  # what the defect has left behind


def test_a_stop_in_the_middle_of_leaving_stops_all_that_runs(cluster):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", ["waiting.py"])
    client.add(Spec("a", spider="waiting"), CALL)
    eventually(lambda: runs(worker))
    greenlets = [greenlet for _, greenlet in worker._role._runs._runs.values()]
    worker._membership.session.lease.end("the test says so")
    gevent.sleep(0.05)  # leaving has begun, and takes a quarter of a second
    worker.stop()
    assert all(greenlet.dead for greenlet in greenlets)


def test_the_last_word_takes_no_longer_than_it_may(cluster, monkeypatch):
    cluster.client(cluster.master("1"))
    worker = cluster.worker("1", ["waiting.py"])
    role = worker._role
    monkeypatch.setattr(worker_module, "LAST_WORD_S", 0.3)
    monkeypatch.setattr(reporter, "CALL_BYTES", 1)  # each report in a call of its own

    class Silent:
        def report(self, node_id, reports, call, load):
            gevent.sleep(call.timeout_s)
            raise Unavailable("no answer")

    role._observer.backend = lambda leader: Silent()
    role._epochs.protests = lambda: [Report(f"t{n}", "1", 1, State.ASSIGNED) for n in range(50)]
    clock = SystemClock()
    began_s = clock.monotonic()
    worker.stop()
    assert clock.monotonic() - began_s < 3.0


def test_under_gunicorn_any_second_signal_hurries():
    called = []

    class Node:
        def stop(self):
            called.append("stop")

        def hurry(self):
            called.append("hurry")

    answer = _stop_or_hurry(Node(), Asked())
    for _ in range(3):
        answer()
    assert called == ["stop", "hurry", "hurry"]


def cannot_write(monkeypatch, what):
    """Resources for which `what` is true cannot be encoded."""
    real = ledger.encode_resource

    def encode(resource, term=0):
        if what(resource):
            raise OverflowError("too large")
        return real(resource, term)

    monkeypatch.setattr(ledger, "encode_resource", encode)


def test_an_update_that_cannot_be_written_costs_only_itself(cluster, monkeypatch):
    client = cluster.client(cluster.master("1"))
    client.submit(Spec("a", "waiting"), CALL)
    cannot_write(monkeypatch, lambda resource: resource.spec.priority == 7)
    with pytest.raises(CrawlerError, match="cannot be written"):
        client.update(Spec("a", "waiting", priority=7), CALL)
    assert "set aside" not in client.explain("a", CALL).reason
    cluster.worker("1", ["waiting.py"])
    eventually(lambda: cluster.owners() == {"a": "1"}, what="it is placed as it is stored")


def test_a_report_that_cannot_be_written_costs_only_itself(cluster, monkeypatch):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", ["waiting.py"])
    names = [f"t{number}" for number in range(5)]
    for name in names:
        client.submit(Spec(name, "waiting"), CALL)
    eventually(
        lambda: all(client.get(name, CALL).state is State.RUNNING for name in names),
        what="all of them run",
    )
    cannot_write(monkeypatch, lambda resource: resource.reason == "odd")
    found = cluster.resources()
    reports = [
        Report(name, found[name].id, found[name].epoch, State.DONE, "odd" if name == "t3" else "")
        for name in names
    ]
    assert client.report(KEYS.node_id("worker", "1"), reports, CALL) == ["t3"]
    states = {name: each.state for name, each in cluster.resources().items()}
    assert states == dict.fromkeys(names, State.DONE) | {"t3": State.RUNNING}


def test_a_task_whose_placement_cannot_be_written_says_why(cluster, monkeypatch):
    client = cluster.client(cluster.master("1"))
    client.submit(Spec("a", "waiting"), CALL)
    with monkeypatch.context() as patch:
        cannot_write(patch, lambda resource: resource.owner is not None)
        cluster.worker("1", ["waiting.py"])
        eventually(
            lambda: "set aside: placing it failed (Unwritable" in client.explain("a", CALL).reason,
            what="its reason is told, though it is not stored",
        )
    eventually(lambda: cluster.owners() == {"a": "1"}, what="it is tried again")


def test_a_task_that_cannot_be_judged_is_explained_all_the_same(cluster, monkeypatch):
    client = cluster.client(cluster.master("1"))
    client.submit(Spec("a", "waiting"), CALL)

    def broken(resource):
        raise OverflowError("too large")

    with monkeypatch.context() as patch:
        patch.setattr(Task, "of", broken)
        found = client.explain("a", CALL)
        assert "judging it failed (OverflowError: too large)" in found.reason
        assert list(found.judgement.workers) == []
        client.submit(Spec("b", "waiting"), CALL)
        found = client.explain("b", CALL)
        assert found.reason.startswith("set aside: placing it failed (OverflowError: too large)")
        assert "to pass: placing it failed" in found.waits_for
    cluster.worker("1", ["waiting.py"])
    eventually(lambda: cluster.owners() == {"a": "1", "b": "1"}, what="it is tried again")

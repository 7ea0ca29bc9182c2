"""What nodes do when the store is slow, refuses, or is cut off at the wrong moment."""

import dataclasses
import textwrap

import gevent
import pytest
from gevent.event import Event

from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.coordination.store import Delete, Put
from crawler.errors import CrawlerError, OutcomeUnknown, Unavailable
from crawler.model.constraints import Constraints
from crawler.model.records import Query, Report, Spec, State
from crawler.settings.scheduler import SchedulerSettings
from tests.clusters import CALL, KEYS, Cluster, Shared, Unreachable, request
from tests.waiting import PATIENCE_S, eventually


class Troubled(Shared):
    """A store between a node and the shared one, whose calls can be held or made to fail."""

    def __init__(self, store):
        super().__init__(store)
        self.go_on = Event()
        self.go_on.set()
        self.fail_txn = None
        self.fail_revoke = None
        self.ranges = []

    def txn(self, compares, success, failure=()):
        if any(op.key.startswith("/resources/task") for op in success if isinstance(op, Put)):
            self.go_on.wait()
            if self.fail_txn:
                raise self.fail_txn
        return self._store.txn(compares, success, failure)

    def lease_revoke(self, lease_id):
        failure, self.fail_revoke = self.fail_revoke, None
        if failure:
            raise failure
        self._store.lease_revoke(lease_id)

    def range(self, prefix, revision=0):
        self.ranges.append((prefix, revision))
        return self._store.range(prefix, revision)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture
def troubled(cluster):
    return Troubled(cluster.store)


def spider(tmp_path, body):
    """A spider file whose callback does that."""
    file = tmp_path / "spider.py"
    file.write_text(
        "import gevent\nfrom crawler import Request, Spider\n\n\nclass S(Spider):\n"
        '    name = "s"\n    start_urls = ["http://127.0.0.1:1/"]\n\n'
        + textwrap.indent(textwrap.dedent(body), "    ")
    )
    return str(file)


def in_background(function, *arguments):
    """Run it in a greenlet; `.value` is what it returned, or the error it raised."""

    def run():
        try:
            return function(*arguments)
        except CrawlerError as error:
            return error

    return gevent.spawn(run)


def test_a_request_whose_caller_has_gone_is_not_acted_upon(cluster, troubled):
    client = cluster.client(cluster.master("1", store=troubled))
    troubled.go_on.clear()
    first = in_background(client.add, Spec("task-1"), CALL)
    gevent.sleep(0.05)
    late = in_background(client.add, Spec("task-2"), Call(0.2))
    assert isinstance(late.get(timeout=PATIENCE_S), CrawlerError)
    gevent.sleep(0.3)
    troubled.go_on.set()
    assert first.get(timeout=PATIENCE_S).name == "task-1"
    client.add(Spec("task-3"), CALL)
    assert set(cluster.resources()) == {"task-1", "task-3"}


def test_requests_under_way_are_answered_when_the_leadership_is_lost(cluster, troubled):
    client = cluster.client(cluster.master("1", store=troubled))
    troubled.go_on.clear()
    adding = in_background(client.add, Spec("task-1"), Call(30))
    gevent.sleep(0.1)
    for kv in cluster.store.range(KEYS.election).items:
        cluster.store.txn([], [Delete(kv.key)])
    troubled.go_on.set()
    assert isinstance(adding.get(timeout=PATIENCE_S), Unavailable)
    assert cluster.resources() == {}


def test_after_a_write_without_an_answer_everything_is_read_anew(cluster, troubled):
    master = cluster.master("1", store=troubled)
    client = cluster.client(master)
    client.add(Spec("task-1"), CALL)
    master._role._mirrors.resources._take_batch = lambda batch: None  # the watch brings nothing
    cluster.store.txn([], [Put("/resources/unseen", b'{"Name":"unseen"}')])
    troubled.fail_txn = Unavailable("no answer")
    with pytest.raises(Unavailable):
        client.add(Spec("task-2"), CALL)
    troubled.fail_txn = None
    eventually(
        lambda: in_background(client.get, "unseen", CALL).get().__class__.__name__ == "Resource"
    )
    assert client.add(Spec("task-2"), CALL).name == "task-2"


def test_a_worker_is_free_again_of_a_task_that_was_not_written(cluster, troubled):
    client = cluster.client(cluster.master("1", store=troubled))
    node = dataclasses.replace(cluster.settings("2").node, capacity={"cpu": 1.0})
    cluster.worker("2", [{"name": "any", "start_urls": ["http://127.0.0.1:9/"]}], node=node)
    all_of_it = Constraints(requests=(("cpu", 1.0),))
    troubled.fail_txn = Unavailable("no answer")
    with pytest.raises(Unavailable):
        client.add(Spec("task-1", "any", constraints=all_of_it), CALL)
    troubled.fail_txn = None
    client.add(Spec("other", "any", constraints=all_of_it), CALL)
    eventually(lambda: cluster.owners()["other"] == "2")


def test_an_unknown_outcome_is_told_as_one(cluster, troubled):
    client = cluster.client(cluster.master("1", store=troubled))
    troubled.fail_txn = OutcomeUnknown("the answer was lost")
    answer = in_background(client.add, Spec("task-1"), Call(3)).get(timeout=PATIENCE_S)
    troubled.fail_txn = None
    assert isinstance(answer, CrawlerError)
    assert client.add(Spec("task-1"), CALL).name == "task-1"


def test_a_master_without_its_lease_answers_nothing(cluster):
    master = cluster.master("1")
    client = cluster.client(master)
    lease = master._membership.session.lease
    lease._deadline_s = 0.0  # over by the local clock, though nobody has noticed yet
    assert isinstance(
        in_background(client.list, Query(1), CALL).get(timeout=PATIENCE_S), Unavailable
    )


def test_an_election_key_deleted_by_hand_is_noticed_at_once(cluster):
    cluster.client(cluster.master("1", scheduler=SchedulerSettings(check_s=3600.0)))
    [kv] = cluster.store.range(KEYS.election).items
    cluster.store.txn([], [Delete(kv.key)])
    again = eventually(lambda: cluster.store.range(KEYS.election).items)
    assert again[0].create_revision > kv.create_revision


def test_a_node_whose_lease_could_not_be_revoked_does_not_wait_for_its_end(cluster, troubled):
    """That takes 60 s here."""
    worker = cluster.worker("1", store=troubled)
    first = worker._membership.session
    troubled.fail_revoke = Unavailable("etcd is away for a moment")
    first.lease.end("the test says so")
    again = eventually(lambda: worker._membership.session not in (None, first))
    assert again
    assert troubled.fail_revoke is None
    assert worker._membership.session.node.id == first.node.id


def test_a_master_that_takes_over_does_not_ask_itself(cluster, troubled):
    cluster.store.txn([], [Put("/resources/task-1", b'{"Name":"task-1"}')])
    troubled.go_on.clear()
    master = cluster.master("1", store=troubled, tasks=(Spec("task-2"),))
    eventually(lambda: "taking over" in request(master, "GET", "/crawler/resource")[2]["message"])
    assert request(master, "GET", "/readyz")[0] == 503
    troubled.go_on.set()
    eventually(lambda: request(master, "GET", "/readyz")[0] == 200)


def test_a_new_leader_reads_workers_and_tasks_at_one_revision(cluster, troubled):
    cluster.client(cluster.master("1", store=troubled))
    workers = KEYS.registrations("worker")
    asked = [revision for prefix, revision in troubled.ranges if prefix == workers]
    assert any(revision > 0 for revision in asked)


def test_many_runs_are_stopped_at_once_however_long_their_callbacks_take(cluster, tmp_path):
    file = spider(tmp_path, "def start(self):\n    gevent.sleep(60)\n    yield from ()\n")
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", [file])
    for number in range(10):
        client.add(Spec(f"task-{number}", spider="s"), CALL)
    eventually(lambda: len(worker._role._runs.all()) == 10)
    for number in range(10):
        client.delete(f"task-{number}", CALL)
    eventually(lambda: not worker._role._runs.all())


def test_a_lease_lost_while_runs_are_being_stopped_harms_nothing(cluster, tmp_path):
    file = spider(tmp_path, "def start(self):\n    gevent.sleep(60)\n    yield from ()\n")
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", [file])
    for name in ("a", "b", "c"):
        client.add(Spec(name, spider="s"), CALL)
    eventually(lambda: len(worker._role._runs.all()) == 3)
    for name in ("a", "b"):
        client.delete(name, CALL)
    gevent.sleep(0.05)  # the stopping has begun and takes a quarter of a second
    worker._membership.session.lease.end("the test says so")
    eventually(lambda: len(worker._role._runs.all()) == 1, what="c runs again")
    assert worker.failure == ""


def test_nothing_is_started_once_the_lease_is_lost(cluster, tmp_path, caplog, monkeypatch):
    """The lease ends between the stopping and the starting of one reconciliation."""
    file = spider(tmp_path, "def start(self):\n    gevent.sleep(60)\n    yield from ()\n")
    caplog.set_level("INFO")
    client = cluster.client(cluster.master("1"))
    network = Unreachable(cluster.store)
    worker = cluster.worker("1", [file], store=network)
    client.add(Spec("a", spider="s"), CALL)
    eventually(lambda: worker._role._runs.all())
    runs, lost = worker._role._runs, []

    def stop_and_lose_the_lease(names, stop=runs.stop):
        stop(names)
        if names and not lost:
            lost.append(names)
            network.cut = True
            worker._membership.session.lease.end("the test says so")
            eventually(lambda: worker._role._session is None)

    monkeypatch.setattr(runs, "stop", stop_and_lose_the_lease)
    client.update(Spec("a", spider="s", parameters={"again": "1"}), CALL)
    eventually(lambda: lost and not worker._role._runs.all())
    for _ in range(50):
        assert not worker._role._runs.all()
        gevent.sleep(0.02)
    assert caplog.text.count("run started") == 1, "the second did not, not even for a moment"


def test_a_leader_knows_its_own_writes_before_the_watch_repeats_them(cluster):
    master = cluster.master("1")
    client = cluster.client(master)
    master._role._mirrors.resources._take_batch = lambda batch: None  # the watch brings nothing
    assert client.add(Spec("a"), CALL).name == "a"
    assert client.update(Spec("a", priority=3), CALL).spec.priority == 3
    client.delete("a", CALL)
    assert client.list(Query(1), CALL).total == 0


def test_a_leader_asks_from_time_to_time_whether_it_leads(cluster):
    """Its watches may bring nothing; then nobody tells it that another leads."""
    master = cluster.master("1", scheduler=SchedulerSettings(check_s=0.5))
    cluster.client(master)
    master._role._observer._take = lambda value: None
    [kv] = cluster.store.range(KEYS.election).items
    master._role._on_leader_change = lambda leader: None
    cluster.store.txn([], [Delete(kv.key)])
    again = eventually(lambda: cluster.store.range(KEYS.election).items)
    assert again[0].create_revision > kv.create_revision


def test_a_report_the_leader_does_not_know_yet_is_made_again(cluster, tmp_path, monkeypatch):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1")
    refused = []
    original = Client.report

    def lagging(self, node_id, reports, call, load):
        if len(refused) < 3:
            refused.append(reports)
            return [report.name for report in reports]
        return original(self, node_id, reports, call, load)

    monkeypatch.setattr(Client, "report", lagging)
    client.add(Spec("a"), CALL)  # nobody has its spider
    eventually(lambda: client.get("a", CALL).state is State.FAILED)
    assert len(refused) == 3
    assert worker.failure == ""


def test_what_a_spider_says_of_its_failure_cannot_stop_the_reports(cluster, tmp_path):
    body = 'def start(self):\n    yield Request("ht!tp://x/\\udcff" + "x" * 100_000)\n'
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", [spider(tmp_path, body)])
    client.add(Spec("a", spider="s"), CALL)
    client.add(Spec("b", spider="s", parameters={"logger": "\x01" * 200_000}), CALL)
    for name in ("a", "b"):
        eventually(lambda name=name: client.get(name, CALL).state is State.FAILED)
        assert 0 < len(client.get(name, CALL).reason) < 5000
    assert worker.failure == ""


def test_counts_of_tasks_that_run_no_more_are_forgotten(cluster):
    master = cluster.master("1")
    client = cluster.client(master)
    cluster.store.txn(
        [],
        [
            Put(
                "/resources/a",
                b'{"ID":"1","Name":"a","AssignedNode":"w-1|h:1","CreationTime":1,"Epoch":1,'
                b'"State":"running"}',
            )
        ],
    )
    cluster.store.txn([], [Put(KEYS.registration("worker", "w-1"), b'{"nodes":[{"id":"w-1"}]}')])
    eventually(lambda: not client.report("w-1", [Report("a", "1", 1, State.RUNNING)], CALL))
    assert master._role._term.backend.live._runs
    cluster.store.txn([], [Delete("/resources/a")])
    eventually(lambda: not master._role._term.backend.live._runs)


def test_a_stop_in_the_middle_of_registering_leaves_nothing_behind(cluster, tmp_path):
    class Holding(Shared):
        """Registers, and then does not answer for a while."""

        registered = Event()

        def txn(self, compares, success, failure=()):
            result = self._store.txn(compares, success, failure)
            if any("/micro/registry/" in op.key for op in success):
                self.registered.set()
                gevent.sleep(1)
            return result

    store = Holding(cluster.store)
    starting = gevent.spawn(cluster.worker, "1", store=store)
    assert store.registered.wait(PATIENCE_S)
    eventually(lambda: cluster.nodes)
    cluster.nodes[-1].stop()
    starting.kill()
    assert cluster.store.range("/micro/registry").items == []


def test_a_leader_without_an_address_leaves_the_others_unready(cluster):
    cluster.store.txn([], [Put(KEYS.candidate(1), b"somebody else")])
    master = cluster.master("1")
    eventually(lambda: "gives no address" in request(master, "GET", "/readyz")[2].get("reason", ""))


def test_a_defect_at_the_start_of_a_term_does_not_keep_the_leadership(cluster, monkeypatch):
    def broken(*_):
        raise ValueError("a defect")

    broken_master = cluster.master("1")
    cluster.client(broken_master)
    second = cluster.master("2")
    monkeypatch.setattr(broken_master._role, "_make_term", broken)
    [kv, _] = sorted(
        cluster.store.range(KEYS.election).items, key=lambda candidate: candidate.create_revision
    )
    cluster.store.txn([], [Delete(kv.key)])
    cluster.client(second)
    second.stop()
    eventually(lambda: cluster.store.range(KEYS.election).items == [], what="1 resigns again")

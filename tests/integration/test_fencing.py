"""One accepted owner for each task: tombstones, grace, epochs, and how a node leaves."""

import json

import gevent
import pytest
from gevent.event import Event

from crawler.clock import SystemClock
from crawler.coordination.store import Delete, Put
from crawler.coordination.tombstones import decode_tombstone, encode_tombstone
from crawler.errors import (
    AlreadyExists,
    Conflict,
    CrawlerError,
    NotFound,
    OutcomeUnknown,
    Retryable,
    StoreFull,
    StoreRefused,
    Unavailable,
)
from crawler.model.records import Query, Report, Spec, State
from crawler.node.master.commands import Add
from crawler.settings.sections import NodeSettings
from crawler.settings.worker import IN_PROCESS, WorkerSettings
from tests.clusters import CALL, KEYS, Cluster, Shared, Unreachable
from tests.waiting import PATIENCE_S, eventually

TTL_S = 2

WAITING = """
import pathlib
import gevent
from crawler import Spider

class Waiting(Spider):
    name = "waiting"

    def start(self):
        pathlib.Path(__file__).with_name("under-way").touch()
        gevent.sleep(600)
        yield from ()

class Done(Spider):
    name = "done"

    def start(self):
        yield from ()
"""


@pytest.fixture
def spiders(tmp_path):
    (tmp_path / "waiting.py").write_text(WAITING)
    return ["waiting.py"]


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, ttl_s=TTL_S)
    yield cluster
    cluster.stop()


def worker_id(name):
    return KEYS.node_id("worker", name)


def registration(name):
    return KEYS.registration("worker", worker_id(name))


def tombstone(cluster, name):
    """The incarnation that the note on a worker declares dead; 0 without a note."""
    kv = cluster.store.get(KEYS.tombstone(worker_id(name)))
    return decode_tombstone(kv.value) if kv else 0


def runs(node):
    """Task → epoch of what a worker runs."""
    return {name: key.epoch for name, key in node._role._runs.known().items()}


def die(node):
    """As a process that is killed: nothing is stopped in order, and etcd is told nothing."""
    session = node._membership.session
    session.supervisor.stop()
    node._members.stop()
    node._supervisor.stop()
    session.lease.lost.set()
    node._role.leave()


def until_now(watch, store):
    """What a watch has to tell up to a mark that is set now."""
    mark = store.txn([], [Put("/resources/of-the-test/mark", b"")]).revision
    for batch in watch:
        yield batch
        if batch.revision >= mark:
            return


def waiting(name, **about):
    return Spec(name, spider="waiting", **about)


# -- tombstones ----------------------------------------------------------------------------------


def test_a_worker_declared_dead_is_noted_before_its_tasks_move(cluster, spiders):
    client = cluster.client(cluster.master("1"))
    first = cluster.worker("1", spiders)
    client.add(waiting("a"), CALL)
    incarnation = first._membership.session.node.incarnation
    cluster.worker("2", spiders)
    watch = cluster.store.watch("/", 1)
    die(first)
    eventually(lambda: cluster.owners() == {"a": "2"})
    assert tombstone(cluster, "1") == incarnation
    written = [event for batch in until_now(watch, cluster.store) for event in batch.events]
    noted = [e.revision for e in written if e.key == KEYS.tombstone(worker_id("1"))]
    moved = [
        e.revision
        for e in written
        if e.current and f"{worker_id('2')}|".encode() in e.current.value
    ]
    assert min(noted) < min(moved)


def test_a_worker_that_finds_itself_declared_dead_stops_and_comes_back_as_another(cluster, spiders):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", spiders)
    client.add(waiting("a"), CALL)
    eventually(lambda: runs(worker) == {"a": 1})
    old = worker._membership.session.node
    note = encode_tombstone(old.id, old.incarnation, 1)
    cluster.store.txn([], [Put(KEYS.tombstone(old.id), note)])
    eventually(
        lambda: (
            worker._membership.session
            and worker._membership.session.node.incarnation > old.incarnation
        ),
        within_s=2.5 * TTL_S,  # it looks three times a TTL
        what="it is back as another incarnation",
    )
    eventually(lambda: runs(worker) == {"a": 2})
    assert worker.failure == ""


def test_a_life_that_another_program_made_up_bans_no_worker(cluster, spiders):
    cluster.client(cluster.master("1"))
    cluster.worker("2", spiders)
    value = {"ID": "77", "Name": "a", "AssignedNode": f"{worker_id('1')}|x:1", "Epoch": 1}
    value.update(Spider="waiting", Incarnation=10**9, State="assigned", CreationTime=1)
    cluster.store.txn([], [Put(KEYS.resource("a"), json.dumps(value).encode())])
    eventually(lambda: cluster.owners() == {"a": "2"})
    worker = cluster.worker("1", spiders)
    session = worker._membership.session
    assert worker._membership._registry.objection(session.node) == ""
    assert tombstone(cluster, "1") == 0


def test_the_note_on_an_earlier_incarnation_means_nothing_to_a_later_one(cluster, spiders):
    cluster.client(cluster.master("1"))
    worker = cluster.worker("1", spiders)
    session = worker._membership.session
    incarnation = session.node.incarnation
    earlier, not_yet = (encode_tombstone("w", at, 1) for at in (incarnation - 1, 10**9))
    for note in (earlier, not_yet, b"no json"):
        cluster.store.txn([], [Put(KEYS.tombstone(session.node.id), note)])
        assert worker._membership._registry.objection(session.node) == ""
    assert worker._membership.session is session


def test_a_worker_whose_registration_was_deleted_comes_back(cluster, spiders):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", spiders)
    client.add(waiting("a"), CALL)
    eventually(lambda: runs(worker) == {"a": 1})
    cluster.store.txn([], [Delete(registration("1"))])
    eventually(lambda: cluster.store.get(registration("1")))
    eventually(lambda: runs(worker) == {"a": 2})


def test_a_worker_without_tasks_misses_its_registration_too(cluster, spiders):
    """No leader has a reason to declare it dead."""
    cluster.worker("1", spiders)
    before = cluster.store.get(registration("1")).create_revision
    cluster.store.txn([], [Delete(registration("1"))])
    after = eventually(lambda: cluster.store.get(registration("1")))
    assert after.create_revision > before


# -- the grace of a new leader ---------------------------------------------------------------------


def replace_leader(cluster, network, worker):
    """The worker's lease ends while nobody can lead, and then another master does."""
    second = cluster.master("2")
    network.cut = True
    for node in (worker, cluster.nodes[0]):
        lease = node._membership.session.lease
        die(node)
        cluster.store.lease_revoke(lease.id)
    return second


def test_a_new_leader_gives_a_worker_it_misses_one_ttl_to_come_back(cluster, spiders):
    network = Unreachable(cluster.store)
    client = cluster.client(cluster.master("1", store=network))
    worker = cluster.worker("1", spiders)
    client.add(waiting("a"), CALL)
    cluster.worker("2", spiders)
    clock = SystemClock()
    second = replace_leader(cluster, network, worker)
    again = cluster.client(second)
    led_s = clock.monotonic()
    again.add(waiting("b"), CALL)
    assert cluster.owners() == {"a": "1", "b": "2"}, "new tasks are placed meanwhile"
    eventually(lambda: cluster.owners()["a"] == "2")
    assert clock.monotonic() - led_s > TTL_S * 0.8
    assert tombstone(cluster, "1")


def test_a_worker_that_comes_back_in_the_grace_keeps_its_share(cluster, spiders):
    network = Unreachable(cluster.store)
    client = cluster.client(cluster.master("1", store=network))
    worker = cluster.worker("1", spiders)
    for name in "abc":
        client.add(waiting(name), CALL)
    second = replace_leader(cluster, network, worker)
    cluster.client(second)
    back = cluster.worker("1", spiders)
    eventually(lambda: runs(back) == dict.fromkeys("abc", 2))


# -- epochs ----------------------------------------------------------------------------------------


def test_an_assignment_older_than_one_before_it_is_refused_and_put_right(cluster, spiders):
    master = cluster.master("1")
    client = cluster.client(master)
    worker = cluster.worker("1", spiders)
    client.add(waiting("a"), CALL)
    eventually(lambda: runs(worker) == {"a": 1})
    old = cluster.store.get(KEYS.resource("a")).value
    client.update(waiting("a", parameters={"again": "1"}), CALL)
    client.update(waiting("a", parameters={"again": "2"}), CALL)
    eventually(lambda: runs(worker) == {"a": 3})
    cluster.store.txn([], [Put(KEYS.resource("a"), old)])  # as from a backup
    eventually(lambda: runs(worker).get("a", 0) > 3, what="it runs in an epoch above all before")
    metrics = worker._metrics.render()[0].decode()
    assert "crawler_assignments_refused_total 1.0" in metrics


def test_an_old_assignment_is_put_right_even_if_nothing_of_it_runs(cluster, spiders):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", spiders)
    client.add(Spec("a", spider="done"), CALL)
    client.update(Spec("a", spider="done", parameters={"again": "1"}), CALL)
    eventually(lambda: client.get("a", CALL).state is State.DONE)
    assert client.get("a", CALL).epoch == 2
    value = json.loads(cluster.store.get(KEYS.resource("a")).value)
    old = json.dumps({**value, "State": "assigned", "Epoch": 1}).encode()
    cluster.store.txn([], [Put(KEYS.resource("a"), old)])
    eventually(lambda: cluster.resources()["a"].state is State.DONE)
    assert cluster.resources()["a"].epoch > 2


def test_a_value_rewritten_without_an_epoch_gets_one_above_those_before(cluster, spiders):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", spiders)
    client.add(waiting("a"), CALL)
    client.update(waiting("a", parameters={"again": "1"}), CALL)
    eventually(lambda: runs(worker) == {"a": 2})
    value = json.loads(cluster.store.get(KEYS.resource("a")).value)
    foreign = {key: value[key] for key in ("ID", "Name", "CreationTime", "Spider")}
    foreign["AssignedNode"] = ""
    cluster.store.txn([], [Put(KEYS.resource("a"), json.dumps(foreign).encode())])
    eventually(lambda: runs(worker).get("a", 0) > 2, what="it runs in a higher epoch")


def test_a_huge_epoch_of_another_program_that_is_dropped_again_comes_to_rest(cluster, spiders):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", spiders)
    client.add(waiting("a"), CALL)
    value = json.loads(cluster.store.get(KEYS.resource("a")).value)
    for epoch, then in ((10**12, 10**12 + 1), (0, 10**12 + 2)):
        theirs = {**value, "Epoch": epoch, "AssignedNode": ""}
        cluster.store.txn([], [Put(KEYS.resource("a"), json.dumps(theirs).encode())])
        eventually(lambda then=then: runs(worker) == {"a": then})
    assert cluster.resources()["a"].epoch == 10**12 + 2


def test_an_add_is_never_acknowledged_from_memory_alone(cluster):
    """Another program deletes the task, and the leader has not heard of it."""
    master = cluster.master("1")
    client = cluster.client(master)
    first = client.add(Spec("a"), CALL)
    master._role._mirrors.resources._take_batch = lambda batch: None
    cluster.store.txn([], [Delete(KEYS.resource("a"))])
    again = client.add(Spec("a"), CALL)
    assert cluster.resources()["a"].id == again.id != first.id


def test_refused_reports_are_counted(cluster, spiders):
    master = cluster.master("1")
    client = cluster.client(master)
    cluster.worker("1", spiders)
    added = client.add(waiting("a"), CALL)
    stale = Report("a", added.id, added.epoch - 1, State.DONE)
    assert client.report(worker_id("1"), [stale, stale], CALL) == ["a", "a"]
    assert "crawler_reports_refused_total 2.0" in master._metrics.render()[0].decode()


# -- leaving ---------------------------------------------------------------------------------------


def test_a_worker_that_leaves_tells_how_its_tasks_ended(cluster, spiders, tmp_path):
    """What ended just before it leaves is not run again elsewhere."""
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", spiders, worker=slow_reports(tmp_path))
    role, reporter = worker._role, worker._role._reporter
    report, reporter.report = reporter.report, lambda timeout_s: None  # it would tell at once
    cluster.worker("2", [])
    client.add(Spec("a", spider="done"), CALL)
    eventually(lambda: any(run.ended for run in role._runs.all()))
    reporter.report = report
    worker.stop()
    assert client.get("a", CALL).state is State.DONE


def slow_reports(tmp_path):
    return WorkerSettings(
        items=str(tmp_path / "items"),
        report_s=60,
        private_targets=["127.0.0.0/8"],
        processes=IN_PROCESS,
    )


def patient():
    return NodeSettings(id="1", http="127.0.0.1:0", grpc="127.0.0.1:0", drain_s=30)


def test_a_worker_that_is_leaving_gets_no_new_tasks(cluster, spiders):
    client = cluster.client(cluster.master("1"))
    leaving = cluster.worker("1", spiders)
    cluster.worker("2", spiders)
    session = leaving._membership.session
    leaving._membership._registry.announce_draining(session.node, session.lease)
    workers = cluster.nodes[0]._role._mirrors.live_workers
    eventually(lambda: workers()[session.node.id].draining)
    for name in "abc":
        client.add(waiting(name), CALL)
    assert cluster.owners() == dict.fromkeys("abc", "2")
    assert leaving._membership._registry.objection(session.node) == "", "it still is a member"


def test_a_second_request_to_stop_hurries_the_first(cluster, spiders, tmp_path):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", spiders, node=patient())
    client.add(waiting("a"), CALL)
    eventually((tmp_path / "under-way").exists)
    clock = SystemClock()
    began_s = clock.monotonic()
    stopping = gevent.spawn(worker.stop)
    gevent.sleep(0.3)
    assert not worker.stopped.is_set(), "a callback under way is given time"
    worker.hurry()
    stopping.join(PATIENCE_S)
    assert worker.stopped.is_set()
    assert clock.monotonic() - began_s < 10
    assert cluster.store.get(registration("1")) is None, "the others are told all the same"


class Slow(Shared):
    """A store that carries out writes of tasks at once, and answers after a while."""

    ANSWERS_S = 0.3
    answering = 0

    def txn(self, compares, success, failure=()):
        result = self._store.txn(compares, success, failure)
        if any(isinstance(o, Put) and o.key.startswith("/resources/task") for o in success):
            self.answering += 1
            gevent.sleep(self.ANSWERS_S)
        return result


def test_a_leader_that_leaves_answers_what_waits_and_lets_the_next_lead(cluster, monkeypatch):
    slow = Slow(cluster.store)
    node = NodeSettings(id="1", http="127.0.0.1:0", grpc="127.0.0.1:0", drain_s=60)
    first, second = cluster.master("1", store=slow, node=node), cluster.master("2")
    client, other = cluster.client(first), cluster.client(second)
    before = slow.answering
    adding = [gevent.spawn(client.add, Spec(f"task-{n}"), CALL) for n in range(50)]
    eventually(lambda: slow.answering > before, what="a write is under way")
    # On a loaded machine fifty answers may take longer than the second they usually have.
    monkeypatch.setattr(first, "_patience_s", lambda usual_s: max(usual_s, 30.0))
    first.stop()
    eventually(lambda: accepts(other, "after"), what="the next leads, long before 60 s are over")
    gevent.joinall(adding, timeout=PATIENCE_S)
    known = {resource.name for resource in other.list(Query(1000), CALL).resources}
    acknowledged = {job.value.name for job in adding if job.successful()}
    assert acknowledged
    assert acknowledged <= known
    in_doubt = [job.exception for job in adding if isinstance(job.exception, OutcomeUnknown)]
    assert not in_doubt, "it knows of each what was done"


def accepts(client, name):
    """Whether a task can be added now."""
    try:
        return client.add(Spec(name), CALL)
    except Retryable:
        return False


def test_two_failovers_within_one_ttl_lose_nothing(cluster, spiders):
    masters = [cluster.master(name) for name in "123"]
    cluster.worker("1", spiders)
    client = cluster.client(masters[2])
    client.add(waiting("a"), CALL)
    eventually(lambda: cluster.resources()["a"].state is State.RUNNING, what="it is reported")
    before = cluster.raw()
    for master in masters[:2]:
        kv = next(
            kv
            for kv in cluster.store.range(KEYS.election).items
            if kv.lease == master._membership.session.lease.id
        )
        die(master)
        cluster.store.lease_revoke(kv.lease)
    eventually(lambda: client.leader(CALL).id.startswith("master3"))
    client.add(waiting("b"), CALL)
    assert cluster.raw()[KEYS.resource("a")] == before[KEYS.resource("a")]
    assert cluster.owners() == {"a": "1", "b": "1"}
    assert client.get("a", CALL).epoch == 1


def test_a_worker_cut_off_while_others_take_over_is_refused_afterwards(cluster, spiders):
    client = cluster.client(cluster.master("1"))
    network = Unreachable(cluster.store)
    worker = cluster.worker("1", spiders, store=network)
    added = client.add(waiting("a"), CALL)
    eventually(lambda: runs(worker) == {"a": 1})
    network.cut = True
    cluster.worker("2", spiders)
    eventually(lambda: cluster.owners() == {"a": "2"})
    stale = Report("a", added.id, added.epoch, State.DONE)
    assert client.report(worker_id("1"), [stale], CALL) == ["a"]
    network.cut = False
    eventually(lambda: cluster.store.get(registration("1")))
    assert client.get("a", CALL).owner.node_id == worker_id("2")


class Full(Shared):
    """A store that takes no task for a while, as an etcd whose quota is used up."""

    full = True
    refused = 0

    def txn(self, compares, success, failure=()):
        tasks = (o for o in success if isinstance(o, Put) and o.key.startswith("/resources/seed"))
        if self.full and any(tasks):
            self.refused += 1
            raise StoreFull("etcd's database is full")
        return self._store.txn(compares, success, failure)


def test_seeds_that_could_not_be_stored_at_the_take_over_are_stored_later(cluster):
    store = Full(cluster.store)
    cluster.master("1", store=store, tasks=(Spec("seed-1"), Spec("seed-2")))
    eventually(lambda: store.refused)
    assert cluster.resources() == {}
    store.full = False
    eventually(lambda: set(cluster.resources()) == {"seed-1", "seed-2"})


def test_an_add_is_answered_by_what_was_stored_even_if_it_is_deleted_at_once(cluster):
    """NOT_FOUND would say that nothing was done."""
    master = cluster.master("1")
    client = cluster.client(master)
    writer = master._role._term.writer
    answer = writer._answer

    def answer_after_a_delete(decided, written, error):
        for name in written:
            revision = cluster.store.txn([], [Delete(KEYS.resource(name))]).revision
            master._role._mirrors.resources.apply(KEYS.resource(name), None, revision)
        answer(decided, written, error)

    writer._answer = answer_after_a_delete
    assert client.add(Spec("a"), CALL).id
    writer._answer = answer
    assert cluster.resources() == {}


def test_masters_that_start_all_at_once_have_one_leader_and_seed_once(cluster):
    seeds = tuple(Spec(f"seed-{number}") for number in range(20))
    watch = cluster.store.watch(KEYS.resources, 1)
    starting = [gevent.spawn(cluster.master, name, tasks=seeds) for name in "12345"]
    masters = [job.get(timeout=PATIENCE_S) for job in starting]
    client = cluster.client(masters[0])
    eventually(lambda: len(cluster.resources()) == len(seeds))
    assert sum(master._role.local_backend() is not None for master in masters) == 1
    assert {client.leader(CALL).id for _ in masters} == {masters[0]._role.leader().id}
    events = [e for batch in until_now(watch, cluster.store) for e in batch.events]
    written = [e.key for e in events if KEYS.resource_name(e.key)]
    assert sorted(written) == sorted(KEYS.resource(seed.name) for seed in seeds)


# -- answers that rest on what is committed -------------------------------------------------------


class Held(Shared):
    """A store whose next write of a task waits until the test lets it go on, or fail."""

    def __init__(self, store):
        super().__init__(store)
        self.holds = False
        self.held, self.go_on = Event(), Event()
        self.failure = None

    def txn(self, compares, success, failure=()):
        tasks = (o for o in success if isinstance(o, Put | Delete) and KEYS.resource_name(o.key))
        if self.holds and any(tasks):
            self.holds = False
            self.held.set()
            self.go_on.wait(PATIENCE_S)
            if self.failure:
                raise self.failure
        return self._store.txn(compares, success, failure)


def answer(call, *args):
    """What the caller is told: the error, or None."""
    try:
        call(*args)
    except CrawlerError as error:
        return error
    return None


def test_a_rejection_that_rests_on_a_write_that_failed_is_none(cluster):
    """The second delete would find nothing if the first had been carried out."""
    store = Held(cluster.store)
    master = cluster.master("1", store=store)
    cluster.client(master).add(Spec("a"), CALL)
    backend = master._role.local_backend()
    store.holds, store.failure = True, Unavailable("nothing was done")
    asked = [
        *(gevent.spawn(answer, backend.delete, "a", CALL) for _ in range(2)),
        *(gevent.spawn(answer, backend.submit, Spec("b", priority=n), CALL) for n in range(2)),
    ]
    assert store.held.wait(PATIENCE_S)
    store.go_on.set()
    answers = [job.get(timeout=PATIENCE_S) for job in asked]
    assert [type(error) for error in answers] == [Unavailable] * 4
    assert set(cluster.resources()) == {"a"}


def test_a_report_made_out_of_date_by_a_write_that_failed_is_not_taken_as_told(cluster, spiders):
    """The worker would never tell again that its run is over, and nobody else can know."""
    store = Held(cluster.store)
    master = cluster.master("1", store=store)
    cluster.worker("1", spiders=spiders)
    client = cluster.client(master)
    client.add(waiting("a"), CALL)
    eventually(lambda: client.get("a", CALL).state is State.RUNNING)
    task, backend = client.get("a", CALL), master._role.local_backend()
    store.holds, store.failure = True, Unavailable("nothing was done")
    over = Report("a", task.id, task.epoch, State.DONE)
    asked = [
        gevent.spawn(answer, backend.update, waiting("a", parameters={"other": 1}), CALL),
        gevent.spawn(answer, backend.report, worker_id("1"), [over], CALL),
    ]
    assert store.held.wait(PATIENCE_S)
    store.go_on.set()
    assert [type(job.get(timeout=PATIENCE_S)) for job in asked] == [Unavailable] * 2


def test_a_rejection_is_never_told_from_memory_alone(cluster):
    """Another program writes, and the leader has not heard of it."""
    master = cluster.master("1")
    client = cluster.client(master)
    client.add(Spec("gone"), CALL)
    master._role._mirrors.resources._take_batch = lambda batch: None
    there = {"ID": "7", "Name": "there", "AssignedNode": "", "CreationTime": 1}
    put = Put(KEYS.resource("there"), json.dumps(there).encode())
    cluster.store.txn([], [Delete(KEYS.resource("gone")), put])
    client.delete("there", CALL)
    client.add(Spec("gone", priority=1), CALL)
    assert {r.name: r.spec.priority for r in cluster.resources().values()} == {"gone": 1}


def test_what_is_rejected_is_told_when_it_is_certain(cluster):
    client = cluster.client(cluster.master("1"))
    client.add(Spec("a"), CALL)
    assert isinstance(answer(client.delete, "none", CALL), NotFound)
    assert isinstance(answer(client.add, Spec("a", priority=1), CALL), AlreadyExists)


class Defective:
    """A request that meets a defect."""

    subjects = ("x",)

    def apply(self, draft):
        raise KeyError("a defect")


def test_a_defect_costs_only_the_request_that_meets_it(cluster):
    master = cluster.master("1")
    cluster.client(master)
    term = master._role._term
    requests = [Add(Spec("a")), Defective(), Add(Spec("b"))]
    asked = [gevent.spawn(answer, term.writer.submit, request, CALL) for request in requests]
    answers = [job.get(timeout=PATIENCE_S) for job in asked]
    assert [error and error.code for error in answers] == [None, "INTERNAL", None]
    assert set(cluster.resources()) == {"a", "b"}
    assert master._role._term is term


# -- notes that cost little ------------------------------------------------------------------------


class Strict(Shared):
    """A store that refuses some writes for good by their key, and counts them."""

    refuses = "nothing"
    refused = 0
    notes = 0

    def txn(self, compares, success, failure=()):
        keys = [o.key for o in success if isinstance(o, Put)]
        if any(key.startswith(self.refuses) for key in keys):
            self.refused += 1
            raise StoreRefused("permission denied")
        self.notes += any(key.startswith(KEYS.tombstone("")) for key in keys)
        return self._store.txn(compares, success, failure)


def orphan(cluster, spiders):
    """A task whose worker is gone, and another worker that may take it."""
    worker = cluster.worker("1", spiders)
    cluster.clients[0].add(waiting("a"), CALL)
    eventually(lambda: runs(worker) == {"a": 1})
    return lambda: (
        cluster.worker("2", spiders),
        die(worker),
        cluster.store.lease_revoke(worker._membership.session.lease.id),
    )


def test_a_dead_worker_is_noted_once_however_often_its_task_is_placed(cluster, spiders):
    store = Strict(cluster.store)
    client = cluster.client(cluster.master("1", store=store))
    end = orphan(cluster, spiders)
    store.refuses = KEYS.resource("a")
    end()
    eventually(lambda: tombstone(cluster, "1"))
    before = store.refused
    for number in range(3):
        client.add(waiting(f"b{number}"), CALL)
    assert store.refused >= before + 3, "it is placed again and again"
    assert store.notes == 1


def test_tasks_of_the_dead_move_even_if_nobody_may_be_noted(cluster, spiders):
    store = Strict(cluster.store)
    master = cluster.master("1", store=store)
    cluster.client(master)
    end = orphan(cluster, spiders)
    term, store.refuses = master._role._term, KEYS.tombstone("")
    end()
    eventually(lambda: cluster.owners() == {"a": "2"})
    assert master._role._term is term
    assert store.refused == 1


def test_what_was_asked_while_a_leader_writes_its_last_is_answered_too(cluster):
    store = Held(cluster.store)
    master = cluster.master("1", store=store)
    cluster.client(master)
    term = master._role._term
    store.holds = True
    first = gevent.spawn(answer, term.writer.submit, Add(Spec("a")), CALL)
    assert store.held.wait(PATIENCE_S)
    second = gevent.spawn(answer, term.writer.submit, Add(Spec("b")), CALL)
    eventually(lambda: term.writer.waiting)
    term.finish()
    assert isinstance(answer(term.writer.submit, Add(Spec("c")), CALL), Unavailable)
    store.go_on.set()
    assert (first.get(timeout=PATIENCE_S), second.get(timeout=PATIENCE_S)) == (None, None)
    assert set(cluster.resources()) == {"a", "b"}


def test_whoever_wants_the_name_of_an_unreadable_value_is_told_why_not(cluster):
    master = cluster.master("1")
    client = cluster.client(master)
    cluster.store.txn([], [Put(KEYS.resource("a"), b'{"Epoch":9223372036854775807}')])
    for refused in (answer(client.add, Spec("a"), CALL), answer(client.delete, "a", CALL)):
        assert isinstance(refused, Conflict)
        assert "cannot be read" in str(refused)
    assert b"9223372036854775807" in cluster.store.get(KEYS.resource("a")).value

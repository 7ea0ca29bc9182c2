"""What workers report of runs whose processes are gone, and what people see of it."""

import pytest

from crawler.cli.cluster import task_lines
from crawler.coordination.keys import WORKER
from crawler.coordination.registration import encode_node
from crawler.coordination.store import Put
from crawler.errors import InvalidArgument
from crawler.model.records import Counts, Node, Query, Report, Spec, State
from tests.clusters import CALL, KEYS, Cluster, request
from tests.waiting import eventually

WHY = "process 123 was killed (memory)"
ID = KEYS.node_id(WORKER, "1")
AGAIN = f"interrupted at {ID}: {WHY}; placed again"


class Small(Cluster):
    """A master, and one worker that does what the test says."""

    def open(self):
        self.master("1")
        value = encode_node(KEYS.service(WORKER), Node(ID, "127.0.0.1:1"))
        self.store.txn([], [Put(KEYS.registration(WORKER, ID), value)])
        self.api = self.client()
        eventually(lambda: len(self.api.nodes(CALL)) == 2)
        self.api.add(Spec("books", retries=1), CALL)
        return self

    def report(self, **about):
        """Tell of the present run of the task. Returns the refused names."""
        present = self.api.get("books", CALL)
        about = {"state": State.FAILED, "reason": WHY, **about}
        told = Report("books", present.id, present.epoch, **about)
        return self.api.report(ID, [told], CALL)


@pytest.fixture
def small(tmp_path):
    cluster = Small(tmp_path)
    try:
        yield cluster.open()
    finally:
        cluster.stop()


def test_an_interrupted_task_runs_again_and_everybody_is_told_why(small):
    assert small.report(interrupted=True) == []
    task = small.api.get("books", CALL)
    assert (task.state, task.epoch, task.failed_on) == (State.ASSIGNED, 2, ())
    assert task.reason == AGAIN
    assert small.api.explain("books", CALL).reason == AGAIN
    assert [each.reason for each in small.api.list(Query(), CALL).resources] == [AGAIN]
    _, _, told = request(small.nodes[0], "GET", "/crawler/resource/books", None)
    assert (told["reason"], told["kills"], told["killedProcesses"]) == (AGAIN, 0, 0)
    assert small.resources()["books"].reason == "", "etcd has it beside what it waits for"


def pages(small):
    """The pages of the task, as one task and in the list."""
    (listed,) = small.api.list(Query(), CALL).resources
    assert small.api.get("books", CALL).counts == listed.counts
    return listed.counts.pages


def test_a_task_keeps_its_pages_while_it_waits_and_until_its_new_run_has_counted(small):
    assert small.report(state=State.RUNNING, counts=Counts(40, 3, 0, 9.0)) == []
    assert pages(small) == 40
    small.api.drain("1", CALL)  # nobody takes it
    small.report(interrupted=True)
    assert small.api.get("books", CALL).state is State.PENDING
    assert pages(small) == 40
    small.api.uncordon("1", CALL)
    eventually(lambda: small.api.get("books", CALL).state is State.ASSIGNED)
    assert pages(small) == 40
    small.report(state=State.RUNNING)  # it has begun, and has not read its state yet
    assert pages(small) == 40
    small.report(state=State.RUNNING, counts=Counts(2, 0, 0, 1.0))
    assert pages(small) == 2


def test_a_run_that_fails_before_it_has_counted_leaves_the_pages_of_the_run_before(small):
    """As at a worker that lacks the spider, or cannot open the state."""
    small.api.update(Spec("books"), CALL)  # without retries
    small.report(state=State.RUNNING, counts=Counts(40, 3, 0, 9.0))
    small.report(interrupted=True)
    assert small.api.get("books", CALL).epoch == 2
    small.report()
    assert small.api.get("books", CALL).state is State.FAILED
    assert pages(small) == 40
    assert small.resources()["books"].counts == Counts(40, 3, 0, 9.0), "a new leader knows it, too"
    assert small.api.again("books", CALL).counts.pages == 40, "what is dropped"
    small.report()
    assert pages(small) == 0, "it began anew"


def test_a_task_that_begins_anew_does_not_keep_its_pages(small):
    def change(**arguments):
        small.api.update(Spec("books", parameters=arguments, retries=1), CALL)

    for begin in (
        lambda: small.api.again("books", CALL),
        lambda: change(depth=2),
        lambda: change(depth=2, settings_url="http://a/"),  # an argument of the spider
    ):
        small.report(state=State.RUNNING, counts=Counts(40, 3, 0, 9.0))
        assert pages(small) == 40
        begin()
        assert pages(small) == 0


def test_a_task_whose_run_begins_again_with_other_settings_keeps_its_pages(small):
    small.report(state=State.RUNNING, counts=Counts(40, 3, 0, 9.0))
    settings = {"settings": {"nofollow": True}}
    small.api.update(Spec("books", parameters=settings, retries=1), CALL)
    assert small.api.get("books", CALL).epoch == 2
    assert pages(small) == 40


def test_a_charged_task_is_parked_and_the_processes_are_counted(small):
    for kills in (1, 2, 3):
        assert small.report(interrupted=True, charged=True) == []
        task = small.api.get("books", CALL)
        assert (task.kills, task.blame.processes) == (kills, kills)
    assert (task.state, task.owner) == (State.PENDING, None)
    assert task.reason.startswith("parked: 3 processes died of it; it is tried again at ")
    assert "killed       3 processes" in list(task_lines(task))
    assert small.api.explain("books", CALL).waits_for.endswith(" s to pass: 3 processes died of it")
    assert small.api.update(Spec("books", retries=1), CALL).state is State.ASSIGNED


def test_a_worker_that_knows_no_interruptions_reports_as_before(small):
    assert small.report() == []
    task = small.api.get("books", CALL)
    assert (task.state, task.failed_on) == (State.PENDING, (ID,))
    assert task.reason == f"failed on {ID}, to be tried again: {WHY}"


def test_a_report_that_contradicts_itself_is_refused_in_words(small):
    with pytest.raises(InvalidArgument, match=r"reports\[0\]\.charged: true is not allowed; allow"):
        small.report(charged=True)

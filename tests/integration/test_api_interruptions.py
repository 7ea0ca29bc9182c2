"""What workers report of runs whose processes are gone, and what people see of it."""

import pytest

from crawler.cli.cluster import task_lines
from crawler.coordination.keys import WORKER
from crawler.coordination.registration import encode_node
from crawler.coordination.store import Put
from crawler.errors import InvalidArgument
from crawler.model.records import Node, Query, Report, Spec, State
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
        told = Report("books", present.id, present.epoch, State.FAILED, WHY, **about)
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

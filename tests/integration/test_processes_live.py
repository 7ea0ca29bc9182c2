"""`crawler up --demo`: a cluster with something to see, of which nothing is left."""

import re

import pytest

from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.model.records import Query, State
from tests import forks
from tests.depth import deep
from tests.integration.lab import interrupt
from tests.integration.test_processes_local import assert_nothing_is_left, children_of, started
from tests.waiting import PATIENCE_S, eventually

CALL = Call(PATIENCE_S)


@deep  # it starts six processes, and all of them crawl
def test_there_is_something_to_see_and_ctrl_c_leaves_nothing_behind(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    process = started("up", tmp_path, ["up", "--demo"], cwd=empty, **forks.with_nodes())
    try:
        is_up = lambda: "Ctrl-C" in process.tail() or not process.alive  # noqa: E731
        eventually(is_up, 5 * PATIENCE_S, what="it is up", every_s=0.2)
        told = process.tail(50)
        assert process.alive, told
        [master] = re.findall(r"^master 1 .* grpc (\S+)$", told, re.MULTILINE)
        [token] = re.findall(r"^token +(crawler_\S+)$", told, re.MULTILINE)
        with_client(master, token)
        children = children_of(process.pid)
        interrupt(process)
        assert process.wait(3 * PATIENCE_S)
        assert process.exit_code == 0
        assert process.tail(1) == "everything is stopped, and nothing is kept"
        assert_nothing_is_left(tmp_path, children)
        assert list(empty.iterdir()) == []
        assert not (tmp_path / "items").exists()
    finally:
        process.stop()


def with_client(master, token):
    """All is there, or comes."""
    client = Client(master, token=lambda: token)
    left: list[str] = []

    def is_there():
        left[:] = missing(client)
        return not left

    try:
        eventually(is_there, 3 * PATIENCE_S, every_s=0.5)
    except AssertionError:
        pytest.fail(f"not there yet: {', '.join(left)}")
    finally:
        client.close()


def missing(client):
    """What is not there yet."""
    tasks = {task.name: task for task in client.list(Query(), CALL).resources}
    firing = {alert.rule for alert in client.alerts(CALL) if alert.fires}
    goes_on = [f"watch-{department}" for department in ("fiction", "science")]
    sights = {
        "crawls that go on": all(
            tasks[name].state is State.RUNNING and tasks[name].counts.items
            for name in [*goes_on, "authors"]
        ),
        "a paused task": tasks["watch-travel"].paused,
        "a failed task": tasks["old-catalogue"].state is State.FAILED,
        "a task that waits": "has no GPU" in tasks["covers"].reason,
        "two teams": {t.spec.labels.get("team") for t in tasks.values()} >= {"prices", "research"},
        "two schedules": len(client.schedules(CALL)) == 2,
        "two versions": len(client.project("bookshop", CALL).project.versions) == 2,
        "two workers": sum(load.role == "worker" for load in client.nodes(CALL)) == 2,
        "alerts": firing >= {"nobody-suits", "a-run-failed"},
    }
    return [sight for sight, is_there in sights.items() if not is_there]

"""The life of a task on several workers: real processes, a real etcd, a real Redis."""

from collections import Counter

from tests.integration.lab import crawler
from tests.integration.test_processes_shards import (  # noqa: F401
    MANY,
    Task,
    cluster,
    lab,
    site,
)
from tests.waiting import eventually


def ask(lab, verb, task):  # noqa: F811
    done = crawler(verb, task.name, "--master", f"127.0.0.1:{lab['master-1'].grpc}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_task_on_three_workers_rests_and_goes_on_without_a_page_twice(cluster, site):  # noqa: F811
    task = Task(cluster, site, "resting", 3)
    task.until(MANY // 3)
    assert "paused by" in ask(cluster, "pause", task)
    assert {value["State"] for value in task.shards().values()} == {"pending"}
    assert {value["AssignedNode"] for value in task.shards().values()} == {""}
    ask(cluster, "resume", task)
    task.assert_whole(0)


def test_a_stopped_task_on_three_workers_runs_once_more_whole(cluster, site):  # noqa: F811
    task = Task(cluster, site, "stopped", 3)
    task.until(MANY // 3)
    assert "stopped by" in ask(cluster, "stop", task)
    assert {value["State"] for value in task.shards().values()} == {"failed"}
    eventually(lambda: task.items().state == "stopped", what="its files say so")
    before = task.asked().total()
    assert "run          2" in ask(cluster, "run", task)
    eventually(lambda: task.state == "done", 60, "it is done")
    assert task.asked().total() - before >= MANY
    assert Counter(int(item["page"]) for item in task.items()) == Counter(range(MANY))

"""The commands that look at a running cluster and steer it: real processes, a real etcd."""

import json
import re
import socket

import pytest

from tests.integration.lab import Lab, crawler, crawler_here
from tests.waiting import PATIENCE_S, eventually

ID = "go.micro.server.worker-{}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        lab.start("master-1", "master-2", "worker-1", "worker-2")
        for name in ("a", "b"):
            lab.add(name)
        eventually(lambda: len(lab.running("a", "b")) == 2, PATIENCE_S, "both run")
        yield lab


@pytest.fixture
def ask(lab):
    """Run a command against a master that does not lead: it has to pass all on."""

    def asked(*arguments, status=0):
        _, follower = lab.masters()
        done = crawler_here(*arguments, CRAWLER_MASTER=f"127.0.0.1:{follower.grpc}")
        assert "Traceback" not in done.stderr
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return asked


def rows(table):
    """The first column of a table with the cells of each row."""
    lines = [re.split(r"\s{2,}", line) for line in table.splitlines() if line]
    return {line[0]: line for line in lines[1:]}


def test_nodes_and_tasks_are_listed(lab, ask):
    nodes = rows(ask("nodes"))
    assert nodes.keys() == {lab[title].id for title in ("master-1", "master-2")} | {
        ID.format(1),
        ID.format(2),
    }
    assert nodes[ID.format(1)][1:5] == ["worker", lab["worker-1"].address, "1", "1"]
    tasks = rows(ask("tasks"))
    assert {name: cells[1] for name, cells in tasks.items()} == {"a": "running", "b": "running"}
    assert rows(ask("tasks", "--state", "done")) == {}
    shown = ask("task", "a")
    assert re.search(r"^state +running$", shown, re.MULTILINE)
    assert re.search(r"^spider +slow$", shown, re.MULTILINE)
    assert ask("task", "c", status=1) == "crawler: no task 'c'; see crawler tasks\n"


def test_a_task_is_added_once_and_deleted(lab, ask):
    url = lab.site.url("new")
    wanted = ("add", "new", "--spider=slow", "-a", f"start_urls={url}", "--label=team=x")
    wanted += ("-s", "delay_s=1")
    worker = r"go\.micro\.server\.worker-\d \(\S+\)"
    assert re.fullmatch(rf"new is added; it is assigned on {worker}\n", ask(*wanted))
    assert re.fullmatch(
        rf"new is there already, the same; it is \w+ on {worker}\n",
        ask(*wanted),
    )
    refused = ask(*wanted, "--priority=2", "-s", "delay_s=2", status=1)
    assert refused == (
        "crawler: task 'new' exists with another specification: parameters.settings.delay_s is 1,"
        " and you gave 2; priority is 0, and you gave 2; change it with crawler update new, or"
        " choose another name\n"
    )
    assert "is offered by no live worker" in ask("add", "other", "--spider=none", status=1)
    [line] = ask("tasks", "--label=team=x", "--json").splitlines()
    assert json.loads(line)["parameters"] == {"start_urls": url, "settings": {"delay_s": 1}}
    assert ask("delete", "--label=team=x", "--yes") == "new is deleted\n"
    assert rows(ask("tasks")).keys() == {"a", "b"}


def test_the_statistics_of_a_task_come_from_its_worker(lab, ask):
    shown = ask("stats", "a")
    assert re.search(r"^spider +slow$", shown, re.MULTILINE)
    assert re.search(r"^result +still running$", shown, re.MULTILINE)
    first = eventually(lambda: fetched(json.loads(ask("stats", "a", "--json"))))
    assert first["task"] == "a"
    eventually(lambda: json.loads(ask("stats", "a", "--json"))["pages"] > first["pages"])
    assert first["statuses"]["200"] >= first["pages"]
    assert ask("stats", "c", status=1) == "crawler: no task 'c'; see crawler tasks\n"
    worker = next(
        node for node in map(lab.__getitem__, ("worker-1", "worker-2")) if "a" in crawls(node)
    )
    assert json.loads(worker.call("GET", "/crawls/a")[2])["pages"] > first["pages"]
    assert worker.call("GET", "/crawls/c")[0] == 404


def fetched(statistics):
    """The statistics if any page is among them."""
    return statistics if statistics["pages"] else None


def crawls(worker):
    """The tasks whose statistics a worker has."""
    return [each["task"] for each in json.loads(worker.call("GET", "/crawls")[2])["crawls"]]


def test_a_strategy_is_shown_switched_and_reset(ask):
    assert "* least-load\n  random\n" in ask("strategy")
    assert "* random\n" in ask("strategy", "random")
    assert "switched for the cluster" in ask("strategy")
    assert ask("strategy", "best", status=1) == (
        "crawler: strategy: 'best' is unknown; allowed: consistent-hash, least-load, random, "
        "round-robin, weighted-round-robin\n"
    )
    reset = ask("strategy", "--reset")
    assert "* least-load\n" in reset
    assert "switched" not in reset


def test_plugins_are_shown_and_switched(ask):
    before = rows(ask("plugins"))
    assert before["gpu"][1:3] == ["yes", "1000000"]
    after = rows(
        ask(
            *[
                "plugins",
                "--disable",
                "gpu",
                "--disable",
                "spread",
                "--weight",
                "labels=2.5",
                "--weight",
                "gpu=7",
            ]
        )
    )
    assert (after["gpu"][1:3], after["spread"][1]) == (["no", "7"], "no")
    assert after["labels"][2] == "2.5"
    after = rows(ask(*["plugins", "--enable", "gpu", "--weight", "gpu=default"]))
    assert (after["gpu"][1:3], after["spread"][1]) == (["yes", "1000000"], "no")
    assert ask("plugins", "--disable", "x", status=1).startswith(
        "crawler: disable: 'x' is no plugin; allowed: least-load, "
    )
    message = ask("plugins", "--weight", "gpu=-1", status=1)
    assert message.startswith("crawler: weigh: -1 at 'gpu' is not allowed; allowed is a number")
    assert "NAME=NUMBER" in ask("plugins", "--weight", "gpu=x", status=2)
    ask("strategy", "--reset")


def test_a_task_is_explained(lab, ask):
    lab.add("elsewhere", "rare", wait_for_spider=True)  # no worker has that spider
    text = ask("explain", "elsewhere")
    first, second, third, _, *table = text.splitlines()
    assert first.startswith("elsewhere (priority 0) is ")
    assert "offers 'rare'" in first
    assert second.startswith("it waits for a worker that offers its spider 'rare': list its file")
    assert third.startswith("if it were placed now, by least-load: ") or second.startswith(
        "if it were placed now"
    )
    assert table
    assert ask("explain", "none", status=1) == "crawler: no task 'none'; see crawler tasks\n"
    lab.delete("elsewhere")
    text = ask("explain", "a")
    assert text.startswith(f"a (priority 0) is running on {lab.resource('a')['AssignedNode'][:24]}")
    verdicts = [cells[-1] for cells in rows(text.partition("\n\n")[2]).values()]
    assert sorted(verdicts) == ["chosen", "would do"]


def test_a_worker_is_drained_until_it_is_empty_and_let_again(lab, ask):
    lines = ask("drain", "1", "--wait").splitlines()
    assert lines[-1] == f"{ID.format(1)} takes no tasks, and is empty"
    assert set(lab.running("a", "b").values()) <= {"worker-2"}
    assert rows(ask("nodes"))[ID.format(1)][-1] == "cordoned"
    verdict = rows(ask("explain", "a").partition("\n\n")[2])[ID.format(1)]
    assert verdict[-1] == "cordon: takes no tasks until `crawler uncordon`"
    assert ask("uncordon", ID.format(1)) == f"{ID.format(1)} takes tasks again\n"
    assert ask("drain", "7", status=1) == (
        "crawler: no worker '7' is registered; `crawler nodes`, or GET /crawler/node, lists those"
        " that are\n"
    )
    ask("drain", "2", "--wait")
    ask("uncordon", "2")
    lab.delete("b")
    lab.add("b")
    eventually(lambda: len(set(lab.running("a", "b").values())) == 2, what="one task on each")


def test_a_task_that_cannot_move_is_named_when_the_time_to_drain_is_over(lab, ask):
    here = lab.running("a")["a"].removeprefix("worker-")
    other = ID.format({"1": "2", "2": "1"}[here])
    assert f'"node": "{here}"' in ask("update", "a", "--set", f"constraints.node={here}")
    error = ask("drain", here, "--timeout", "1.5", status=1)
    assert f"{ID.format(here)} still has 1 unfinished task after 1.5 s; " in error
    assert f"  a: {other} is not {here}, the only worker that it may run on\n" in error
    ask("uncordon", here)
    assert "asks for" not in ask("update", "a", "--unset", "constraints")


def test_a_master_that_is_not_there_is_told_by_its_address():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    for command in (["nodes"], ["drain", "1"]):
        done = crawler(*command, f"--master=127.0.0.1:{port}")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"crawler: no master answers at 127.0.0.1:{port}; start one (crawler up, crawler "
            "master), or name the gRPC address of another: --master HOST:PORT or CRAWLER_MASTER\n"
        )


def test_bad_usage_is_told_before_anybody_is_asked(tmp_path):
    for arguments, message in (
        (["nodes", "--master=here"], "'here' is no address; host:port is allowed"),
        (["plugins", "--offline", "--disable=gpu"], "--offline only lists plugins"),
        (["strategy", "random", "--reset"], "give the name of a strategy, or --reset"),
        (["tasks", "--state=lost"], "'lost' is not one of 'pending'"),
    ):
        done = crawler_here(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_plugins_are_listed_without_a_cluster(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from crawler.scheduler.hookspecs import hookimpl\n"
        "@hookimpl\ndef filter_nodes(task, nodes):\n    return None\n"
    )
    (tmp_path / "settings.yaml").write_text(
        "scheduler: {plugins: [mine], strategy: random, disabled: [gpu]}"
    )
    flags = ["plugins", "--offline", f"--config={tmp_path}/settings.yaml"]
    done = crawler(*flags, PYTHONPATH=f"{tmp_path}:.")
    assert done.returncode == 0, done.stderr
    listed = rows(done.stdout)
    assert listed["mine"] == ["mine", "yes", "1", "0", "0", "0", "0", "settings", "filter_nodes"]
    assert listed["gpu"][1] == "no"
    assert "strategy: random; available: " in done.stdout
    done = crawler(*flags)  # without the folder in which it lies
    assert done.returncode == 2
    assert "scheduler.plugins: 'mine' cannot be imported" in done.stderr

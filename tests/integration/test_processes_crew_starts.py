"""Crawl processes that begin, or cannot: when tasks wait for them, and when nobody does."""

import os
import signal
from pathlib import Path

import pytest

from crawler.coordination.keys import WORKER
from crawler.node.node import Node
from crawler.settings.worker import WorkerSettings
from crawler.supervision import Supervisor
from tests import forks
from tests.clusters import Cluster, Shared, request
from tests.crews import SPIDERS, Place, ended
from tests.integration.lab import ROOT
from tests.waiting import PATIENCE_S, eventually

HELD = """
import os, time
open({folder!r} + f"/loads-{{os.getpid()}}", "w").close()
while os.path.exists({folder!r} + "/held"):
    time.sleep(0.01)
"""
"""Spiders that load for as long as there is a file `held` beside them."""
SLOW = {"delay_s": 0.2, "host_concurrency": 1}


def held_spiders(folder):
    return HELD.format(folder=str(folder)) + SPIDERS


def hold(folder):
    Path(folder, "held").touch()


def loading(folder):
    """How many processes have begun to load spiders."""
    return len(list(Path(folder).glob("loads-*")))


def kill_all(place):
    for process in place.serving():
        os.kill(process.pid, signal.SIGKILL)


# -- spiders that became faulty --------------------------------------------------------------------


def test_a_crew_whose_spiders_cannot_be_loaded_any_more_says_so_until_they_can(tmp_path, caplog):
    caplog.set_level("INFO", logger="crawler")
    with Place(tmp_path, 2) as place:
        crew, runs = place.crew, place.runs()
        assert crew.unready_reason() == ""
        (tmp_path / "spiders.py").write_text(SPIDERS + "\ndef broken(:\n")
        kill_all(place)
        eventually(crew.unready_reason)
        assert crew.unready_reason().startswith("no process can crawl: ")
        assert "SyntaxError" in crew.unready_reason()
        runs.start(place.resource("refused"))
        report = ended(runs, "refused")
        assert (report.interrupted, report.charged) == (True, False)
        assert "no process can crawl here: " in report.reason
        assert "SyntaxError" in report.reason
        (tmp_path / "spiders.py").write_text(SPIDERS)
        place.full()
        assert crew.unready_reason() == ""
        eventually(lambda: said(caplog, "crawl processes can crawl again"))
        assert len(said(caplog, "this worker is not ready")) == 1


def test_a_crew_whose_spiders_end_each_process_says_how(tmp_path):
    with Place(tmp_path, 1) as place:
        (tmp_path / "spiders.py").write_text("import os; os._exit(3)")
        kill_all(place)
        eventually(place.crew.unready_reason)
        assert "ended with status 3" in place.crew.unready_reason()


def said(caplog, what):
    return [record for record in caplog.records if what in record.getMessage()]


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def with_processes(cluster, processes):
    """The settings of a worker that crawls in so many processes."""
    spiders, worker = ["spiders.py"], WorkerSettings(processes=processes)
    return cluster.settings("1", spiders, worker=worker)


def test_a_worker_without_a_process_that_can_crawl_is_not_ready(cluster, tmp_path):
    (tmp_path / "spiders.py").write_text(SPIDERS)
    node = cluster._start(WORKER, with_processes(cluster, 1), None)
    eventually(lambda: request(node, "GET", "/readyz")[0] == 200)
    (tmp_path / "spiders.py").write_text("def broken(:\n")
    [process] = request(node, "GET", "/processes")[2]["processes"]
    os.kill(process["pid"], signal.SIGKILL)
    eventually(lambda: request(node, "GET", "/readyz")[0] == 503)
    assert "no process can crawl: " in str(request(node, "GET", "/readyz")[2])


# -- runs that are stopped before their process serves ---------------------------------------------


@pytest.mark.parametrize("is_held", [True, False], ids=["while it loads", "when it has loaded"])
def test_a_run_that_is_stopped_early_leaves_no_process_of_its_own(tmp_path, is_held):
    with Place(tmp_path, 1, held_spiders(tmp_path)) as place:
        [shared], runs = place.serving(), place.runs()
        hold(tmp_path)
        runs.start(place.resource("alone", isolated=True))
        eventually(lambda: loading(tmp_path) == 2, what="its process loads")
        runs.cut_short(["alone"])
        eventually(lambda: not runs.running)
        if not is_held:
            (tmp_path / "held").unlink()
        eventually(lambda: [*place.crew._processes.values()] == [shared])
        assert shared.is_serving
        assert place.crew.unready_reason() == ""


# -- who gets how many -----------------------------------------------------------------------------


def test_tasks_are_divided_after_a_start_and_after_a_death(tmp_path):
    with Place(tmp_path, 2, "import time; time.sleep(0.3)\n" + SPIDERS) as place:
        runs = place.runs()
        first, second = place.serving()
        for number in range(6):
            runs.start(slow(place, number))
        assert eventually(lambda: shares(runs)) == {first.number: 3, second.number: 3}
        lost = [run.name for run in runs.all() if run.process is first]
        os.kill(first.pid, signal.SIGKILL)
        for name in lost:
            assert ended(runs, name).interrupted
            runs.start(slow(place, int(name), epoch=2))
        [share] = {*eventually(lambda: shares(runs)).values()}
        assert share == 3
        assert first.number not in shares(runs)
        runs.stop_all()


def slow(place, number, **given):
    return place.resource(str(number), host=f"127.0.30.{number + 1}", settings=SLOW, **given)


def shares(runs):
    """How many runs each process has; empty while a run waits for one."""
    numbers = [run.process and run.process.number for run in runs.all()]
    return {} if None in numbers else {number: numbers.count(number) for number in numbers}


def test_tasks_wait_no_longer_than_some_seconds_for_a_process_that_does_not_come(tmp_path):
    with Place(tmp_path, 2, held_spiders(tmp_path)) as place:
        runs = place.runs()
        first, second = place.serving()
        hold(tmp_path)
        os.kill(first.pid, signal.SIGKILL)
        eventually(first.gone.is_set)
        for number in range(3):
            runs.start(slow(place, number))
        assert eventually(lambda: shares(runs)) == {second.number: 3}
        (tmp_path / "held").unlink()
        runs.stop_all()


def test_a_crew_begins_without_processes_that_do_not_come(tmp_path):
    only_one = (
        f"import glob, time\nwhile len(glob.glob('{tmp_path}/loads-*')) > 1: time.sleep(0.1)\n"
    )
    with Place(tmp_path, 2, held_spiders(tmp_path) + only_one) as place:
        assert loading(tmp_path) == 2
        assert len(place.serving()) == 1


# -- a stop while spiders load ---------------------------------------------------------------------


def test_a_node_that_is_stopped_while_its_spiders_load_never_joins(cluster, tmp_path):
    (tmp_path / "spiders.py").write_text(held_spiders(tmp_path))
    hold(tmp_path)
    node = Node(WORKER, with_processes(cluster, 2), store=Shared(cluster.store))
    starting = Supervisor("test").spawn("start", node.start)
    eventually(lambda: loading(tmp_path))
    node.stop()
    starting.join(PATIENCE_S)
    assert starting.dead
    assert node.stopped.is_set()
    assert node.failure == ""
    assert not node._members.count


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_worker_whose_spiders_load(tmp_path, number):
    (tmp_path / "spiders.py").write_text(held_spiders(tmp_path))
    (tmp_path / "config.yaml").write_text("spiders: [spiders.py]\nlogs: {style: json}\n")
    hold(tmp_path)
    listen = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--etcd", "127.0.0.1:1"]
    given = {**os.environ, "PYTHONPATH": str(ROOT)}
    with forks.Piped(["worker", *listen], given, cwd=tmp_path) as process:
        eventually(lambda: loading(tmp_path))
        process.send_signal(number)
        _, log = process.communicate(PATIENCE_S)
    assert process.returncode == 0
    assert '"node stopped"' in log
    assert '"node started"' not in log

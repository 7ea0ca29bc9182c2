"""A run that was stopped has ended, however it is stopped, or its process ends."""

from dataclasses import replace

import gevent
import pytest
from gevent import monkey

from crawler.clock import SystemClock
from crawler.engine.items.sinks.factory import Sinks
from crawler.engine.items.sinks.json_lines import JsonLines
from crawler.folders import matching
from crawler.items import items_of
from crawler.model.constraints import Constraints
from crawler.model.records import Resource, Spec, State
from crawler.node.crew.in_process import InProcess
from crawler.node.worker import runs as runs_module
from crawler.node.worker.runs import Runs
from tests.clusters import CALL, Cluster, Unreachable
from tests.site import Site
from tests.site.crawling import OnlyTitles, lines, running_engine
from tests.switches import CUTS, cut_at_each_switch
from tests.waiting import PATIENCE_S, eventually

rest = monkey.get_original("time", "sleep")


class Closing(OnlyTitles):
    """Has something to do at its end, too."""

    name = "closing"

    def closed(self, reason):
        gevent.sleep(0)


@pytest.fixture
def site():
    with Site() as site:
        yield site


@pytest.fixture
def engine():
    with running_engine(Closing) as engine:
        yield engine


@pytest.fixture
def runs(engine, tmp_path):
    sinks = Sinks({})
    runs = Runs(InProcess(engine, sinks, tmp_path), SystemClock(), lambda: None, most=10)
    yield runs
    runs.stop_all()
    sinks.close()


def resource(task, site):
    urls = [site.url(f"/page/{number}") for number in range(3)]
    return Resource(Spec(task, Closing.name, parameters={"start_urls": urls}), id=task, epoch=1)


@pytest.mark.parametrize("cut", CUTS)
def test_a_run_has_ended_wherever_it_was_cut_off(cut, runs, engine, site):
    tasks = []

    def spawn():
        tasks.append(f"task-{len(tasks)}")
        runs.start(resource(tasks[-1], site))
        return runs._runs[tasks[-1]][1]

    for number in cut_at_each_switch(spawn, cut):
        left = f"cut off {cut} at switch {number}"
        runs.stop([tasks[-1]])
        assert not runs.known(), left
        assert not runs.running, left
        assert all(found.ended_ns for found in engine.statistics.all()), left
    assert number > 3


@pytest.fixture
def disk(monkeypatch):
    """A disk that takes longer than a run may take to stop: until `goes_on` is set."""

    class Disk:
        writing = 0
        goes_on = False

    write, disk = JsonLines.write, Disk()

    def wait(self, records):
        disk.writing += 1
        while not disk.goes_on:
            rest(0.001)
        return write(self, records)

    monkeypatch.setattr(JsonLines, "write", wait)
    yield disk
    disk.goes_on = True


def test_a_run_that_is_cut_off_while_its_items_are_written_has_ended(
    runs, engine, site, tmp_path, disk
):
    runs.start(resource("task", site))
    eventually(lambda: disk.writing)
    runs.stop(["task"])
    assert not runs.known()
    [found] = engine.statistics.all()
    assert found.ended_ns
    assert found.finish_reason == "stopped"
    disk.goes_on = True
    eventually(lambda: len(lines(tmp_path / "task" / "task-1.jsonl.part")) == 3)


def test_a_node_that_leaves_lets_last_items_be_written_whatever_is_cut_off(
    runs, site, tmp_path, disk
):
    runs.start(resource("task", site))
    eventually(lambda: disk.writing)
    leaving = gevent.spawn(runs.halt, 0.01)
    [run] = runs.all()
    eventually(lambda: run.is_ending)
    for _ in range(2):
        runs.cut_off()
        assert not leaving.ready()
        gevent.sleep(0.02)
    disk.goes_on = True
    leaving.get(timeout=PATIENCE_S)
    assert len(lines(tmp_path / "task" / "task-1.jsonl.part")) == 3
    assert runs.running == 0


def test_the_last_items_of_a_node_that_leaves_have_a_bound(runs, site, disk, caplog, monkeypatch):
    monkeypatch.setattr(runs_module, "WRITE_S", 0.05)
    runs.start(resource("task", site))
    eventually(lambda: disk.writing)
    with gevent.Timeout(PATIENCE_S):
        runs.halt(0.01)
    assert "the last items may be lost: they take too long" in caplog.text
    assert runs.running == 0


PAGES = """
from crawler import Spider

class Pages(Spider):
    name = "pages"

    def parse(self, response):
        yield {"url": response.url}
"""
STUBBORN = """
import pathlib
import gevent
from crawler import Spider

FOLDER = pathlib.Path(__file__).parent

class Stubborn(Spider):
    name = "stubborn"

    def parse(self, response):
        (FOLDER / "begun").touch()
        while self.lives and not (FOLDER / "enough").exists():
            try:
                gevent.sleep(0.01)
            except:
                self.lives -= 1
"""


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    cluster = Cluster(tmp_path, ttl_s=5)
    yield cluster
    (tmp_path / "enough").touch()
    cluster.stop()


def begin(cluster, site, lives, **about):
    """A worker that runs a task whose callback outlives so many kills but one."""
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", ["stubborn.py"], **about)
    parameters = {"start_urls": [site.url("/page/1")], "settings": {"robots": False}}
    client.add(Spec("a", "stubborn", parameters={**parameters, "lives": lives}), CALL)
    eventually((cluster.tmp_path / "begun").exists)
    return client, worker


def test_a_node_whose_run_cannot_be_ended_ends_itself(cluster, site, monkeypatch):
    monkeypatch.setattr(runs_module, "MOST_STOPS", 2)
    client, worker = begin(cluster, site, lives=1000)
    client.delete("a", CALL)
    eventually(lambda: worker.failure)
    assert "runs of a go on though they were cut off 2 times" in worker.failure
    (cluster.tmp_path / "enough").touch()
    assert worker.stopped.wait(PATIENCE_S)


def test_a_run_that_outlives_its_lease_is_stopped_again_though_etcd_is_away(cluster, site):
    network = Unreachable(cluster.store)
    _, worker = begin(cluster, site, lives=2, store=network)
    network.cut = True
    eventually(lambda: not worker._role._runs.all())
    assert worker._membership.session is None
    network.cut = False


def test_a_run_that_outlives_its_lease_takes_no_state_from_the_next_owner(cluster, site):
    """It still goes on when its worker is registered again, and its task waits elsewhere."""
    client, worker = begin(cluster, site, lives=30)
    kept = cluster.tmp_path / "frontier" / "a"
    part = next((cluster.tmp_path / "items" / "a").glob("*.part"))
    client.update(replace(client.get("a", CALL).spec, constraints=Constraints(node="9")), CALL)
    worker._membership.session.lease.end("the test says so")
    eventually(lambda: client.get("a", CALL).owner is None)
    eventually(lambda: not worker._role._runs.all())
    assert list(kept.glob("*/frontier.db"))
    assert part.exists()


def test_a_task_that_is_deleted_while_a_run_of_it_ends_in_order_leaves_no_part(cluster, site):
    """The run after it, which waits for its state, has no files yet."""
    client = cluster.client(cluster.master("1"))
    (cluster.tmp_path / "pages.py").write_text(PAGES)
    worker = cluster.worker("1", ["pages.py"])
    urls = [site.url("/page/1"), site.url("/slow?s=20")]
    spec = Spec("a", "pages", parameters={"start_urls": urls})
    client.add(spec, CALL)
    id = client.get("a", CALL).id
    folder = cluster.tmp_path / "items" / "a"
    eventually(lambda: any(path.stat().st_size for path in folder.glob("*.part")))
    other = {**spec.parameters, "settings": {"sinks": ["csv"]}}
    client.update(replace(spec, parameters=other), CALL, restart=True)
    eventually(lambda: worker._role._runs.running == 2)
    client.delete("a", CALL)
    eventually(lambda: not worker._role._runs.running)
    eventually(lambda: not list(folder.glob("*.part")), what="its file has its name")
    assert [path.name for path in folder.iterdir() if path.suffix] == [f"{id}-1.jsonl"]
    assert items_of("a", folder.parent).state == "deleted"
    eventually(lambda: not matching(cluster.tmp_path / "frontier", "*/*/frontier.db"))


@pytest.fixture
def room(monkeypatch):
    """A disk of items on which there is room only while `is_there`."""

    class Room:
        is_there = True

    write, room = JsonLines.write, Room()

    def fail(self, records):
        if not room.is_there:
            raise OSError(28, "No space left on device")
        return write(self, records)

    monkeypatch.setattr(JsonLines, "write", fail)
    return room


def test_a_task_whose_items_found_no_room_keeps_all_and_goes_on_when_somebody_asks(
    cluster, site, room
):
    """It has no retries left, and the leader has recorded that it failed."""
    client = cluster.client(cluster.master("1"))
    (cluster.tmp_path / "pages.py").write_text(PAGES)
    worker = cluster.worker("1", ["pages.py"])
    urls = [site.url(f"/page/{number}") for number in range(1, 4)]
    slow = {"robots": False, "host_concurrency": 1, "delay_s": 0.3}
    client.add(Spec("a", "pages", parameters={"start_urls": urls, "settings": slow}), CALL)
    folder = cluster.tmp_path / "items" / "a"
    eventually(lambda: any(path.stat().st_size for path in folder.glob("*.part")))
    room.is_there = False
    eventually(lambda: client.get("a", CALL).state is State.FAILED)
    eventually(lambda: not worker._role._runs.all(), what="the worker knows that it is recorded")
    eventually(lambda: not worker._role._clearing.count, what="nothing is being removed")
    assert list((cluster.tmp_path / "frontier").glob("*/*/frontier.db"))
    [part] = folder.glob("*.part")
    room.is_there = True
    client.again("a", CALL)
    eventually(lambda: client.get("a", CALL).state is State.DONE)
    found = [item["url"] for item in lines(part.with_suffix(""))]
    assert sorted(found) == urls
    assert site.paths().count("/page/1") == 1
    eventually(lambda: not matching(cluster.tmp_path / "frontier", "*/*/frontier.db"))

"""etcd is put back to a backup, as docs/operations/backup.md says, after crawls have gone on."""

import json

import pytest

from crawler.items import items_of
from tests.faults.backups import SavedEtcd
from tests.integration.lab import Lab
from tests.integration.test_processes_going_on import AGAIN, MANY, Task, forest
from tests.integration.test_processes_resume import SPIDER
from tests.site.crawling import lines
from tests.waiting import eventually

NODES = ("master-1", "master-2", "worker-1", "worker-2")
ENDLESS = ("moved", "deleted", "anew")
"""Tasks of the backup that crawl for ever; one of them never goes on where it was."""
BUMP = 1_000
"""More than the revisions that came after the backup."""
SHORT = 40
"""So many pages has the task that is done after the backup."""


@pytest.fixture
def saved(tmp_path):
    saved = SavedEtcd(tmp_path)
    saved.etcd.start()
    yield saved
    saved.etcd.stop()


@pytest.fixture
def lab(tmp_path, saved):
    with Lab(tmp_path, [saved.etcd.endpoint], own_hosts=True) as lab:
        lab.add_spider("tree", SPIDER.format(site="http://nowhere/"))
        lab.write_settings("both", "slow.py, tree.py")
        lab.start(*NODES, config="both")
        yield lab


@pytest.fixture
def site():
    with forest() as site:
        yield site


@pytest.mark.faults
@pytest.mark.parametrize("nodes", ["stopped", "restarted", "left alone"])
def test_crawls_go_on_after_etcd_was_put_back(lab, saved, site, nodes):
    """Nodes are stopped before, or restarted after it. Those that are left alone need an etcd whose
    revision was raised."""
    going = add_tasks(lab, site)
    saved.save()
    go_on_past(lab, going)
    if nodes == "stopped":
        stop(lab)
    saved.restore(bump=0 if nodes != "left alone" else BUMP)
    if nodes == "restarted":
        stop(lab)
    lab.start(*NODES)
    eventually(lambda: set(lab.running(*ENDLESS)) == set(ENDLESS), what="what was saved runs")
    assert lab.resource("late") is None, "it was added after the backup"
    going.until_done()
    assert going.pages().keys() == set(range(MANY))
    assert going.pages().total() == MANY, "each item once"
    again = going.asked().total() - MANY
    assert again <= (0 if nodes == "stopped" else AGAIN), "a lost lease breaks a run off"
    for name in ENDLESS:
        eventually(lambda n=name: reads_its_present_run(lab, n), what=f"items of {name} go on")
    eventually(lambda: lab.resource("finished")["State"] == "done", what="it is done once more")
    assert len(Told(lab, "finished").stems) == 2, "both runs have files of their own"
    assert len(list(items_of("finished", lab.folder / "items"))) == SHORT
    eventually(lambda: tells_the_end(lab, "going"), what="the history goes on, too")
    for name in (*ENDLESS, "going", "finished"):
        epochs = [line["epoch"] for line in Told(lab, name).begun]
        assert epochs == sorted(set(epochs)), f"{name}: each epoch once, in order"


def tells_the_end(lab, name):
    """Whether the history knows that the present run of a task is done."""
    status, _, body = lab["master-1"].call("GET", f"/crawler/resource/{name}/history?limit=1000")
    if status != 200:
        return False
    epoch = str(lab.resource(name)["Epoch"])
    ends = [each["state"] for each in json.loads(body)["events"] if each["epoch"] == epoch]
    return "done" in ends


def stop(lab):
    for title in NODES:
        lab[title].process.stop()


def add_tasks(lab, site):
    """What is in the backup."""
    for name in ("moved", "deleted"):
        lab.add(name)
    url, settings = lab.site.url("anew"), {"resume": False}
    lab.add("anew", parameters={"start_urls": [url], "settings": settings})
    url, settings = lab.site.url("finished"), {"max_pages": SHORT}
    lab.add("finished", parameters={"start_urls": [url], "settings": settings})
    going = Task(lab, site, "going", delay_s=0.03, host_concurrency=1)
    eventually(lambda: len(lab.running(*ENDLESS, "going", "finished")) == 5, what="all run")
    going.until(MANY // 16)
    return going


def go_on_past(lab, going):
    """What the backup does not know: tasks have moved, one was deleted, one is new."""
    for title in (going.worker, going.other, going.worker):
        lab[title].process.stop()
        lab.start(title)
    lab.add("late")
    eventually(lambda: len(lab.running(*ENDLESS, "late")) == 4, what="all run")
    eventually(lambda: Told(lab, "deleted").begun[-1]["epoch"] > 1)
    lab.delete("deleted")
    eventually(lambda: Told(lab, "deleted").has_ended, what="its worker has heard of it")
    eventually(lambda: lab.resource("finished")["State"] == "done", what="it is done")


class Told:
    """What the `.runs` of a task tells."""

    def __init__(self, lab, name):
        self._lines = lines(lab.folder / "items" / name / ".runs")

    @property
    def begun(self):
        return [line for line in self._lines if "end" not in line]

    @property
    def stems(self):
        """The files of all its crawls."""
        return {stem for line in self._lines for stem in line["files"]}

    @property
    def has_ended(self):
        return any("end" in line for line in self._lines)


def reads_its_present_run(lab, name):
    """Whether what reads items reads those of the run that etcd names."""
    items = items_of(name, lab.folder / "items")
    return items.epochs[-1] == lab.resource(name)["Epoch"] and any(items)

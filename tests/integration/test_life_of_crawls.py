"""A task of a cluster rests, goes on, ends early, and runs once more; its crawls are real."""

from dataclasses import replace

import pytest

from crawler.errors import Rejected
from crawler.items import items_of
from crawler.model.constraints import Constraints
from crawler.model.records import Spec, State
from tests.clusters import CALL, Cluster
from tests.integration.test_stopped_runs import PAGES
from tests.site import Site
from tests.site.crawling import lines
from tests.waiting import eventually

SLOW = {"robots": False, "host_concurrency": 1, "delay_s": 0.1}
COUNT = 12


@pytest.fixture
def site():
    with Site() as site:
        yield site


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "pages.py").write_text(PAGES)
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


class Task:
    """A task `a` of the cluster."""

    def __init__(self, cluster, urls, **settings):
        self.cluster, self.urls = cluster, urls
        self.master = cluster.master("1")
        self.client = cluster.client(self.master)
        self.workers = [cluster.worker(name, ["pages.py"]) for name in ("1", "2")]
        self.folder = cluster.tmp_path / "items" / "a"
        parameters = {"start_urls": urls, "settings": {**SLOW, **settings}}
        self.client.add(Spec("a", "pages", parameters=parameters), CALL)

    @property
    def now(self):
        return self.client.get("a", CALL)

    def items(self):
        """The URLs in the files of its last crawl."""
        stems = lines(self.folder / ".runs")[-1]["files"]
        files = [path for stem in stems for path in self.folder.glob(f"{stem}.jsonl*")]
        return sorted(item["url"] for path in files for item in lines(path))

    def states(self):
        return list((self.cluster.tmp_path / "frontier").glob("*/*/frontier.db"))

    def rests(self):
        eventually(lambda: not any(worker._role._runs.running for worker in self.workers))


@pytest.fixture
def task(cluster, site):
    made = Task(cluster, [site.url(f"/page/{number}") for number in range(COUNT)])
    eventually(lambda: len(site.paths()) >= 3)
    return made


def test_a_paused_task_goes_on_where_it_was_at_the_worker_that_had_it(task, site):
    owner = task.now.owner.node_id
    assert task.client.pause("a", CALL).told_state == "paused"
    task.rests()
    asked = len(site.paths())
    assert asked < COUNT
    assert task.states()
    slow = site.url("/slow?s=30").replace("127.0.0.1", "localhost")  # another host, so no pause
    more = {"start_urls": [slow], "settings": SLOW}
    for name in "bc":  # the other worker has none
        there = Constraints(node=owner)
        task.client.add(Spec(name, "pages", parameters=more, constraints=there), CALL)
    assert task.now.counts.pages
    resumed = task.client.resume("a", CALL)
    assert (resumed.owner.node_id, resumed.told_state) == (owner, "assigned")
    eventually(lambda: task.now.state is State.DONE)
    pages = [path for path in site.paths() if path.startswith("/page/")]
    assert sorted(pages) == sorted(set(pages)), "none twice"
    assert task.items() == sorted(task.urls)


def test_a_resumed_task_goes_elsewhere_if_its_worker_takes_none(task):
    owner = task.now.owner.node_id
    task.client.pause("a", CALL)
    task.client.drain(owner, CALL)
    assert task.client.resume("a", CALL).owner.node_id != owner
    eventually(lambda: task.now.state is State.DONE)


def test_a_resumed_task_goes_elsewhere_if_its_worker_may_not_have_it_any_more(task):
    owner = task.now.owner.node_id
    ids = {worker._membership.session.node.id for worker in task.workers}
    [other] = ids - {owner}
    before = task.client.pause("a", CALL)
    task.client.update(replace(before.spec, constraints=Constraints(node=other)), CALL)
    assert task.now.told_state == "paused"
    assert task.client.resume("a", CALL).owner.node_id == other
    eventually(lambda: task.now.state is State.DONE)


def test_a_pause_holds_over_a_change_of_the_leader(task, cluster):
    task.client.pause("a", CALL)
    second = cluster.master("2")
    cluster.nodes.remove(task.master)
    task.master.stop()
    later = cluster.client(second)
    assert later.get("a", CALL).told_state == "paused"
    task.rests()
    assert later.get("a", CALL).reason.startswith("paused by ")
    later.resume("a", CALL)
    eventually(lambda: later.get("a", CALL).state is State.DONE)
    assert task.items() == sorted(task.urls)


def test_a_stopped_crawl_ends_in_order_and_its_task_keeps_its_record(cluster, site):
    task = Task(cluster, [site.url("/page/1"), site.url("/slow?s=1")], delay_s=0)
    eventually(lambda: "/slow?s=1" in site.paths())
    eventually(lambda: task.now.counts.pages == 1)
    stopped = task.client.stop("a", CALL)
    assert (stopped.told_state, stopped.state, stopped.counts.pages) == ("stopped", State.FAILED, 1)
    eventually(lambda: items_of("a", task.folder.parent).state == "stopped")
    assert task.items() == sorted(task.urls), "what was under way is not lost"
    eventually(lambda: not task.states(), what="nobody goes on with it")
    assert not list(task.folder.glob("*.part"))
    assert task.now.counts.pages == 1


def test_a_stopped_task_runs_once_more_from_the_beginning(task, site):
    task.client.stop("a", CALL)
    task.rests()
    with pytest.raises(Rejected, match="it is stopped; to run it once more: crawler run a"):
        task.client.resume("a", CALL)
    again = task.client.run("a", CALL)
    assert (again.run, again.stopped) == (2, False)
    eventually(lambda: task.now.state is State.DONE)
    assert task.now.run == 2
    assert site.paths().count("/page/0") == 2
    assert task.items() == sorted(task.urls)
    with pytest.raises(Rejected, match="task 'a' cannot be paused: it is done"):
        task.client.pause("a", CALL)

"""The tasks of a cluster go on where they were: real workers of one machine that are killed,
stopped, paused and drained."""

import glob
import re
from collections import Counter

import pytest

from tests.depth import deep
from tests.integration.lab import Lab, crawler
from tests.integration.test_processes_resume import MANY, SPIDER, tree
from tests.site import Site
from tests.site.crawling import lines
from tests.waiting import eventually

AGAIN = 300
"""What may be fetched again after a kill: what two checkpoints bring, and what is in flight."""
NODES = ("master-1", "worker-1", "worker-2")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab"), delay_s=0.002) as lab:
        lab.add_spider("tree", SPIDER.format(site="http://nowhere/"))
        yield lab


@pytest.fixture
def site():
    with forest() as site:
        yield site


def forest():
    """The site of such tasks."""
    return Site(pages={"forest": tree(MANY)})


class Task:
    """A task of the lab, its items, and what it asked the site for."""

    def __init__(self, lab, site, name, **settings):
        self.lab, self.site, self.name = lab, site, name
        parameters = {"start_urls": [site.url("/forest/0")]}
        if settings:
            parameters["settings"] = settings
        lab._ask(
            "POST",
            "/crawler/resource",
            {"name": name, "spider": "tree", "parameters": parameters},
        )

    @property
    def state(self):
        return (self.lab.resource(self.name) or {}).get("State")

    @property
    def worker(self):
        """The worker that has it: `worker-1`."""
        owner = self.lab.resource(self.name)["AssignedNode"]
        return owner.partition("|")[0].removeprefix("go.micro.server.")

    @property
    def other(self):
        return "worker-2" if self.worker == "worker-1" else "worker-1"

    def until(self, pages):
        eventually(lambda: self.asked().total() >= pages, what=f"{pages} pages are fetched")

    def until_done(self):
        eventually(lambda: self.state in ("done", "failed"), what=f"{self.name} is done")
        assert self.state == "done", self.lab.resource(self.name)

    def asked(self):
        return Counter(path for path in self.site.paths() if path != "/robots.txt")

    def runs(self):
        return lines(self.lab.folder / "items" / self.name / ".runs")

    def pages(self):
        """How often each page is in the files of the crawl, which has ended."""
        folder = self.lab.folder / "items" / self.name
        files = [folder / f"{stem}.jsonl" for stem in self.runs()[-1]["files"]]
        return Counter(int(item["page"]) for path in files for item in lines(path))

    def parts(self):
        """Its files that have not ended."""
        return list((self.lab.folder / "items" / self.name).glob("*.part"))

    def states(self):
        # pathlib's own fails if a folder goes while it looks.
        return glob.glob(f"{self.lab.folder}/frontier/{self.name}/*/frontier.db")

    def assert_whole(self, most_again):
        """Each page was fetched, few of them again, and each item is there once."""
        self.until_done()
        asked = self.asked()
        assert len(asked) == MANY
        assert asked.total() - MANY <= most_again
        assert self.pages() == Counter(range(MANY))
        eventually(lambda: not self.states(), what="nothing is kept of a task that is done")


def test_a_task_whose_worker_is_killed_goes_on_at_another_of_the_machine(lab, site):
    lab.start(*NODES, config="tree")
    task = Task(lab, site, "killed")
    task.until(MANY // 2)
    lab[task.worker].process.kill()
    task.assert_whole(AGAIN)
    first, second = task.runs()
    assert first["files"] == second["files"]
    assert first["epoch"] < second["epoch"]


@deep
def test_a_task_goes_on_when_its_only_worker_is_started_again(lab, site):
    lab.start(*NODES, config="tree")
    lab["worker-2"].process.stop()
    task = Task(lab, site, "restarted")
    for pages in (MANY // 3, 2 * MANY // 3):
        task.until(pages)
        lab["worker-1"].process.kill()
        lab.start("worker-1", ready=False)
    task.assert_whole(2 * AGAIN)


def test_the_items_of_a_task_that_was_deleted_while_no_worker_had_it_stay_as_they_were(lab, site):
    lab.start("master-1", "worker-1", config="tree")
    if "worker-2" in lab.registered():
        lab["worker-2"].process.stop()
    task = Task(lab, site, "orphan")
    eventually(lambda: task.parts() and task.parts()[0].stat().st_size, what="it has items")
    lab["worker-1"].process.kill()
    lab.delete(task.name)
    lab.start("worker-1")
    Task(lab, site, "after the orphan").until_done()
    before = task.parts()
    assert len(before) == 1
    assert [run.get("end") for run in task.runs()] == [None]
    shown = crawler("items", task.name, "--folder", str(lab.folder / "items"))
    assert shown.returncode == 0
    assert f"{len(shown.stdout.splitlines())} items so far" in shown.stderr
    settings = str(lab.folder / "tree.yaml")
    assert str(before[0]) not in crawler("frontier", "list", "-c", settings).stderr
    task = Task(lab, site, task.name)
    eventually(lambda: len(task.parts()) == 2, what="another task of this name has begun")
    assert str(before[0]) in crawler("frontier", "list", "-c", settings).stderr
    lab.delete(task.name)
    eventually(lambda: task.parts() == before, what="its files have ended")


def test_a_worker_that_is_drained_gives_its_tasks_away_and_nothing_is_fetched_again(lab, site):
    lab.start(*NODES, config="tree")
    task = Task(lab, site, "drained")
    task.until(MANY // 2)
    worker, master = task.worker, lab["master-1"]
    done = crawler("drain", lab[worker].id, "--wait", "--master", f"127.0.0.1:{master.grpc}")
    assert done.returncode == 0, done.stderr
    task.assert_whole(0)
    assert (
        crawler("uncordon", lab[worker].id, "--master", f"127.0.0.1:{master.grpc}").returncode == 0
    )


@deep
def test_a_worker_that_is_stopped_hands_its_tasks_over_and_nothing_is_fetched_again(lab, site):
    lab.start(*NODES, config="tree")
    task = Task(lab, site, "stopped")
    task.until(MANY // 2)
    lab[task.worker].process.stop()
    task.assert_whole(0)


@deep
def test_a_worker_that_was_paused_lets_go_when_it_wakes(lab, site):
    lab.start(*NODES, config="tree")
    task = Task(lab, site, "paused")
    task.until(MANY // 2)
    worker, other = task.worker, task.other
    lab[worker].process.pause()
    eventually(lambda: task.worker == other, what="the task belongs to the other worker")
    asked = task.asked().total()
    lab[worker].process.resume()
    task.assert_whole(AGAIN)
    assert asked < MANY


@deep
def test_settings_change_with_a_restart_and_the_crawl_goes_on(lab, site):
    lab.start(*NODES, config="tree")
    task = Task(lab, site, "changed")
    task.until(MANY // 2)
    master = f"127.0.0.1:{lab['master-1'].grpc}"
    change = ("update", "changed", "--set", "parameters.settings.nofollow=true", "--restart")
    assert crawler(*change, "--master", master).returncode == 0
    task.assert_whole(0)
    assert len(task.runs()) == 2


@deep
def test_a_task_whose_settings_say_so_begins_anew(lab, site):
    lab.start(*NODES, config="tree")
    task = Task(lab, site, "anew", resume=False)
    task.until(MANY // 2)
    assert not task.states()
    lab[task.worker].process.kill()
    task.until_done()
    assert task.pages() == Counter(range(MANY))
    assert task.asked()["/forest/0"] == 2
    first, second = task.runs()
    assert first["files"] != second["files"]


def test_a_task_that_is_asked_for_anew_begins_at_page_one_wherever_it_is(lab, site):
    lab.start(*NODES, config="tree")
    task = Task(lab, site, "wanted")
    task.until(MANY // 2)
    master = f"127.0.0.1:{lab['master-1'].grpc}"
    done = crawler("again", "wanted", "--master", master)
    assert done.returncode == 0, done.stderr
    assert re.search(r"it begins anew; \d+ pages and \d+ items of the crawl before", done.stdout)
    task.until_done()
    assert task.pages() == Counter(range(MANY))
    assert task.asked()["/forest/0"] == 2
    eventually(lambda: not task.states(), what="nothing is kept of a task that is done")


def test_a_deleted_task_leaves_no_state(lab, site):
    lab.start(*NODES, config="tree")
    task = Task(lab, site, "deleted")
    task.until(MANY // 3)
    assert task.states()
    lab.delete("deleted")
    eventually(lambda: not task.states(), what="the state is removed")

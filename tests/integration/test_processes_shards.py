"""One task on several workers: real processes, a real etcd, a real Redis, a site of many hosts."""

import json
from collections import Counter

import gevent
import pytest
from gevent.lock import BoundedSemaphore

from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.shared_store import ADOPT_S
from crawler.items import items_of
from crawler.settings.worker import FrontierSettings
from tests.integration.lab import crawler
from tests.integration.redis_lab import lab_in_redis
from tests.site import Site
from tests.site.asked import html
from tests.waiting import eventually

MANY, HOSTS = 480, 12
AGAIN = 300
"""What may be fetched again after a kill."""
WORKERS = ("worker-1", "worker-2", "worker-3")
SPIDER = """
from crawler import Spider


class Wood(Spider):
    name = "wood"
    start_urls = ["http://nowhere/"]

    def parse(self, response):
        yield {"page": response.url.rsplit("/", 1)[1], "text": "ä" * 20}
        yield from response.follow_all(css="a", callback=self.parse_page)

    def parse_page(self, response):
        yield from self.parse(response)
"""


def host(number):
    return f"127.0.0.{2 + number % HOSTS}"


def wood(most, host=host):
    """/wood/7 links to three pages that come later, and to two that came before, at many hosts."""

    def page(asked):
        above, _, last = asked.path.rpartition("/")
        number = int(last)
        port = asked.headers["HTTP_HOST"].rpartition(":")[2]
        later = [to for to in range(3 * number + 1, 3 * number + 4) if to < most]
        known = [max(1, number // 2), max(1, number // 3)]
        links = [f"http://{host(to)}:{port}{above}/{to}" for to in [*later, *known]]
        return html(f"page {number}", *links)

    return page


@pytest.fixture(scope="module")
def lab(tmp_path_factory, redis):
    """A cluster in which each worker has folders of its own, as if it were a machine."""
    with lab_in_redis(tmp_path_factory.mktemp("lab"), redis, "wood", SPIDER, 0.03) as lab:
        yield lab


@pytest.fixture
def site():
    """A site that answers 16 requests a second while it `is_slow`: what is to come before the end
    of a crawl may take long on a busy machine."""
    turns, page = BoundedSemaphore(4), wood(MANY)

    def paced(asked):
        if site.is_slow:
            with turns:
                gevent.sleep(0.25)
        return page(asked)

    with Site(pages={"wood": paced}) as site:
        site.is_slow = False
        yield site


@pytest.fixture
def cluster(lab):
    lab.start("master-1", config="wood")
    for worker in WORKERS:
        folder = lab.folder / f"of-{worker}"
        folders = {"CRAWLER_WORKER_ITEMS": folder / "items", "CRAWLER_FRONTIER_FOLDER": folder}
        environment = {name: str(path) for name, path in folders.items()}
        lab.start(worker, config="wood", **environment)
    eventually(lambda: lab.registered() >= set(WORKERS), what="all workers are there")
    return lab


class Task:
    """A task on several workers, its items, and what it asked the site for."""

    def __init__(self, lab, site, name, workers):
        self.lab, self.site, self.name = lab, site, name
        parameters = {"start_urls": [site.url("/wood/0", host=host(0))]}
        body = {"name": name, "spider": "wood", "parameters": parameters, "workers": workers}
        lab._ask("POST", "/crawler/resource", body)

    def shards(self):
        """Name → the value of each of its resources."""
        found = self.lab.resources()
        mine = {n: v for n, (v, _) in found.items() if n.partition("~")[0] == self.name}
        return {name: json.loads(value) for name, value in sorted(mine.items())}

    def owners(self):
        return [
            value["AssignedNode"].partition("|")[0].removeprefix("go.micro.server.")
            for value in self.shards().values()
        ]

    @property
    def state(self):
        return self.shards()[self.name]["State"]

    @property
    def has_ended(self):
        return all(value["State"] in ("done", "failed") for value in self.shards().values())

    def asked(self):
        return Counter(path for path in self.site.paths() if path != "/robots.txt")

    def by_worker(self, since=0):
        return Counter(hit.agent for hit in self.site.hits[since:] if hit.url != "/robots.txt")

    def until(self, pages):
        eventually(lambda: self.asked().total() >= pages, what=f"{pages} pages are fetched")

    def set_workers(self, workers):
        self.lab._ask("PUT", f"/crawler/resource/{self.name}", self._given() | {"workers": workers})

    def _given(self):
        value = self.shards()[self.name]
        return {"spider": value["Spider"], "parameters": value["Parameters"]}

    def items(self):
        folders = [self.lab.folder / f"of-{worker}" / "items" for worker in WORKERS]
        return items_of(self.name, *[folder for folder in folders if folder.is_dir()])

    def assert_whole(self, most_again):
        """Each page was fetched, few of them again, and each item is there once."""
        ended = ("done", "failed")
        eventually(lambda: self.state in ended, 60, f"{self.name} is done")
        assert self.state == "done", self.shards()
        asked = self.asked()
        assert len(asked) == MANY
        assert asked.total() - MANY <= most_again
        assert Counter(int(item["page"]) for item in self.items()) == Counter(range(MANY))
        eventually(
            lambda: {value["State"] for value in self.shards().values()} == {"done"},
            what="all its shards are done",
        )


def test_a_task_runs_on_three_workers_and_each_page_is_fetched_once(cluster, site, redis):
    site.is_slow = True
    task = Task(cluster, site, "three", 3)
    eventually(lambda: len(task.by_worker()) == 3, what="three workers crawl it")
    site.is_slow = False
    task.until(MANY // 2)
    assert sorted(task.owners()) == [*WORKERS]
    master = f"127.0.0.1:{cluster['master-1'].grpc}"
    told = json.loads(crawler("stats", "three", "--json", "--master", master).stdout)
    assert told["workers"] == {cluster[worker].id: 1 for worker in WORKERS}
    task.assert_whole(0)
    assert set(task.by_worker()) == set(WORKERS)
    told = json.loads(crawler("stats", "three", "--json", "--master", master).stdout)
    assert (told["pages"], told["items"], told["pending"]) == (MANY, MANY, 0)
    listed = crawler("tasks", "--master", master).stdout
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [["three", "done"]]
    states = RedisStates.of(FrontierSettings(url=redis.url))
    eventually(lambda: not states.all(), what="its state is removed")
    states.close()


def test_a_worker_that_is_killed_costs_few_pages_and_no_item(cluster, site):
    task = Task(cluster, site, "killed", 3)
    task.until(MANY // 3)
    victim = task.owners()[1]
    cluster[victim].process.kill()
    task.assert_whole(AGAIN)


def test_the_head_is_killed_and_goes_on_elsewhere(cluster, site):
    task = Task(cluster, site, "headless", 3)
    task.until(MANY // 3)
    cluster[task.owners()[0]].process.kill()
    task.assert_whole(AGAIN)


def test_the_number_of_workers_changes_while_it_runs_and_nothing_is_fetched_again(cluster, site):
    task = Task(cluster, site, "changing", 1)
    task.until(MANY // 6)
    site.is_slow = True
    task.set_workers(3)
    eventually(lambda: sorted(task.owners()) == [*WORKERS], what="three workers have it")
    since = len(site.hits)
    eventually(lambda: len(task.by_worker(since)) == 3, what="three workers crawl it")
    site.is_slow = False
    master = f"127.0.0.1:{cluster['master-1'].grpc}"
    done = crawler("update", "changing", "--set", "workers=2", "--master", master)
    assert done.returncode == 0, done.stderr
    assert "workers      " in done.stdout
    eventually(lambda: len(task.shards()) == 2, what="two are left")
    shed = len(site.hits)
    task.assert_whole(0)
    counts = cluster._ask("GET", "/crawler/resource/changing")["counts"]
    assert (int(counts["pages"]), int(counts["items"])) == (MANY, MANY), "of the third one, too"
    assert max(site.gaps()[shed:], default=0.0) < ADOPT_S / 2, "what it had was given back at once"


def test_the_statistics_of_shards_that_were_removed_stay_those_of_the_task(cluster, site):
    """Of one whose worker is gone, too."""
    task = Task(cluster, site, "shrinking", 3)
    master = f"127.0.0.1:{cluster['master-1'].grpc}"

    def told():
        return json.loads(crawler("stats", "shrinking", "--json", "--master", master).stdout)

    task.until(MANY // 3)
    last = task.owners()[2]
    site.is_slow = True
    for workers in (2, 1):
        before = told()
        task.set_workers(workers)
        eventually(lambda: len(task.shards()) == workers, what=f"{workers} are left")  # noqa: B023
        eventually(lambda: told()["pages"] >= before["pages"], what="none is lost")  # noqa: B023
        assert (
            sum(told()["workers"].values()) == workers if workers > 1 else "workers" not in told()
        )
    site.is_slow = False
    assert last != task.owners()[0]
    cluster[last].process.kill()
    task.assert_whole(AGAIN)
    found = told()
    listed = cluster._ask("GET", "/crawler/resource/shrinking")["counts"]
    assert (found["pages"], found["items"]) == (int(listed["pages"]), int(listed["items"]))
    assert (found["pages"], found["items"], found["pending"]) == (MANY, MANY, 0)
    assert found["statuses"]["200"] >= MANY
    assert found["discovered"] == MANY + sum(found["filtered"].values())


@pytest.fixture
def fill(redis):
    """Lets Redis have no memory left, or enough."""

    def set_memory(most):
        with redis.client() as client:
            client.config_set("maxmemory", most)

    yield set_memory
    set_memory(0)


def test_a_task_that_failed_because_redis_was_full_goes_on_when_somebody_asks(cluster, site, fill):
    """Its head and its shards could not be written, and have no retries left."""
    task = Task(cluster, site, "full", 3)
    task.until(MANY // 3)
    fill(1)
    eventually(lambda: task.state == "failed", what="it fails by name")
    assert "is full" in task.shards()["full"]["Reason"]
    eventually(lambda: task.has_ended, what="its shards have ended")
    fill(0)
    before = task.asked().total()
    done = crawler("again", "full", "--master", f"127.0.0.1:{cluster['master-1'].grpc}")
    assert done.returncode == 0, done.stderr
    assert "goes on where it was" in done.stdout
    task.assert_whole(AGAIN)
    assert task.asked().total() - before < MANY, "it did not begin anew"
    assert task.asked()["/wood/0"] == 1

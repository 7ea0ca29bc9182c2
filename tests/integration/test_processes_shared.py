"""Workers of several machines share a Redis: their tasks go on anywhere. Each has folders of its
own here, as if it were a machine."""

from collections import Counter

import pytest

from crawler.engine.frontier.redis_states import RedisStates
from crawler.items import items_of
from crawler.settings.worker import FrontierSettings
from tests.depth import deep
from tests.guards import pause_machine, resume_machine
from tests.integration.lab import crawler
from tests.integration.redis_lab import lab_in_redis
from tests.integration.test_processes_going_on import AGAIN, NODES, Task, forest
from tests.integration.test_processes_resume import MANY, SPIDER
from tests.redis_servers import Redis
from tests.waiting import eventually


@pytest.fixture(scope="module")
def lab(tmp_path_factory, redis):
    folder, spider = tmp_path_factory.mktemp("lab"), SPIDER.format(site="http://nowhere/")
    with lab_in_redis(folder, redis, "tree", spider, 0.002) as lab:
        yield lab


@pytest.fixture
def site():
    with forest() as site:
        yield site


class SharedTask(Task):
    """A task whose items lie on several machines."""

    @staticmethod
    def folder(lab, worker):
        return lab.folder / f"of-{worker}"

    def pages(self):
        folders = [self.folder(self.lab, f"worker-{number}") / "items" for number in (1, 2)]
        return Counter(int(item["page"]) for item in items_of(self.name, *folders))

    def states(self):
        return []


def start(lab):
    lab.start("master-1", config="tree")
    for worker in NODES[1:]:
        folder = SharedTask.folder(lab, worker)
        folders = {"CRAWLER_WORKER_ITEMS": folder / "items", "CRAWLER_FRONTIER_FOLDER": folder}
        environment = {name: str(path) for name, path in folders.items()}
        lab.start(worker, config="tree", **environment)


@deep
def test_a_task_whose_worker_is_killed_goes_on_at_another_machine(lab, site, redis):
    start(lab)
    task = SharedTask(lab, site, "killed")
    task.until(MANY // 2)
    lab[task.worker].process.kill()
    task.assert_whole(AGAIN)
    states = RedisStates.of(FrontierSettings(url=redis.url))
    eventually(lambda: not states.all(), what="its state is removed")
    states.close()


@deep
def test_a_worker_that_is_drained_gives_its_tasks_to_another_machine(lab, site):
    start(lab)
    task = SharedTask(lab, site, "drained")
    task.until(MANY // 2)
    worker, master = task.worker, f"127.0.0.1:{lab['master-1'].grpc}"
    done = crawler("drain", lab[worker].id, "--wait", "--master", master)
    assert done.returncode == 0, done.stderr
    task.assert_whole(0)
    assert crawler("uncordon", lab[worker].id, "--master", master).returncode == 0


def test_a_worker_that_was_paused_can_change_nothing_when_it_wakes(lab, site):
    start(lab)
    task = SharedTask(lab, site, "paused")
    task.until(MANY // 2)
    worker, other = task.worker, task.other
    stopped = pause_machine(lab[worker].process.pid)
    eventually(lambda: task.worker == other, what="the task belongs to the other worker")
    asked = task.asked().total()
    eventually(lambda: task.asked().total() > asked, what="it goes on there")
    resume_machine(stopped)
    task.assert_whole(AGAIN)


def test_a_redis_that_is_killed_and_comes_back_costs_nothing(lab, site, redis):
    start(lab)
    task = SharedTask(lab, site, "outage")
    task.until(MANY // 3)
    redis.kill()
    asked = task.asked().total()
    redis.start()
    task.assert_whole(0)
    assert asked < MANY


def test_a_worker_whose_redis_is_not_there_takes_no_tasks_and_says_so(lab):
    lab.start("master-1", config="tree")
    server = Redis()
    lab.start("worker-9", config="tree", ready=False, CRAWLER_FRONTIER_URL=server.url)
    worker = lab["worker-9"]
    assert worker.call("GET", "/readyz")[0] == 503
    # It tells nobody why before it has read whether the cluster has tokens.
    eventually(lambda: b"is its URL right?" in worker.call("GET", "/readyz")[2], what="it says why")
    assert "worker-9" not in lab.registered()
    server.start()
    eventually(lambda: "worker-9" in lab.registered(), what="it joins when Redis is there")
    server.kill()
    eventually(lambda: worker.call("GET", "/readyz")[0] == 503, what="it says that Redis is away")
    worker.process.kill()
    server.remove()

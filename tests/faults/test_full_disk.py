"""The disk is full, really: under the log of Redis, and under the files of a state."""

import re
from contextlib import contextmanager

import pytest

from crawler.engine.frontier.store import Step, StoreFailed, Waiting
from tests.faults.sharing import shared_crawls, site_of
from tests.integration.lab import Lab, crawler
from tests.integration.test_processes_going_on import Task
from tests.integration.test_processes_resume import MANY, QUICK, SPIDER, tree
from tests.redis_servers import Place, Redis
from tests.site import Site
from tests.site.crawling import lines
from tests.small_disk import SmallDisk
from tests.waiting import eventually

AGAIN = 300
"""What may be fetched again after Redis was killed: what came after its log was full."""


@contextmanager
def redis_on_small_disk():
    """A Redis whose log lies on a small disk."""
    server = Redis()
    server.disk = SmallDisk(server.folder, 8)
    server.start()
    yield server
    server.remove()
    server.disk.remove()
    server.folder.rmdir()


@pytest.fixture(scope="module")
def redis():
    with redis_on_small_disk() as server:
        yield server


@pytest.fixture
def fresh():
    """One whose disk was never full: after a failed try to write its log anew there is no other."""
    with redis_on_small_disk() as server:
        yield server


@pytest.fixture
def disk(redis):
    yield redis.disk
    redis.disk.make_room()


@pytest.fixture(scope="module")
def crawls(tmp_path_factory, redis):
    with shared_crawls(tmp_path_factory.mktemp("lab"), redis) as crawls:
        yield crawls


def stand_still(crawls, disk):
    """Fill the disk, and wait until each worker says why it waits."""
    disk.fill()
    for worker in crawls.links:
        eventually(lambda worker=worker: not crawls.is_ready(worker), what=f"{worker} waits")
        said = crawls.why_unready(worker)
        assert "Redis takes nothing" in said
        assert "No space left on device" in said


@pytest.mark.faults
def test_tasks_wait_while_the_disk_of_redis_is_full_and_go_on_when_there_is_room(crawls, disk):
    names = ("full-one", "full-other")
    with site_of(crawls, *names):
        tasks = crawls.add(*names)
        stand_still(crawls, disk)
        assert [task.state for task in tasks] == ["running", "running"]
        disk.make_room()
        for task in tasks:
            task.assert_whole()
        assert not crawls.early()


@pytest.mark.faults
def test_nothing_is_lost_when_redis_is_killed_while_its_disk_is_full(crawls, redis, disk):
    names = ("killed-one", "killed-other")
    with site_of(crawls, *names):
        tasks = crawls.add(*names)
        stand_still(crawls, disk)
        redis.kill()
        disk.make_room()
        redis.mend_log()
        redis.start()
        for task in tasks:
            task.assert_whole(AGAIN)
        assert not crawls.early()


def test_a_redis_whose_disk_is_full_is_named_and_the_crawl_can_go_on(redis, disk):
    place = Place(redis, wait_s=0.5)
    store = place.again()
    store.open()
    disk.fill()
    added, fault = steps_until_refused(store)
    assert re.search(r"has taken nothing for 0.5 s .*is its disk full", fault)
    disk.make_room()
    store.close()
    eventually(lambda: not is_refusing(redis), what="it writes again")
    left = place.left()[1]
    assert [request.id for request in left[:added]] == list(range(added))
    place.server.close()


def test_a_redis_whose_disk_was_full_writes_its_log_anew_and_starts_again(fresh):
    """What it writes when there is room may lie behind a gap, which it could not read."""
    redis, disk = fresh, fresh.disk
    place, taken = filled(redis, disk)
    disk.make_room()
    eventually(lambda: not is_refusing(redis), what="it writes again")
    logs = count_of_logs(redis)
    store = place.again()
    store.open()
    assert refusal(store, 1000) is None
    eventually(lambda: count_of_logs(redis) > logs and redis.has_new_log(), what="its log is new")
    assert refusal(store, 1001) is None
    eventually(lambda: redis.log_size() > 0, what="the step is in the log")
    redis.kill()
    redis.start()
    store.close()
    assert ids_left(place)[-2:] == [1000, 1001]
    assert set(ids_left(place)) >= set(range(taken))
    place.server.close()


def test_a_redis_that_was_killed_before_its_log_was_new_is_mended_by_its_own_tool(fresh):
    redis, disk = fresh, fresh.disk
    place, taken = filled(redis, disk)
    disk.make_room()
    eventually(lambda: not is_refusing(redis), what="it writes again")
    with redis.client() as client:
        client.set("behind the gap", "x")
    redis.kill()
    redis.mend_log()
    redis.start()
    assert set(ids_left(place)) >= set(range(taken - 1)), "all but the step that was cut off"
    place.server.close()


def filled(redis, disk):
    """A crawl whose Redis has cut a step off, because its disk was full; how many steps it took."""
    place = Place(redis, wait_s=0.5)
    store = place.again()
    store.open()
    eventually(redis.has_new_log, what="its log is one that was written anew")
    assert refusal(store, 0) is None
    eventually(lambda: redis.log_size() > 0, what="the log has an end to be cut off")
    disk.fill()
    taken, _ = steps_until_refused(store, 1)
    store.close()
    return place, taken


def steps_until_refused(store, added=0):
    """How many requests the store has taken, and why it takes no more."""
    while (fault := refusal(store, added)) is None:
        added += 1
    return added, str(fault)


def ids_left(place):
    return [request.id for request in place.left()[1]]


def count_of_logs(redis):
    """How many logs it has begun since it started."""
    with redis.client() as client:
        return client.info("persistence")["aof_rewrites"]


def refusal(store, id):
    """Why the store refuses one more request; None if it takes it."""
    try:
        store.write(Step(added=[Waiting(id, "http://h", 0, b'["x"]')]))
    except StoreFailed as error:
        return error
    return None


def is_refusing(redis):
    with redis.client() as client:
        return client.info("persistence")["aof_last_write_status"] != "ok"


@pytest.fixture
def full_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    disk = SmallDisk(folder, 1)
    yield disk
    disk.remove()


@pytest.mark.parametrize("small", ["kept", "items"])
def test_a_full_disk_ends_a_crawl_and_the_same_command_goes_on_when_there_is_room(
    tmp_path, full_disk, small
):
    """Of the state, or of the items."""
    kept, items = tmp_path / "kept", tmp_path / "items.jsonl"
    if small == "kept":
        kept = full_disk.folder / "kept"
    else:
        items = full_disk.folder / "items.jsonl"

    def fills_up(asked):
        if asked.count == 1 and asked.path.endswith(f"/{MANY // 2}"):
            full_disk.fill()
        return tree(MANY)(asked)

    with Site(pages={"tree": fills_up}) as site:
        (tmp_path / "tree.py").write_text(SPIDER.format(site=site.url("/tree/0")))
        command = ("runspider", "tree.py", "--resume", kept, *QUICK, "-o", items)
        failed = crawler(*map(str, command), cwd=tmp_path)
        assert failed.returncode == 1
        assert "No space left on device" in failed.stderr or "is there room" in failed.stderr
        assert "Traceback" not in failed.stderr
        full_disk.make_room()
        assert crawler(*map(str, command), cwd=tmp_path).returncode == 0
    assert sorted(int(item["page"]) for item in lines(items)) == list(range(MANY))


@pytest.mark.faults
@pytest.mark.parametrize(
    ("section", "said"),
    [("FRONTIER_FOLDER", "is there room"), ("WORKER_ITEMS", "crawler again full")],
)
def test_a_task_that_failed_on_a_full_disk_goes_on_when_there_is_room_and_somebody_asks(
    tmp_path, full_disk, section, said
):
    """It has no retries left, and the leader has recorded that it failed."""

    def fills_up(asked):
        if asked.count == 1 and asked.path.endswith(f"/{MANY // 2}"):
            full_disk.fill()
        return tree(MANY)(asked)

    with Lab(tmp_path, delay_s=0.002) as lab, Site(pages={"forest": fills_up}) as site:
        lab.add_spider("tree", SPIDER.format(site="http://nowhere/"))
        folder = str(full_disk.folder)
        if section == "WORKER_ITEMS":
            (tmp_path / "items").symlink_to(folder)  # where the task of the lab looks
        lab.start("master-1", "worker-1", config="tree", **{f"CRAWLER_{section}": folder})
        task = Task(lab, site, "full")
        eventually(lambda: task.state == "failed", what="it fails by name")
        assert said in lab.resource("full")["Reason"]
        full_disk.make_room()
        done = crawler("again", "full", "--master", f"127.0.0.1:{lab['master-1'].grpc}")
        assert done.returncode == 0, done.stderr
        assert "goes on where it was" in done.stdout
        task.assert_whole(AGAIN)
        assert task.asked()["/forest/0"] == 1
        states = full_disk.folder.glob("*/*/*")
        eventually(lambda: not list(states), what="nothing is kept of a task that is done")

"""Redis is put back to a backup, as docs/operations/backup.md says, after a crawl has gone on."""

import shutil
from collections import Counter

import pytest

from crawler.items import items_of
from tests.integration.redis_lab import lab_in_redis
from tests.integration.test_processes_going_on import MANY, Task, forest
from tests.integration.test_processes_resume import SPIDER
from tests.redis_servers import Redis
from tests.waiting import eventually


@pytest.mark.faults
def test_a_crawl_goes_on_from_the_backup_and_no_item_is_missing(tmp_path):
    source = SPIDER.format(site="http://nowhere/")
    with (
        Redis() as redis,
        forest() as site,
        lab_in_redis(tmp_path, redis, "tree", source, 0.005) as lab,
    ):
        lab.start("master-1", "worker-1", config="tree")
        task = Task(lab, site, "restored")
        task.until(MANY // 4)
        backup = tmp_path / "dump.rdb"
        save(redis, backup)
        task.until(MANY // 2)
        lab["worker-1"].process.stop()
        before = task.asked().total()
        restore(redis, backup)
        lab.start("worker-1")
        task.until_done()
        asked = task.asked()
        assert len(asked) == MANY
        assert asked.total() - MANY <= before, "only what came after the backup"
        assert asked.total() > MANY, "it went back"
        items = Counter(int(item["page"]) for item in items_of("restored", tmp_path / "items"))
        assert items == Counter(range(MANY)), "each item once"


def save(redis, backup):
    with redis.client() as client:
        before = client.lastsave()
        client.bgsave()
        eventually(lambda: client.lastsave() > before or not is_saving(client), what="it is saved")
    shutil.copy(redis.folder / "dump.rdb", backup)


def is_saving(client):
    return client.info("persistence")["rdb_bgsave_in_progress"]


def restore(redis, backup):
    """Redis reads a dump only if it has no log of writes; then it begins a new log."""
    redis.kill()
    shutil.rmtree(redis.folder / "appendonlydir")
    shutil.copy(backup, redis.folder / "dump.rdb")
    redis.start_with("--appendonly no")
    with redis.client() as client:
        client.config_set("appendonly", "yes")
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])

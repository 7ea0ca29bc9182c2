"""What a crawl process is, as the code of a spider sees it: what it has, and what it has not."""

import json
import os
import pwd
import signal
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.clock import SystemClock
from crawler.errors import ConfigError
from crawler.metrics import Metrics
from crawler.model.records import Resource, Spec
from crawler.node.crew.crews import crew_of
from crawler.node.crew.launcher import Launcher
from crawler.node.crew.processes import Processes
from crawler.node.guard.guard import NoGuard
from crawler.node.run.sharing import Sharing
from crawler.node.worker.epochs import Epochs
from crawler.node.worker.measures import measure_worker
from crawler.node.worker.runs import Runs
from crawler.settings.crawl import CrawlSettings
from crawler.settings.deploy import DeploySettings
from crawler.settings.sections import (
    ApiSettings,
    EtcdSettings,
    HistorySettings,
    ItemsSettings,
    NodeSettings,
    Settings,
)
from crawler.settings.worker import WorkerSettings
from tests.site import Site
from tests.site.crawling import lines
from tests.waiting import eventually

SPIDER = """
import gc, logging, os, resource, sys

from helper_beside import word
from crawler import Spider
from crawler.settings.sections import Settings


class Looking(Spider):
    name = "looking"

    def parse(self, response):
        print("a line of", word)
        print("half of a line, ", end="")
        print("and the rest")
        logging.getLogger("mine").warning("logged")
        [settings] = [each for each in gc.get_objects() if isinstance(each, Settings)]
        yield {
            "environment": dict(os.environ),
            "secrets": [
                *(settings.etcd.password, settings.etcd.user),
                *(settings.node.grpc, settings.history.url),
                *(settings.deploy.url, settings.items.url),
            ],
            "pid": os.getpid(),
            "group": os.getpgid(0),
            "nice": os.nice(0),
            "core": list(resource.getrlimit(resource.RLIMIT_CORE)),
            "uid": os.getuid(),
            "groups": os.getgroups(),
            "files": {n: os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)},
            "argv": open("/proc/self/cmdline").read(),
        }
"""
PASSWORD = "the etcd's password"
BUCKET = f"s3://key:{PASSWORD}@bucket"
TASK = Resource(Spec("looked", "looking"), id="1", epoch=1)


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


def settings_of(folder, **worker):
    """A worker with one process, and what no spider must learn."""
    folder.chmod(0o777)
    (folder / "spiders").mkdir()
    (folder / "spiders" / "looking_spider.py").write_text(SPIDER)
    (folder / "helper_beside.py").write_text("word = 'helper'\n")
    return Settings(
        worker=WorkerSettings(processes=1, private_targets=["all"], report_s=0.1, **worker),
        etcd=EtcdSettings(user="crawler", password=PASSWORD),
        api=ApiSettings(),
        node=NodeSettings(grpc="127.0.0.1:12345"),
        history=HistorySettings(url=f"postgresql://crawler:{PASSWORD}@127.0.0.1/history"),
        deploy=DeploySettings(url=BUCKET),
        items=ItemsSettings(url=BUCKET),
        crawl=CrawlSettings(delay_s=0.0, robots=False),
        spiders=("spiders/looking_spider.py",),
        folder=str(folder),
    )


@contextmanager
def crew_with(settings, monkeypatch):
    """A crew that can run, and its runs."""
    monkeypatch.syspath_prepend(settings.folder)
    crew = Processes(settings, SystemClock())
    crew.start()
    try:
        crew.prepare()
        yield crew, Runs(crew, SystemClock(), lambda: None, 10)
    finally:
        crew.stop()


def crawled(runs, site, folder):
    """Run the task to its end; what its callback saw."""
    runs.start(
        TASK.replace(spec=replace(TASK.spec, parameters={"start_urls": [site.url("/page/a")]}))
    )
    [run] = runs.all()
    eventually(lambda: run.ended, what="the task ends")
    assert run.status().state.value == "done", run.status().reason
    [seen] = lines(next((folder / "items" / "looked").glob("*.jsonl")))
    return seen


@pytest.mark.parametrize("fork", [True, False], ids=["forked", "started"])
def test_a_crawl_process_has_nothing_that_opens_the_cluster(
    tmp_path, site, fork, monkeypatch, capfd
):
    for part in ("ETCD_PASSWORD", "HISTORY_URL", "DEPLOY_URL", "ITEMS_URL"):
        monkeypatch.setenv(f"CRAWLER_{part}", PASSWORD)
    monkeypatch.setenv("MY_ETCD_PASSWORD", PASSWORD)
    monkeypatch.setenv("MY_BUCKET", BUCKET)
    monkeypatch.setenv("CRAWLER_NODE_GRPC", "127.0.0.1:12345")
    monkeypatch.setenv("OF_THE_SPIDER", "token")
    with crew_with(settings_of(tmp_path, fork=fork), monkeypatch) as (_, runs):
        seen = crawled(runs, site, tmp_path)
        with open(f"/proc/{seen['pid']}/environ") as file:
            environment = file.read()
    assert PASSWORD not in json.dumps(seen)
    assert "127.0.0.1:12345" not in json.dumps(seen)
    assert seen["secrets"] == ["", "", "", HistorySettings().url, "", ""]
    assert seen["environment"]["OF_THE_SPIDER"] == "token"
    assert "OF_THE_SPIDER=token" in environment
    assert "CRAWLER_ETCD" not in environment
    assert PASSWORD not in environment

    assert seen["pid"] != os.getpid()
    assert seen["group"] == seen["pid"], "what it starts is killed together with it"
    assert seen["nice"] == min(19, os.nice(0) + 10)
    assert seen["core"] == [0, 0]
    assert seen["files"]["0"] == "/dev/null"
    assert seen["files"]["1"].startswith("pipe:")
    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    of_spider = [line["msg"] for line in told if line.get("task") == "looked"]
    assert {"a line of helper", "half of a line, and the rest", "logged"} <= set(of_spider)


root = pytest.mark.skipif(os.getuid() != 0, reason="only root may run processes as others")


@pytest.fixture
def open_folder():
    """Pytest closes its own folders to other users, whenever another session begins."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@root
def test_a_crawl_process_is_another_user_and_dies_with_its_zygote(open_folder, site, monkeypatch):
    """The kernel forgets with whom a process dies, when it becomes another user afterwards."""
    nobody = pwd.getpwnam("nobody")
    with crew_with(settings_of(open_folder, run_as="nobody"), monkeypatch) as (crew, runs):
        seen = crawled(runs, site, open_folder)
        assert seen["uid"] == nobody.pw_uid
        assert set(seen["groups"]) <= set(os.getgrouplist("nobody", nobody.pw_gid))
        pidfd = os.pidfd_open(seen["pid"])
        os.kill(crew.spawner.pid, signal.SIGKILL)
        eventually(lambda: is_over(pidfd), what="it is gone, too")
        os.close(pidfd)


@root
def test_the_interpreter_of_a_bundle_begins_as_the_other_user(open_folder):
    """Packages may have code that it runs before any of ours."""
    open_folder.chmod(0o777)
    python, seen = open_folder / "python", open_folder / "seen"
    python.write_text(f'#!/bin/sh\necho "$(id -u) $PYTHONPATH $*" > {seen}\n')
    python.chmod(0o755)
    launcher = Launcher((), str(python), ["/of/the", "/bundle"])
    nothing = os.open(os.devnull, os.O_RDWR)
    born = launcher.start(1, (nothing,) * 4, "nobody")
    eventually(lambda: is_over(born.pidfd), what="it has noted who it is")
    os.close(born.pidfd)
    launcher.close()
    os.close(nothing)
    uid = pwd.getpwnam("nobody").pw_uid
    assert seen.read_text().startswith(f"{uid} /of/the:/bundle -P -m crawler.node.crew.started ")


def is_over(pidfd):
    """Whether a process is gone."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return True
    return False


def test_each_process_is_seen_and_each_crawl_names_its_own(tmp_path, site, monkeypatch):
    metrics = Metrics()
    with crew_with(settings_of(tmp_path), monkeypatch) as (crew, runs):
        measure_worker(metrics, crew, runs, NoStates(), Epochs())
        seen = crawled(runs, site, tmp_path)
        [load] = crew.crawls.processes()
        assert (load.pid, load.takes_tasks, load.tasks) == (seen["pid"], True, 0)
        assert 10_000_000 < load.memory_bytes < 10**9
        assert 0 <= load.late_s < 60
        found = crew.crawls.of("looked")
        assert (found.process, found.pid) == (load.number, load.pid)
        label = {"process": str(load.number)}
        read = metrics.registry.get_sample_value
        assert read("crawler_process_up", label) == 1
        assert read("crawler_process_memory_bytes", label) > 10_000_000
        taken_s = read("crawler_process_cpu_seconds_total")
        assert taken_s > 0
        os.kill(load.pid, signal.SIGKILL)
        eventually(lambda: read("crawler_process_ends_total", {"cause": "died"}) == 1)
        eventually(lambda: [each.pid for each in crew.crawls.processes()] not in ([], [load.pid]))
        assert read("crawler_process_up", label) is None
        assert read("crawler_process_cpu_seconds_total") >= taken_s


class NoStates:
    def unready_reason(self):
        return ""


def test_an_unknown_user_is_refused_before_anything_is_started(tmp_path):
    settings = settings_of(tmp_path, run_as="nobody-of-this-name")
    with pytest.raises(ConfigError, match=r"worker\.run_as.*make this user"):
        crew_of(settings, SystemClock(), Sharing(), None, NoGuard())


def test_a_user_without_processes_is_refused(tmp_path):
    settings = settings_of(tmp_path, run_as="nobody")
    settings = replace(settings, worker=replace(settings.worker, processes=-1))
    with pytest.raises(ConfigError, match=r"worker\.run_as.*worker\.processes"):
        crew_of(settings, SystemClock(), Sharing(), None, NoGuard())

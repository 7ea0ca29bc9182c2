"""A task names its sinks; where they are is the worker's business."""

import csv
import json
import sqlite3
from pathlib import Path

import pytest
from gevent import get_hub

from crawler.engine.engine import Engine
from crawler.engine.items.sinks.factory import RunSink, Sinks
from crawler.engine.spiders.spider import Spider
from crawler.errors import ConfigError, InvalidArgument
from crawler.hub import stacks_of_threads
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from tests.waiting import eventually


@pytest.fixture
def made():
    """Makes the sinks of a worker, and closes them when the test ends."""
    all_made = []

    def made(databases):
        all_made.append(Sinks(databases))
        return all_made[-1]

    yield made
    for sinks in all_made:
        sinks.close()


class Shop(Spider):
    name = "shop"
    start_urls = ("http://h/",)


def written(sinks, path, names, *items, task="task", key=()):
    spider = Shop()
    spider.settings = CrawlSettings(sinks=names, item_key=key)
    sink = RunSink(sinks, path, task)(spider)
    sink.open()
    for item in items:
        sink.write(item, "http://h/")
    sink.close()


def rows(path, table="shop"):
    connection = sqlite3.connect(path)
    found = connection.execute(f"SELECT _task, n FROM {table} ORDER BY _task, n").fetchall()
    connection.close()
    return found


def threads():
    """How many native threads there are, without those that the hub keeps."""
    return len(stacks_of_threads()) - get_hub().threadpool.size


@pytest.mark.parametrize("name", ["csv", "all"])
def test_a_sink_that_is_closed_after_the_end_of_all_leaves_no_thread(made, tmp_path, name):
    """As that of a run that was cut off while it wrote its last items."""
    before = threads()
    sinks = made({"all": f"sqlite:///{tmp_path}/all.db"})
    sink = sinks.choose([name], tmp_path / "task" / "1-1", "task", "shop", ())
    sink.open()
    sinks.close()
    sink.write({"n": 1}, "http://h/")
    sink.close()
    eventually(lambda: threads() <= before, what="its threads end")


def test_each_format_is_a_file_beside_the_others(made, tmp_path):
    path = tmp_path / "task" / "7.5-1.jsonl"
    written(made({}), path, ["jsonl", "csv", "sqlite", "parquet"], {"n": 1}, {"n": 2})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"n": 1}, {"n": 2}]
    with (tmp_path / "task" / "7.5-1.csv").open() as file:
        assert list(csv.reader(file)) == [["n"], ["1"], ["2"]]
    assert rows(tmp_path / "task" / "7.5-1.db") == [("task", 1), ("task", 2)]
    assert (tmp_path / "task" / "7.5-1.parquet" / "part-00000.parquet").is_file()


def test_a_database_of_the_worker_is_shared_by_its_tasks(made, tmp_path):
    sinks = made({"warehouse": f"sqlite:///{tmp_path}/all.db", "own": "sqlite:///x?table=y"})
    for task in ("a", "b"):
        written(sinks, tmp_path / "x.jsonl", ["warehouse"], {"n": 1}, task=task)
    written(sinks, tmp_path / "x.jsonl", ["warehouse"], {"n": 1, "v": 2}, task="a", key=["n"])
    written(sinks, tmp_path / "x.jsonl", ["warehouse"], {"n": 1, "v": 3}, task="a", key=["n"])
    assert rows(tmp_path / "all.db") == [("a", 1), ("a", 1), ("b", 1)]


@pytest.mark.parametrize("names", [["../outside"], ["/etc/passwd"], ["sqlite:///x"], [""], []])
def test_a_task_can_name_no_place_of_its_own(made, tmp_path, names):
    engine = Engine(CrawlSettings(), {"shop": Shop})
    spec = Spec("task", "shop", parameters={"settings": {"sinks": names}})
    with pytest.raises(InvalidArgument, match="allowed on this worker: a list of jsonl, "):
        engine.crawl(spec, RunSink(made({}), tmp_path / "x.jsonl", "task"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"settings": {"pipelines": ["os:system"]}},
        {"pipelines": ["os:system"]},
        {"item_schema": "os:system"},
    ],
)
def test_a_task_can_name_no_code_to_run(made, parameters):
    engine = Engine(CrawlSettings(), {"shop": Shop})
    spec = Spec("task", "shop", parameters=parameters)
    with pytest.raises(
        InvalidArgument, match=r"not allowed, (because it names code|the spider needs)"
    ):
        engine.crawl(spec, RunSink(made({}), None, "task"))


@pytest.mark.parametrize(
    "databases",
    [{"csv": "sqlite:///x"}, {"a": "oracle://scott:tiger@h/x"}, {"a": "/tmp/x.db"}],
)
def test_databases_that_cannot_be_are_told_at_start_without_their_password(databases):
    with pytest.raises(ConfigError, match=r"worker\.databases\.\w+: .*allowed") as told:
        Sinks(databases)
    assert "tiger" not in str(told.value)


def test_no_thread_outlives_the_sinks(tmp_path):
    def run():
        sinks = Sinks({"all": f"sqlite:///{tmp_path}/all.db"})
        written(sinks, tmp_path / "x.jsonl", ["jsonl", "sqlite", "all"], {"n": 1})
        sinks.close()

    run()
    before = len(list(Path("/proc/self/task").iterdir()))
    for _ in range(5):
        run()
    eventually(lambda: len(list(Path("/proc/self/task").iterdir())) <= before)

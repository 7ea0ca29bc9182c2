"""The tasks of workers go on where they were, on another machine too, with their state in Redis."""

from collections import Counter

import pytest

from crawler.clock import SystemClock
from crawler.engine.crawl import checkpoints
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.store import StaleRun, Step
from crawler.engine.items.sinks.factory import Sinks
from crawler.items import items_of
from crawler.model.records import Resource, Spec, State
from crawler.node.crew.in_process import InProcess
from crawler.node.run.shared_states import SharedStates
from crawler.node.worker.runs import Runs
from crawler.settings.worker import FrontierSettings
from tests.integration.test_processes_resume import tree
from tests.integration.trees import engine
from tests.site import Site
from tests.site.crawling import lines
from tests.waiting import eventually

__all__ = ["engine"]

PAGES = 150


@pytest.fixture
def site():
    with Site(pages={"tree": tree(PAGES)}) as site:
        yield site


@pytest.fixture
def redis(own_redis):
    """Each test has one of its own."""
    return own_redis


class Machine:
    """A worker with a folder of its own."""

    def __init__(self, engine, redis, folder):
        self.items = folder / "items"
        self._sinks = Sinks({})
        self._redis = states = RedisStates.of(FrontierSettings(url=redis.url))
        self.states = SharedStates(states, SystemClock(), self.items, patience_s=10.0)
        crew = InProcess(engine, self._sinks, self.items, self.states)
        self.runs = Runs(crew, SystemClock(), lambda: None, 10)

    def stop(self):
        self.runs.stop_all()
        self.states.close()
        self._sinks.close()

    def pages(self):
        files = [path for path in self.items.rglob("*.jsonl*") if ".cut-" not in path.name]
        return [item["page"] for path in files for item in lines(path)]

    def kept(self):
        """What Redis keeps of tasks that are not over."""
        return self._redis.all()

    def run(self):
        [run] = self.runs.all()
        return run


@pytest.fixture
def machines(engine, redis, tmp_path):
    made = [Machine(engine, redis, tmp_path / name) for name in ("a", "b")]
    yield made
    for machine in made:
        machine.stop()


def resource(site, epoch, **settings):
    parameters = {"start_urls": [site.url("/tree/0")], "settings": settings}
    return Resource(Spec("task", "tree", parameters), id="7", epoch=epoch)


def test_a_task_that_moves_to_another_machine_goes_on_there(machines, site):
    first, second = machines
    first.runs.start(resource(site, 1))
    eventually(lambda: len(site.hits) > PAGES // 2)
    second.runs.start(resource(site, 2))
    first.runs.stop(["task"])
    eventually(lambda: second.run().ended)
    assert second.run().status().state is State.DONE
    assert second.run().status().counts.pages == PAGES
    assert sorted(first.pages() + second.pages()) == list(range(PAGES))
    twice = {url for url, count in Counter(site.paths()).items() if count > 1}
    assert not twice, "the first ended in order"


def test_a_run_whose_redis_forgets_steps_goes_on_by_itself(machines, site, redis, monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 8)
    monkeypatch.setattr(checkpoints, "MOST_BEHIND", 20)
    machine, _ = machines
    machine.runs.start(resource(site, 1))
    eventually(lambda: len(site.hits) > PAGES // 4, every_s=0.001)
    size = redis.log_size()
    eventually(lambda: len(site.hits) > PAGES // 2, every_s=0.001)
    redis.kill()
    redis.cut_log(size)
    redis.start()
    states = set()
    eventually(lambda: states.add(machine.run().status().state) or machine.run().ended)
    assert machine.run().status().state is State.DONE
    assert State.FAILED not in states
    assert sorted(machine.pages()) == list(range(PAGES))
    assert any(count > 1 for count in Counter(site.paths()).values()), "it went back"


def test_a_run_whose_redis_forgets_all_begins_anew_and_each_item_is_there_once(
    machines, site, redis, monkeypatch
):
    monkeypatch.setattr(checkpoints, "BATCH", 8)
    machine, _ = machines
    machine.runs.start(resource(site, 1, sinks=["jsonl", "csv", "parquet"]))
    eventually(lambda: machine.pages(), every_s=0.001)
    with redis.client() as client:
        client.flushall()
    eventually(lambda: machine.run().ended)
    assert machine.run().status().state is State.DONE
    assert sorted(machine.pages()) == list(range(PAGES))
    for format in ("csv", "parquet"):
        found = items_of("task", machine.items, format=format)
        assert sorted(int(item["page"]) for item in found) == list(range(PAGES))


def test_a_task_that_is_done_is_told_and_then_forgotten(machines, site, redis):
    first, second = machines
    first.runs.start(resource(site, 1))
    eventually(lambda: first.run().ended)
    asked = len(site.hits)
    second.runs.start(resource(site, 2))  # the first could not tell the leader
    eventually(lambda: second.run().ended)
    assert second.run().status().state is State.DONE
    assert second.run().status().counts.pages == PAGES
    assert len(site.hits) == asked
    assert second.states.clear(resource(site, 2))
    assert not first.kept()


def test_a_run_that_wakes_after_its_task_is_over_does_not_begin_it_anew(machines, site):
    first, second = machines
    late = first.states.open(resource(site, 1))  # and then its process stands still
    second.runs.start(resource(site, 2))
    eventually(lambda: second.run().ended)
    asked = len(site.hits)
    assert second.states.clear(resource(site, 2))
    with pytest.raises(StaleRun) as told:
        late.store.write(Step(state={"a": "1"}))
    assert told.value.last == 2
    first.runs.start(resource(site, 1))
    eventually(lambda: first.run().ended)
    assert first.run().status().state is State.FAILED
    assert len(site.hits) == asked
    first.runs.stop_all()
    first.runs.start(resource(site, 3))  # somebody asks for it anew
    eventually(lambda: first.run().ended)
    assert first.run().status().state is State.DONE
    assert len(site.hits) == 2 * asked


def test_a_task_that_etcd_has_put_back_in_time_asks_for_a_later_epoch(machines, site):
    """Its leader knows nothing of the runs since then, and the state does."""
    first, second = machines
    first.runs.start(resource(site, 9))
    eventually(lambda: len(site.hits) > PAGES // 2)
    first.runs.stop(["task"])
    eventually(lambda: not first.runs.tend())
    second.runs.start(resource(site, 4))
    eventually(lambda: second.run().ended)
    report = second.run().report()
    assert (report.id, report.epoch) == ("7", 9)
    second.runs.stop_all()
    second.runs.start(resource(site, 10))  # that of the leader is above the report
    eventually(lambda: second.run().ended)
    assert second.run().status().counts.pages == PAGES
    assert sorted(first.pages() + second.pages()) == list(range(PAGES))

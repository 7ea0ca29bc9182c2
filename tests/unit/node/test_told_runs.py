"""A worker begins no run of an epoch that has begun on its machine before."""

import json
from contextlib import contextmanager

import pytest

from crawler.engine.frontier.store import StaleRun
from crawler.model.records import Resource, Spec
from crawler.node.run.going_on import GoingOn
from crawler.node.run.told_runs import last_epoch
from crawler.settings.crawl import CrawlSettings

TOLD = (
    {"id": "7", "epoch": 3, "files": ["7-3"]},
    {"id": "7", "epoch": 5, "files": ["7-5"]},
    {"id": "7", "epoch": 5, "files": ["7-5"], "end": "deleted"},
    {"id": "7", "epoch": 9, "files": ["7~1-9"], "shard": 1},
    {"id": "6", "epoch": 8, "files": ["6-8"]},
)


@pytest.fixture
def items(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    lines = [*map(json.dumps, TOLD), "7", "[]", '{"id": "7", "epoch": "10"}', '{"id": "7", "ep']
    (folder / ".runs").write_text("\n".join(lines))
    return tmp_path


def task(epoch=0, id="7", **more):
    return Resource(Spec("shop", **more), id=id, epoch=epoch)


def test_the_runs_of_a_task_are_told_apart_from_those_of_others_and_of_its_shards(items):
    assert last_epoch(items, task()) == 5
    assert last_epoch(items, task(shard=1)) == 9
    assert last_epoch(items, task(id="6")) == 8
    assert last_epoch(items, task(id="5")) == 0


def test_where_nothing_is_told_no_run_has_begun(tmp_path):
    assert last_epoch(tmp_path, task()) == 0


class Begun(Exception):
    """A run has begun: here the test ends."""


class Engine:
    def settings_of(self, spec):
        return CrawlSettings()


class States:
    def open(self, resource):
        raise Begun


class Run:
    def __init__(self, resource):
        self.resource = resource

    @contextmanager
    def failing(self):
        yield

    def filled(self, spec):
        return spec


@pytest.mark.parametrize("epoch", [2, 5])
def test_a_run_of_an_epoch_of_the_past_is_refused(items, epoch):
    with pytest.raises(StaleRun, match=rf"shop/\.runs: epoch {epoch} is over; .* 5") as caught:
        GoingOn(Engine(), None, items, States()).execute(Run(task(epoch)))
    assert caught.value.last == 5


def test_a_later_run_begins(items):
    with pytest.raises(Begun):
        GoingOn(Engine(), None, items, States()).execute(Run(task(epoch=6)))

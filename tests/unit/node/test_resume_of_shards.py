"""Which runs of a worker go on where the one before them was."""

from contextlib import suppress
from pathlib import Path

import pytest

from crawler.engine.frontier.store import StoreFailed
from crawler.model.records import Resource, Spec
from crawler.node.run.going_on import GoingOn
from crawler.settings.crawl import CrawlSettings


class Opened(StoreFailed):
    """Somebody wants the state of a task: here the test ends."""


class States:
    def open(self, resource):
        raise Opened(resource.name)


class Engine:
    def __init__(self, resume):
        self._resume = resume

    def settings_of(self, spec):
        return CrawlSettings(resume=self._resume)


class Run:
    def __init__(self, resource):
        self.resource = resource

    def failing(self):
        return suppress(Opened)

    def filled(self, spec):
        return spec


@pytest.mark.parametrize(
    ("workers", "resume", "warnings"), [(3, False, 1), (3, True, 0), (1, True, 0)]
)
def test_a_task_on_several_workers_goes_on_and_says_so_if_it_was_not_to(
    caplog, workers, resume, warnings
):
    going_on = GoingOn(Engine(resume), None, Path(), States())
    going_on.execute(Run(Resource(Spec("shop", workers=workers), id="1", epoch=2)))
    told = [record for record in caplog.records if "resume: false has no effect" in record.message]
    assert len(told) == warnings

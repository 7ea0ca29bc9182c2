"""A callback that computes without end: its hub hangs, so its worker must count as dead."""

import json
import time

import pytest

from tests.faults.arena import open_arena
from tests.integration.endless import SPIDER
from tests.waiting import eventually

HANG_S = 7.0
"""Longer than node.hub_limit_s and the time to live together."""

HANGING = (
    SPIDER.format(title="Slow", name="slow").replace(
        "    def parse(self, response, page=1):\n",
        "    def parse(self, response, page=1):\n        hang_if_told()\n",
    )
    + f"""

def hang_if_told():
    import os, pathlib, time
    order = pathlib.Path(__file__).with_name("hang-" + os.environ["CRAWLER_CRAWL_USER_AGENT"])
    if order.exists():
        order.unlink()
        until_s = time.monotonic() + {HANG_S}
        while time.monotonic() < until_s:
            pass
"""
)


class Hang:
    """Makes the next callback of a worker compute; it heals by itself."""

    def __init__(self, node):
        self._node = node

    def inject(self, arena):
        order = arena.lab.folder / f"hang-{self._node.title}"
        order.touch()
        eventually(lambda: not order.exists(), what="a callback computes")

    def heal(self, arena):
        eventually(lambda: told(self._node, "the hub turns again"), HANG_S + 2, "it is over")


def told(node, message):
    """The lines of a node's log with that message."""
    lines = node.process.log_path.read_text().splitlines()
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in parsed if line["msg"].startswith(message)]


@pytest.mark.faults
@pytest.mark.timeout(120)
def test_a_worker_whose_callback_never_gives_a_turn(tmp_path):
    with open_arena(tmp_path) as arena:
        (tmp_path / "slow.py").write_text(HANGING)
        # A crawl process that hangs is another matter: its worker goes on, and kills it.
        in_process = {"CRAWLER_WORKER_PROCESSES": "-1"}
        arena.start(masters=2, workers=2, of_worker=lambda title: in_process)
        arena.begin(*(f"task-{number}" for number in range(6)))
        worker = arena.busy_worker()
        fault = Hang(worker)
        fault.inject(arena)
        arena.wait_until_moved(worker, within_s=HANG_S)
        [report] = told(worker, "the hub is blocked")
        assert "hang_if_told" in report["stack"]
        assert not told(worker, "the hub turns again"), "the others did not wait for it"
        fault.heal(arena)
        woken_s = time.monotonic()
        arena.at_full_strength()
        assert told(worker, "lease lost")
        old = {visit.run for visit in arena.visits() if visit.at_s < woken_s}
        eventually(lambda: time.monotonic() > woken_s + 2.0)
        late = {visit.run for visit in arena.visits(worker.title) if visit.at_s > woken_s + 1.0}
        assert not late & old
        arena.check(longest_overlap_s=1.0)

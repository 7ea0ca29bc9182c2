"""The wall clock of Redis jumps ahead, or back: an hour, while workers crawl."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.sharing import PAGES, shared_crawls, site_of
from tests.redis_servers import Redis
from tests.waiting import eventually

HOUR_S = 3600
SHIFT = Path(__file__).parent / "clock" / "shift.c"
BOUND_S = 4.0
"""So long two workers may send to a host after a jump ahead."""


class ShiftedRedis(Redis):
    """A Redis whose wall clock can be moved: a few lines of C are loaded before it."""

    def __init__(self):
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler is installed; on Debian: apt install gcc libc6-dev")
        super().__init__()
        self._library, self._clock = self.folder / "shift.so", self.folder / "clock"
        options = ("-shared", "-fPIC", "-O1", "-o", str(self._library), str(SHIFT), "-ldl")
        subprocess.run([compiler, *options], check=True, timeout=60)
        self._clock.touch()
        self.jump(0)

    def command(self):
        env = (f"LD_PRELOAD={self._library}", f"CRAWLER_TESTS_CLOCK={self._clock}")
        return ["/usr/bin/env", *env, *super().command()]

    def jump(self, to_s):
        """Let its clock be ahead by so many seconds."""
        os.utime(self._clock, (to_s, to_s))

    def ahead_s(self):
        with self.client() as client:
            seconds, _ = client.time()
        return seconds - time.time()


@pytest.fixture(scope="module")
def redis():
    with ShiftedRedis() as server:
        yield server


@pytest.fixture(scope="module")
def crawls(tmp_path_factory, redis):
    with shared_crawls(tmp_path_factory.mktemp("lab"), redis) as crawls:
        yield crawls


@pytest.mark.faults
@pytest.mark.parametrize("jumps", [("ahead", 0, HOUR_S), ("back", HOUR_S, 0)], ids=lambda j: j[0])
def test_a_clock_that_jumps_loses_nothing_and_hardly_any_request_is_early(crawls, redis, jumps):
    title, before_s, after_s = jumps
    redis.jump(before_s)
    names = (f"{title}-one", f"{title}-other")
    with site_of(crawls, *names):
        tasks = crawls.add(*names)
        redis.jump(after_s)
        jumped_s = time.monotonic()
        assert abs(redis.ahead_s() - after_s) < 10
        asked = sum(task.asked().total() for task in tasks)
        assert asked < 2 * PAGES
        for task in tasks:
            task.assert_whole()
        over_s = jumped_s + BOUND_S if title == "ahead" else 0.0
        assert not crawls.early(since_s=over_s)
        eventually(lambda: all(map(crawls.is_ready, crawls.links)))

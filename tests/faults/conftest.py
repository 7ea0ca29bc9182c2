"""One arena for all faults that can be healed; each test begins with six tasks that run."""

import pytest

from tests.faults.arena import open_arena
from tests.waiting import eventually

TASKS = [f"steady-{number}" for number in range(6)]


@pytest.fixture(scope="session")
def shared_arena(tmp_path_factory):
    with open_arena(tmp_path_factory.mktemp("arena")) as arena:
        arena.start(masters=2, workers=2)
        arena.add(*TASKS)
        yield arena


@pytest.fixture
def arena(shared_arena):
    """Two masters, two workers, one etcd, everything healed; what was written so far was sound."""
    shared_arena.heal()
    shared_arena.at_full_strength()
    eventually(shared_arena.is_quiet, what="every task is run by a live worker")
    return shared_arena

"""One arena for all faults that can be healed; each test begins with six tasks that run."""

import pytest

from tests.faults.arena import open_arena

TASKS = [f"steady-{number}" for number in range(6)]


@pytest.fixture(scope="session")
def shared_arena(tmp_path_factory):
    with open_arena(tmp_path_factory.mktemp("arena")) as arena:
        arena.start(masters=2, workers=2)
        yield arena


@pytest.fixture
def arena(shared_arena):
    """Two masters, two workers, one etcd, everything healed; all its history is checked."""
    shared_arena.begin(*TASKS)
    return shared_arena

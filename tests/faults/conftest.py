"""One arena for all faults that can be healed; each test begins with six tasks that run."""

import pytest

from tests import leaks
from tests.faults.arena import open_arena

TASKS = [f"steady-{number}" for number in range(6)]


@pytest.fixture(scope="package", autouse=True)
def nothing_is_left():
    """Of the folder, not of each file: the arena goes on from file to file."""
    yield from leaks.nothing_is_left_by("the tests of this folder")


@pytest.fixture(scope="package")
def shared_arena(tmp_path_factory):
    """It ends with the last of these tests: its nodes and crawls would cost all others time."""
    with open_arena(tmp_path_factory.mktemp("arena")) as arena:
        arena.start(masters=2, workers=2)
        yield arena


@pytest.fixture
def arena(shared_arena):
    """Two masters, two workers, one etcd, everything healed; all its history is checked."""
    shared_arena.begin(*TASKS)
    return shared_arena

"""What several of these files need: a master of the API with a client, and a lab of processes.

After each test of the engine its state is validated.
"""

import pytest

from tests.engine_state import watched_engine
from tests.integration.lab import Lab
from tests.redis_servers import Redis
from tests.unit.api.fakes import FakeBackend, Master, client_of, running

__all__ = ["watched_engine"]


@pytest.fixture(autouse=True)
def _validated(request):
    """What a test of the engine leaves of it agrees with itself."""
    if request.module.__name__.rpartition(".")[2].startswith("test_engine_"):
        request.getfixturevalue("watched_engine")


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def leader(backend):
    """A master that leads, with its gRPC server."""
    with running(Master(backend)) as (master,):
        yield master


@pytest.fixture
def client(leader):
    with client_of(leader) as client:
        yield client


@pytest.fixture(scope="module")
def redis():
    """One Redis for all tests of a file."""
    with Redis() as redis:
        yield redis


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory):
    """One lab for all tests of a file; each begins by setting right what it needs."""
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab):
    """Two masters and two workers that run five tasks, 3 and 2."""
    shared_lab.settle()
    return shared_lab

"""Masters for the tests of the API."""

import pytest

from tests.unit.api.fakes import FakeBackend, Master


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def web(backend):
    """Flask's client of a leading master that has no gRPC server running."""
    return Master(backend).web

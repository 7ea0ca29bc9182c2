"""After each test of the engine its state is validated."""

import pytest

from tests.engine_state import watched_engine

__all__ = ["watched_engine"]


@pytest.fixture(autouse=True)
def _validated(request):
    """What a test of the engine leaves of it agrees with itself."""
    if request.module.__name__.rpartition(".")[2].startswith("test_engine_"):
        request.getfixturevalue("watched_engine")

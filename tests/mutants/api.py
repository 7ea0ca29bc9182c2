"""What keeps the API answering."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "a leader that does not answer is asked all the time",
        "crawler/api/rpc/bulkhead.py",
        "        if self.breaker.state is not State.OPEN:",
        "        if True:",
        "tests/integration/test_api_bulkhead.py -k costs_three",
    ),
    Mutant(
        "a client may ask as often as it likes",
        "crawler/api/limiter.py",
        "not self._throttle.limit(client).limited",
        "True",
        "tests/unit/api/test_limiter.py",
    ),
]

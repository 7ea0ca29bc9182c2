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
        "a coding of the body that nobody knows is passed over",
        "crawler/api/http/request_head.py",
        '        if coding.lower() != "chunked":',
        "        if False:",
        "tests/unit/api/test_request_head.py -k not_exactly_chunked",
    ),
    Mutant(
        "one client may have all streams",
        "crawler/api/rpc/places.py",
        "        if self._taken.get(client, 0) >= self._most_of_client:",
        "        if False:",
        "tests/integration/test_api_places.py -k idle_watches",
    ),
    Mutant(
        "a call without a message stays for ever",
        "crawler/api/rpc/reading.py",
        "    limit = gevent.Timeout(MESSAGE_S)",
        "    limit = gevent.Timeout(None)",
        "tests/integration/test_api_places.py -k without_a_message",
    ),
    Mutant(
        "a client may ask as often as it likes",
        "crawler/api/limiter.py",
        "not self._throttle.limit(client).limited",
        "True",
        "tests/unit/api/test_limiter.py",
    ),
]

"""What keeps the API answering."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "a connection that makes no calls stays for ever",
        "crawler/api/rpc/server.py",
        '        ("grpc.max_connection_idle_ms", IDLE_S * 1000),\n',
        "",
        "tests/integration/test_api_server.py -k without_calls",
    ),
    Mutant(
        "one client takes all connections",
        "crawler/api/rpc/server.py",
        '        ("grpc.max_allowed_incoming_connections", most_connections()),\n',
        "",
        "tests/integration/test_api_server.py -k cannot_take_all",
    ),
    Mutant(
        "a change whose outcome is unknown is asked of the next master",
        "crawler/api/rpc/any_client.py",
        "return self._first(method, request, call, (Unavailable, Overloaded))",
        "return self._read(method, request, call)",
        "tests/integration/test_cli_cluster.py -k outcome_is_unknown",
    ),
    Mutant(
        "a spider that nobody offers is taken",
        "crawler/node/master/backend.py",
        "Add(spec, objection, faults, self._alone, waits=waits)",
        "Add(spec, faults=faults)",
        "tests/integration/test_nodes.py -k a_spider_that_no_live",
    ),
    Mutant(
        "a task gets a new spider that nobody offers",
        "crawler/node/master/commands.py",
        "        if _code_of(present.spec) != _code_of(self.spec):",
        "        if False:",
        "tests/integration/test_nodes.py -k update_to_a_spider",
    ),
    Mutant(
        "a server that stops cancels the calls that it has not yet taken up",
        "crawler/api/rpc/server.py",
        "            self._await_quiet(deadline_s)",
        "            pass",
        "tests/integration/test_api_server.py -k have_arrived",
    ),
    Mutant(
        "a client that vanished in the middle of a watch keeps its place for ever",
        "crawler/api/rpc/server.py",
        '        ("grpc.keepalive_time_ms", int(ALIVE_S * 1000)),\n',
        "",
        "tests/integration/test_api_server.py -k ping_unanswered",
    ),
    Mutant(
        "a ping has a minute for its answer",
        "crawler/api/rpc/server.py",
        '        ("grpc.http2.ping_timeout_ms", int(ANSWER_S * 1000)),\n',
        "",
        "tests/integration/test_api_server.py -k ping_unanswered",
    ),
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
        "a server that stops resets the requests that it has not yet read",
        "crawler/api/http/server.py",
        "        while self._has_unread() and",
        "        while False and",
        "tests/integration/test_api_http.py -k have_arrived",
    ),
    Mutant(
        "a client is told to send its body after it was answered",
        "crawler/api/http/chunked.py",
        "        self._begun = True\n        while",
        "        while",
        "tests/integration/test_api_http.py -k after_its_answer",
    ),
    Mutant(
        "one client may have all streams",
        "crawler/api/places.py",
        "        if self._taken.get(client, 0) >= self._most_of_client:",
        "        if False:",
        "tests/integration/test_api_places.py -k idle_watches",
    ),
    Mutant(
        "a call without a message stays for ever",
        "crawler/api/rpc/admission.py",
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

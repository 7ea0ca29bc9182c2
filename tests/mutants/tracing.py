"""What keeps the spans of a task in one trace, and the collector out of everybody's way."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_DRAFT = "crawler/node/master/draft.py"
_OTLP = "crawler/tracing/otlp.py"
_QUEUE = "crawler/tracing/span_queue.py"
_TRACES = "tests/unit/node/test_traces.py"
_REAL = "tests/integration/test_tracing.py"
_WAITING = "tests/unit/tracing/test_span_queue.py"

MUTANTS = [
    Mutant(
        "a task that moves loses its trace",
        "crawler/model/records.py",
        "*(self.trace, self.foreign, 0, 0)",
        '*("", self.foreign, 0, 0)',
        f"{_TRACES} -k retries_and_moves",
    ),
    Mutant(
        "whoever changes a label takes a run that goes on into another trace",
        _DRAFT,
        "return stored is None or resource.owner is None or resource.epoch != stored.epoch",
        "return True",
        f"{_TRACES} -k asks_for_a_run",
    ),
    Mutant(
        "the trace of one request is that of the next one, too",
        "crawler/node/master/command_queue.py",
        '            draft.trace = ""',
        "            pass",
        f"{_TRACES} -k asks_for_a_run",
    ),
    Mutant(
        "shards have no trace",
        "crawler/node/master/shards.py",
        "return made.replace(trace=head.trace)",
        "return made",
        f"{_TRACES} -k shards",
    ),
    Mutant(
        "a forward to the leader begins another trace",
        "crawler/api/rpc/client.py",
        "            found.append((TRACEPARENT, call.trace))",
        "            pass",
        f"{_REAL} -k to_a_follower",
    ),
    Mutant(
        "a worker does not find the placement of its run",
        _OTLP,
        "return TracePlace(asked.trace_id, span_id, asked.flags)",
        "return TracePlace(asked.trace_id, asked.span_id, asked.flags)",
        f"{_REAL} -k to_a_follower",
    ),
    Mutant(
        "spans wait without a bound",
        _QUEUE,
        "if len(self._waiting) >= MOST_WAITING:",
        "if False:",
        f"{_WAITING} -k no_more",
    ),
    Mutant(
        "a node that stops drops its last spans",
        _QUEUE,
        "            self._clock.wait(self._ended, patience_s)",
        "            pass",
        f"{_WAITING} -k sends_what_waits",
    ),
    Mutant(
        "each batch that is not taken is told",
        _QUEUE,
        "if now_s >= self._told_s + TELL_S:",
        "if True:",
        f"{_WAITING} -k once_a_minute",
    ),
]

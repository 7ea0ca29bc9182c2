"""The gRPC metadata that masters, workers and clients exchange beside the messages."""

from __future__ import annotations

import json

from crawler.model.access import Caller, Role

CALLER = "x-crawler-caller"
"""On a forwarded request: who made it. Only nodes may tell that."""

FORWARDED = "x-crawler-forwarded"
"""On a request: a follower forwards it. Nobody forwards it again."""

TRACEPARENT = "traceparent"
"""On a call: the span in which it is made, as W3C writes it."""

ANSWERED = "x-crawler-answered"
"""On an error: the program gave this status, not the transport. A broken connection and a leader
that refuses both give UNAVAILABLE, but only the second means that nothing was done."""

RETRY_AFTER = "retry-after"
"""On an error: the seconds until the same call may succeed."""


def caller_text(caller: Caller) -> str:
    """Return a caller as a node tells another one for whom it passes a call on."""
    told = (caller.name, caller.role.value, dict(caller.labels), caller.address, caller.transport)
    return json.dumps(told)


def caller_from(text: str) -> Caller:
    """Return the caller that a node told."""
    name, role, labels, address, transport = json.loads(text)
    return Caller(name, Role(role), labels, address, transport, is_recorded=True)

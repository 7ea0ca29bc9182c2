"""The gRPC metadata that masters, workers and clients exchange beside the messages."""

from __future__ import annotations

CALLER = "x-crawler-caller"
"""On a forwarded request: who made it. Only nodes may tell that."""

FORWARDED = "x-crawler-forwarded"
"""On a request: a follower forwards it. Nobody forwards it again."""

ANSWERED = "x-crawler-answered"
"""On an error: the program gave this status, not the transport. A broken connection and a leader
that refuses both give UNAVAILABLE, but only the second means that nothing was done."""

RETRY_AFTER = "retry-after"
"""On an error: the seconds until the same call may succeed."""

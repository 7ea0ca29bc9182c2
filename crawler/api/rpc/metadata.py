"""The gRPC metadata that masters, workers and clients exchange beside the messages."""

from __future__ import annotations

FORWARDED = "x-crawler-forwarded"
"""On a request: a follower passes it on; it is not passed on again."""

ANSWERED = "x-crawler-answered"
"""On an error: the program gave this status, not the transport. A broken connection and a leader
that declines are both UNAVAILABLE, but only the second says that nothing was acted upon."""

RETRY_AFTER = "retry-after"
"""On an error: seconds until the same call may succeed."""

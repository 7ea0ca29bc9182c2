"""What a node tells its guard: one JSON object a packet, with descriptors beside it.

The socket keeps packets apart, and descriptors with their packet (unix(7), SOCK_SEQPACKET), so a
message needs no length. Only the standard library is imported: the guard is a small process.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

BEGIN = "begin"
"""First of all: how to reach etcd, and how to log. Beside it: a pidfd of the node, and the page."""
HOLD = "hold"
"""The node has this lease, of `ttl_s` seconds."""
RELEASE = "release"
"""The node has given its lease up itself."""
WATCH = "watch"
"""Crawl processes: of each of `those` its number and its group, and beside the message, in the same
order, their pidfds."""
FORGET = "forget"
"""The crawl process of that `number` has ended, and its group."""
GO = "go"
"""The node stops in order: end, and change nothing."""

_MOST_BYTES = 65_536
MOST_FDS = 250
"""How many descriptors may come with a message. unix(7) allows 253."""


def send(to: socket.socket, kind: str, fds: Sequence[int] = (), **body: Any) -> None:
    """Send a message. Raises OSError; BlockingIOError if the other end reads nothing."""
    socket.send_fds(to, [json.dumps({"kind": kind, **body}).encode()], list(fds))


def receive(of: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors, or None if nobody can send one any more.

    Raises BlockingIOError if there is none yet.
    """
    packet, fds, _, _ = socket.recv_fds(of, _MOST_BYTES, MOST_FDS)
    return (json.loads(packet), fds) if packet else None

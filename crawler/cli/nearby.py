"""How a command reaches a worker of its own machine."""

from __future__ import annotations

import contextlib
import socket

LOOPBACK = "127.0.0.1"


def nearest(address: str) -> str:
    """Return the address at which to ask a node: that of loopback if the node is on this machine.

    Masters name a worker by the address that others use. In protected mode it answers those alone
    who come by loopback.
    """
    host, _, port = address.rpartition(":")
    return f"{LOOPBACK}:{port}" if _is_of_this_machine(host) else address


def _is_of_this_machine(host: str) -> bool:
    """Return whether an interface of this machine has that IPv4 address: one can bind to it."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        socket.inet_aton(host)  # a name would be looked up
        probe.bind((host, 0))
        return True
    return False

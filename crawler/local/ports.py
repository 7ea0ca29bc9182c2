"""Finds free ports of this machine for servers."""

from __future__ import annotations

import contextlib
import random
import socket

from crawler.errors import Unavailable

# Below the range from which Linux and BSD take the ports of outgoing connections. A client that
# keeps calling a stopped server's port in that range may get this port as its own, connect to
# itself, and so keep the server from starting again.
_FIRST, _LAST = 20_000, 32_000


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return `count` different ports on which nobody listens now. Raises Unavailable if there are
    too few.

    The ports are not reserved: use them soon, and be ready to ask again.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.sample(range(_FIRST, _LAST), 100 + count):
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise Unavailable(f"found no {count} free ports on {host} from {_FIRST} to {_LAST}")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # As servers do: connections that ended a moment ago do not occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True

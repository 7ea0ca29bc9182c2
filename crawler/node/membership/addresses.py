"""The address at which a node listens, and the one that it announces to others."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

SIOCGIFADDR = 0x8915
"""Linux's request for an interface's IPv4 address (netdevice(7))."""


class Listen(NamedTuple):
    """Where a server listens."""

    host: str
    """Empty for all interfaces."""
    port: int

    @property
    def bind(self) -> str:
        """The host:port to bind."""
        return f"{self.host or '0.0.0.0'}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_listen(text: str) -> Listen:
    """Parse `:port` or `host:port`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not :port or host:port")
    return Listen(host, int(port))


def advertised(listen: Listen, port: int) -> str:
    """Return the address for others: the given host, else the first non-loopback IPv4 address."""
    everywhere = listen.host in ("", "0.0.0.0")
    return f"{first_ipv4() if everywhere else listen.host}:{port}"


def first_ipv4() -> str:
    """Return the first non-loopback IPv4 address of this machine; 127.0.0.1 if it has none."""
    found = (address for address in _addresses() if not address.startswith("127."))
    return next(found, "127.0.0.1")


def _addresses() -> Iterator[str]:
    """Yield the addresses of the interfaces in their order. If these cannot be listed, yield those
    of the host name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
            except OSError:  # no IPv4 address, or not Linux
                continue
            yield socket.inet_ntoa(answer[20:24])
    try:
        yield from socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        return

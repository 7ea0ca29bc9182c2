"""Decides which addresses a worker may connect to: public ones, and networks the operator allows.

Only a connection shows what a name resolves to, and that may change at any moment. So the worker
judges the address of every connection, never the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import inet_aton, inet_ntoa

from crawler.errors import ConfigError

ALL = "all"
"""The word for every network."""
_NAT64 = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


class AddressPolicy:
    """Judges addresses.

    It refuses private, loopback, link-local, shared, multicast and reserved addresses, unless they
    lie in one of `private_targets`: networks such as `10.0.0.0/8`, or `all`.
    """

    def __init__(self, private_targets: Sequence[str] = ()) -> None:
        self.allows_all = ALL in private_targets
        """Whether every address is allowed."""
        self._allowed = [_network(text) for text in private_targets if text != ALL]

    def allows(self, address: str) -> bool:
        """Whether a numeric address is allowed. A text that is no address is not."""
        if self.allows_all:
            return True
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return all(_is_public(each) or self._is_allowed(each) for each in _meant(found))

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)


def numeric(host: str) -> str:
    """The address in a host, as libcurl reads it. Empty if the host is a name.

    `0x7f.1` is 127.0.0.1, and `localhost` is a loopback address.
    """
    bare = host.strip("[]").rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return "127.0.0.1"
    if ":" in bare:
        return bare
    try:
        return inet_ntoa(inet_aton(bare)) if bare[-1:].isalnum() else ""
    except OSError:
        return ""


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(
            f"worker.private_targets: {text!r} is not allowed; allowed: networks such as"
            f" 10.0.0.0/8 or fd00::/8, or {ALL}"
        ) from None


def _meant(address: Address) -> Sequence[Address]:
    """The addresses that a connection reaches: an IPv6 address can contain IPv4 ones."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or (address,)


def _is_public(address: Address) -> bool:
    if address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return address.is_global and not getattr(address, "is_site_local", False)

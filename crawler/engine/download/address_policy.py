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

# IANA, IPv4 Special-Purpose Address Registry, as of October 2025, without what it calls globally
# reachable; and its IPv4 Multicast Address Space Registry. Python's own table (`is_global`) differs
# from one version to the next.
_SPECIAL_V4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    224.0.0.0/4 240.0.0.0/4
"""
_REACHABLE_V4 = "192.0.0.9/32 192.0.0.10/32"

# IANA, IPv6 Special-Purpose Address Registry, as of October 2025. Of the IPv6 address space only
# 2000::/3 is given out for global unicast; all else is special, or reserved: ::/96, 100::/64,
# 100:0:0:1::/64, 64:ff9b:1::/48, 5f00::/16, fc00::/7, fe80::/10, fec0::/10, ff00::/8.
_GLOBAL_V6 = "2000::/3"
_SPECIAL_V6 = "2001::/23 2001:db8::/32 3fff::/20"
_REACHABLE_V6 = "2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48"

_NAT64 = ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The middle of an IPv6 address whose last 32 bits are an IPv4 one (RFC 5214, 6.1)."""

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
        return self._is_allowed(found) or all(
            _is_public(each) or self._is_allowed(each) for each in _meant(found)
        )

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
    """The addresses that a connection reaches: an IPv6 address can contain IPv4 ones.

    They are those of NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380) and ISATAP (RFC 5214).
    """
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64:
        return (last,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        return (address, last)
    return address.teredo or (address,)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not _in(address, _V4[0]) or _in(address, _V4[1])
    return _in(address, _V6[2]) and (not _in(address, _V6[0]) or _in(address, _V6[1]))


def _in(address: Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _networks(*texts: str) -> Sequence[Sequence[IPv4Network | IPv6Network]]:
    return [[ip_network(each) for each in text.split()] for text in texts]


_V4 = _networks(_SPECIAL_V4, _REACHABLE_V4)
_V6 = _networks(_SPECIAL_V6, _REACHABLE_V6, _GLOBAL_V6)

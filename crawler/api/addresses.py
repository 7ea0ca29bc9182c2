"""Addresses of callers, as people read them."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

_MAPPED = "::ffff:"


def plain(address: str) -> str:
    """Return an address; one of IPv4 as such, also where a socket of IPv6 has taken it."""
    if not address.startswith(_MAPPED):  # ip_address takes longer, and each call comes here
        return address
    try:
        found = ip_address(address)
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped) if mapped else address

"""Tells whether a proxy has passed a call on, so that its address is not the caller's."""

from __future__ import annotations

from collections.abc import Iterable

NAMES = frozenset(
    {
        *("forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip"),
        *("cf-connecting-ip", "true-client-ip", "cdn-loop"),
    }
)
"""The headers that proxies add, in small letters."""
BEGINNINGS = ("x-forwarded-", "x-envoy-")
"""How others of them begin."""

_NAMES_IN_WSGI = frozenset(f"HTTP_{name.upper().replace('-', '_')}" for name in NAMES)
_BEGINNINGS_IN_WSGI = tuple(f"HTTP_{each.upper().replace('-', '_')}" for each in BEGINNINGS)


def in_metadata(names: Iterable[str]) -> bool:
    """Return whether a proxy has added something to the metadata of a gRPC call."""
    return any(name in NAMES or name.startswith(BEGINNINGS) for name in names)


def in_environ(names: Iterable[str]) -> bool:
    """Return whether a proxy has added something to the headers of a request of WSGI."""
    return any(name in _NAMES_IN_WSGI or name.startswith(_BEGINNINGS_IN_WSGI) for name in names)

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


def in_metadata(names: Iterable[str]) -> str:
    """Return which key of the metadata of a gRPC call a proxy has added; empty if none is."""
    found = (name for name in names if name in NAMES or name.startswith(BEGINNINGS))
    return next(found, "").title()


def in_environ(names: Iterable[str]) -> str:
    """Return which header of a request of WSGI a proxy has added; empty if none is."""
    for name in names:
        if name in _NAMES_IN_WSGI or name.startswith(_BEGINNINGS_IN_WSGI):
            return name.removeprefix("HTTP_").replace("_", "-").title()
    return ""

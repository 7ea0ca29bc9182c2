"""Which versions of etcd keep its promises, and what to say of an older one."""

from __future__ import annotations

import re

LEAST = {(3, 5): 28, (3, 6): 9}
"""Minor version → its first patch without the faults that cost leases and watch events: revoked
leases that were alive, and events that a watch never got."""

ASKED = "3.5.28 or later, of 3.6 at least 3.6.9"


def objection(version: str) -> str:
    """Return what is wrong with that version of etcd, or an empty text. `version` is what etcd
    says: `3.5.28`, perhaps with a suffix. A text that is no version is not judged."""
    found = re.match(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", version)
    if found is None:
        return ""
    major, minor, patch = map(int, found.groups())
    newest = max(LEAST)
    if (major, minor) > newest or patch >= LEAST.get((major, minor), patch + 1):
        return ""
    what = "can revoke leases wrongly and lose watch events"
    return f"etcd {version} {what}; use {ASKED} (docs/etcd.md)"

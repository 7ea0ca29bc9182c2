"""The id of a cluster: by it, what lies outside etcd knows whose it is."""

from __future__ import annotations

import secrets

from crawler.coordination.keys import Keys
from crawler.coordination.store import Get, Put, Store, absent


def cluster_id(store: Store, keys: Keys) -> str:
    """Return the id of the cluster. The first who asks makes it. Raises Retryable,
    StoreRefused."""
    made = secrets.token_hex(8)
    result = store.txn(
        [absent(keys.cluster)], [Put(keys.cluster, made.encode())], [Get(keys.cluster)]
    )
    found = None if result.succeeded else result.gets[0]
    return found.value.decode(errors="replace") if found is not None else made

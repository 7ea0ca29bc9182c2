"""The numbers that every node shows: its lease, its hub, its connection to etcd."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gevent

from crawler.api.tls import Certificates
from crawler.coordination.etcd.client import MOST_CALLS
from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.store import Store
from crawler.hub import HubWatch
from crawler.metrics import Metrics
from crawler.node.membership.membership import Membership

ETCD_TROUBLE = {
    "reconnects": "How often another connection to etcd took over.",
    "misses": "Calls to etcd whose deadline passed without an answer.",
    "silent_watches": "Watches given up because nothing was heard of etcd.",
}
"""What the connection to etcd counts, and the help text of each count."""


def measure_node(
    metrics: Metrics,
    membership: Membership,
    hub: HubWatch,
    store: Store,
    greenlets: Callable[[], int],
) -> None:
    """Export the numbers of a node. `greenlets` counts those that the node itself has started."""
    metrics.gauge_of(
        "crawler_lease_remaining_seconds",
        "Time until this node must have stopped, without another renewal of its lease.",
        membership.remaining_s,
    )
    metrics.gauge_of(
        "crawler_lease_margin",
        "Smallest share left of the present lease's time to live since this was last read.",
        membership.take_margin,
    )
    metrics.gauge_of(
        "crawler_greenlets",
        "Greenlets that the node itself has started, without those of its session.",
        greenlets,
    )
    threads = gevent.get_hub().threadpool
    metrics.queue("native threads", threads.maxsize, lambda: len(threads))
    _measure_hub(metrics, hub)
    if isinstance(store, EtcdStore):
        _measure_etcd(metrics, store)


def measure_certificates(metrics: Metrics, certificates: Certificates) -> None:
    """Export how long the certificate of a node with TLS still counts."""
    metrics.gauge_of(
        "crawler_certificate_seconds_left",
        "Time until the certificate of this node ends.",
        certificates.seconds_left,
    )


def _measure_hub(metrics: Metrics, hub: HubWatch) -> None:
    metrics.counter_of(
        "crawler_hub_blockages",
        "How often a callback kept the hub from turning for longer than node.hub_limit_s.",
        lambda: hub.blockages,
    )
    metrics.counter_of(
        "crawler_hub_blocked_seconds",
        "How long callbacks kept the hub from turning, in total.",
        lambda: hub.blocked_s,
    )
    metrics.counter_of(
        "crawler_processor_missed_seconds",
        "How long the process got no processor, each time for longer than node.hub_limit_s.",
        lambda: hub.missed_s,
    )


def _measure_etcd(metrics: Metrics, store: EtcdStore) -> None:
    counts = store.counts
    metrics.queue("calls to etcd", MOST_CALLS, lambda: counts.calls)
    metrics.gauge_of("crawler_etcd_watches", "Watches open at etcd.", lambda: counts.watches)
    for name, help in ETCD_TROUBLE.items():
        metrics.counter_of(f"crawler_etcd_{name}", help, partial(getattr, counts, name))

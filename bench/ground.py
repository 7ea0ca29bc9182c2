"""A real etcd to measure on, with workers and tasks in it, and the client of production."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.scenes import Resources
from crawler.clock import SystemClock
from crawler.coordination.codec import encode_resource
from crawler.coordination.election import Election
from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.keys import WORKER, Keys
from crawler.coordination.lease import Lease
from crawler.coordination.registration import encode_node
from crawler.coordination.registry import decode_registration
from crawler.coordination.store import Put
from crawler.hub import HubWatch
from crawler.local.etcd import EmbeddedEtcd
from crawler.model.records import Leadership, Node
from crawler.settings.sections import CoordinationSettings, NodeSettings
from crawler.supervision import Supervisor

FLAGS = {"unsafe-no-fsync": "false", "quota-backend-bytes": "8000000000"}
"""What was committed is on the disk: the etcd of the tests does not wait for that."""

BATCH = 120
"""Writes in one transaction."""


@dataclass(frozen=True)
class Ground:
    """An etcd and what it takes to write there as a leader."""

    etcd: EmbeddedEtcd
    store: EtcdStore
    keys: Keys
    supervisor: Supervisor
    hub: HubWatch

    def fill(self, workers: Sequence[Node], resources: Resources) -> None:
        """Put workers and tasks there, as they would stand."""
        service = self.keys.service(WORKER)
        self.put(
            Put(self.keys.registration(WORKER, each.id), encode_node(service, each))
            for each in workers
        )
        self.put(
            Put(self.keys.resource(name), encode_resource(resource))
            for name, resource in resources.items()
        )

    def workers(self) -> Sequence[Node]:
        """The workers that are there, each with its incarnation."""
        found = self.store.range(self.keys.registrations(WORKER)).items
        return [decode_registration(kv) for kv in found]

    def put(self, puts: Iterable[Put]) -> None:
        """Write all, in batches."""
        rest = iter(puts)
        while batch := list(itertools.islice(rest, BATCH)):
            self.store.txn([], batch)

    def elected(self) -> tuple[Leadership, Lease]:
        """Lead, under a lease that is kept as a node keeps it."""
        settings = CoordinationSettings()
        clock = SystemClock()
        self.hub.start()
        lease = Lease.grant(self.store, settings.lease_ttl_s, clock)
        lease.keep(self.supervisor, self.hub)
        election = Election(self.store, self.keys, clock)
        return election.campaign(lease, "master1-127.0.0.1:9091"), lease


@contextmanager
def open_ground() -> Iterator[Ground]:
    """An etcd of its own."""
    etcd = EmbeddedEtcd(flags=FLAGS)
    etcd.start()
    store = EtcdStore([etcd.endpoint])
    supervisor = Supervisor("bench")
    hub = HubWatch(NodeSettings().hub_limit_s)
    try:
        yield Ground(etcd, store, Keys(CoordinationSettings()), supervisor, hub)
    finally:
        hub.stop()
        supervisor.stop()
        store.close()
        etcd.stop()

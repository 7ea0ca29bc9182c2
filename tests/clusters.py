"""Whole nodes in the test's own process, on one store: as many masters and workers as needed."""

from __future__ import annotations

import dataclasses
import http.client
import json

from crawler.api.backend import Call
from crawler.coordination.codec import decode_stored
from crawler.coordination.keys import MASTER, WORKER, Keys
from crawler.coordination.memory import MemoryStore
from crawler.errors import CrawlerError, Unavailable
from crawler.model.records import Query
from crawler.node.node import Node
from crawler.settings.scheduler import SchedulerSettings
from crawler.settings.sections import (
    ApiSettings,
    CoordinationSettings,
    HistorySettings,
    NodeSettings,
    Settings,
)
from crawler.settings.worker import IN_PROCESS, WorkerSettings
from tests.clients import Client
from tests.waiting import PATIENCE_S, eventually

CALL = Call(timeout_s=20.0)
KEYS = Keys(CoordinationSettings())


class Shared:
    """A store that many nodes of one process use: a node that stops does not close it."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def close(self):
        """Leave it to the test."""


class Unreachable(Shared):
    """A store that can be cut off from one node, as by a broken network."""

    cut = False

    def __getattr__(self, name):
        if self.cut:
            raise Unavailable("the network is down")
        return super().__getattr__(name)


class Cluster:
    """Starts nodes and stops what still runs at the end."""

    def __init__(self, tmp_path, store=None, ttl_s=60):
        self.store = store or MemoryStore()
        self.tmp_path = tmp_path
        self.ttl_s = ttl_s
        self.nodes = []
        self.clients = []

    def settings(self, name="", spiders=(), **sections):
        base = Settings(
            node=NodeSettings(id=name, http="127.0.0.1:0", grpc="127.0.0.1:0", drain_s=0.05),
            coordination=CoordinationSettings(lease_ttl_s=self.ttl_s),
            scheduler=SchedulerSettings(check_s=1.0),
            api=ApiSettings(timeout_s=3.0),
            worker=WorkerSettings(
                items=str(self.tmp_path / "items"),
                report_s=0.1,
                private_targets=["127.0.0.0/8"],
                processes=IN_PROCESS,
            ),
            spiders=tuple(spiders),
            history=HistorySettings(url=""),  # few tests look at it
            folder=str(self.tmp_path),
        )
        return dataclasses.replace(base, **sections)

    def master(self, name, store=None, **sections):
        return self._start(MASTER, self.settings(name, **sections), store)

    def worker(self, name, spiders=(), store=None, **sections):
        return self._start(WORKER, self.settings(name, spiders, **sections), store)

    def _start(self, role, settings, store):
        node = Node(role, settings, store=store or Shared(self.store))
        node.start()
        self.nodes.append(node)
        key = KEYS.registration(role, KEYS.node_id(role, settings.node.id))
        eventually(lambda: self.store.get(key), what=f"{key} registers")
        return node

    def stop(self):
        for client in self.clients:
            client.close()
        for node in reversed(self.nodes):
            node.stop()
        self.store.close()

    def resources(self):
        """What is stored, by name."""
        decoded = [decode_stored(KEYS, kv) for kv in self.store.range(KEYS.resources).items]
        return {resource.name: resource for resource in decoded if resource}

    def raw(self):
        """The bytes of each resource."""
        stored = self.store.range(KEYS.resources).items
        return {kv.key: kv.value for kv in stored if decode_stored(KEYS, kv)}

    def owners(self):
        """Name → the number of its worker, or None."""
        return {
            name: resource.owner and resource.owner.node_id.rpartition("-")[2]
            for name, resource in self.resources().items()
        }

    def client(self, node=None):
        """A client to a node, once the cluster answers through it."""
        node = node or self.nodes[0]
        client = Client(node.address, secret=node.secret)
        self.clients.append(client)
        eventually(lambda: answers(client), what="a leader is ready")
        return client


def answers(client):
    """Whether requests are answered at present."""
    try:
        client.list(Query(1), CALL)
    except CrawlerError:
        return False
    return True


def request(node, method, path, body=None):
    """An HTTP request to a node: status, headers, and the JSON of the body."""
    connection = http.client.HTTPConnection(node.http_address, timeout=PATIENCE_S)
    headers = {"content-type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), json.loads(raw)

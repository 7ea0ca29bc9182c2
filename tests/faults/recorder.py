"""Writes down everything that etcd is told, from before the first node starts."""

from __future__ import annotations

import json
import time

import gevent

from crawler.coordination.etcd.store import EtcdStore
from crawler.errors import Retryable
from tests.faults.history import Entry
from tests.waiting import PATIENCE_S, eventually

AGAIN_S = 0.05


class Recorder:
    """One watch on everything, straight at etcd: no fault of a node's link reaches it."""

    def __init__(self, endpoints):
        self.entries = []
        """Each change of each key, in the order of the revisions."""
        self._store = EtcdStore(endpoints)
        self._greenlet = None

    def start(self):
        """Begin with the very first revision."""
        self._greenlet = gevent.spawn(self._record)

    def stop(self):
        """Record no more."""
        self._greenlet.kill()
        self._store.close()

    @property
    def revision(self):
        """Everything up to here was recorded."""
        return self.entries[-1].revision if self.entries else 0

    def catch_up(self, within_s=PATIENCE_S):
        """Wait until everything that etcd holds now is recorded; the entries."""
        eventually(self._has_all, within_s, "the recorder has seen everything")
        return self.entries

    def save(self, path):
        """Write the entries as lines of JSON, for whoever wants to know how it came about."""
        with path.open("w") as file:
            for entry in self.entries:
                line = {**entry._asdict(), "value": entry.value and entry.value.decode()}
                file.write(json.dumps(line) + "\n")

    def _has_all(self):
        try:
            found = self._store.range("/").items
        except Retryable:  # etcd is just coming back
            return False
        return self.revision >= max((kv.mod_revision for kv in found), default=0)

    def _record(self):
        while True:
            watch = None
            try:
                watch = self._store.watch("/", self.revision + 1, previous=True)
                for batch in watch:
                    self._take(batch.events, time.monotonic())
            except Retryable:
                gevent.sleep(AGAIN_S)
            finally:
                if watch is not None:
                    watch.close()

    def _take(self, events, now_s):
        for event in events:
            kv = event.current or event.previous
            value = event.current.value if event.current else None
            created = kv.create_revision if kv else 0
            self.entries.append(Entry(event.revision, now_s, event.key, value, created))

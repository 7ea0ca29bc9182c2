"""A client as one should be: it asks any master, and repeats whatever it is in doubt about."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from urllib.parse import quote

import gevent

from tests.integration.lab import call

REPEATED = (429, 500, 503, 504)
"""Statuses that say "not now", or that nobody knows."""
AGAIN_S = 0.05
TRY_S = 2.0
"""How long it waits for one answer before it asks another master."""


class Client:
    """Adds and deletes tasks of the lab, and remembers what was acknowledged."""

    def __init__(self, lab):
        self._lab = lab
        self._turn = itertools.count()
        self.acknowledged = {}
        """Task → monotonic moment at which its add was answered."""
        self.deleted = set()
        """Tasks whose delete was asked for, answered or not."""

    def add(self, name, within_s=30.0, task=None):
        """Add a task, by default one that crawls for ever; when that was acknowledged."""
        task = task or self._lab.specification(name)
        self._repeat("POST", "/crawler/resource", task, within_s, done=(200,))
        self.acknowledged[name] = time.monotonic()
        return self.acknowledged[name]

    def delete(self, name, within_s=30.0):
        """Delete a task; one that is gone was deleted by an attempt whose answer was lost."""
        self.deleted.add(name)
        self._repeat("DELETE", f"/crawler/resource/{quote(name)}", None, within_s, done=(200, 404))

    def add_schedule(self, wish, within_s=30.0):
        """Add a schedule; one that is there was added by an attempt whose answer was lost."""
        self._repeat("POST", "/crawler/schedule", wish, within_s, done=(200, 409))

    def delete_schedule(self, name, within_s=30.0):
        """Delete a schedule, likewise."""
        self._repeat("DELETE", f"/crawler/schedule/{name}", None, within_s, done=(200, 404))

    def ask(self, name, verb, within_s=30.0):
        """Pause a task, or resume it; one that has ended meanwhile refuses that (400)."""
        path = f"/crawler/resource/{quote(name)}/{verb}"
        self._repeat("POST", path, None, within_s, done=(200, 400))

    def _repeat(self, method, path, body, within_s, done):
        deadline_s = time.monotonic() + within_s
        answer = None
        while time.monotonic() < deadline_s:
            answer = self._try(method, path, body)
            if answer and answer[0] in done:
                return
            assert answer is None or answer[0] in REPEATED, f"{method} {path}: {answer}"
            gevent.sleep(AGAIN_S)
        raise AssertionError(f"{method} {path}: not done within {within_s} s, last: {answer}")

    def _try(self, method, path, body):
        """Status and body of one answer, None without one."""
        masters = [node for node in self._lab.nodes("master") if node.process.alive]
        if not masters:
            return None
        master = masters[next(self._turn) % len(masters)]
        try:
            status, _, raw = call(master.http, method, path, body, timeout_s=TRY_S)
        except (OSError, http.client.HTTPException):
            return None
        return status, json.loads(raw or b"null")

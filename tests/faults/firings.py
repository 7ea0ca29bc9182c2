"""Schedules while things go wrong: what each of their times must bring, and those of a soak."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.faults.arena import unless_etcd_is_silent
from tests.faults.history import Entry, Violation, resource_name
from tests.site import Site
from tests.site.asked import html

SCHEDULES = "/crawler/schedules/"
KEPT = 3
"""So many schedules stand at a time."""
EVERY_S = 5
REST_S = 30.0
"""After so long one is replaced: a clock that went far ahead lets those that stand fire no more."""


def firings(entries: Iterable[Entry]) -> tuple[list[Violation], Counter[str]]:
    """Replay a history of schedules with tasks of their own for each time (`allow`). Return what
    must never be, and how many times `fired` or were `missed`, and how many firings a later leader
    ended (`taken over`)."""
    replay = _Replay()
    for entry in entries:
        replay.take(entry)
    replay.end()
    return replay.found, replay.counts


class _Replay:
    def __init__(self) -> None:
        self.found: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self._schedules: dict[str, dict[str, Any]] = {}
        self._leaders: dict[str, int] = {}
        """Schedule → who led when its firing was stored."""
        self._candidates: set[int] = set()
        self._moments: set[tuple[str, int, int]] = set()
        self._begun: Counter[str] = Counter()
        """The tasks of firings, and how often each was added."""

    def take(self, entry: Entry) -> None:
        name = resource_name(entry.key)
        if entry.key.startswith(SCHEDULES):
            self._take_schedule(entry, entry.key.removeprefix(SCHEDULES))
        elif entry.key.startswith("/resources/election/"):
            change = self._candidates.discard if entry.value is None else self._candidates.add
            change(entry.created)
        elif name is not None and entry.value is not None:
            self._take_task(entry, name)

    def end(self) -> None:
        """Judge the firings that are stored at the end."""
        for name, schedule in self._schedules.items():
            if schedule["Firing"] is not None:
                self._blame(0, f"{name}: {schedule['Firing']} was never carried out")

    def _take_schedule(self, entry: Entry, name: str) -> None:
        before = self._schedules.pop(name, None)
        if entry.value is None:
            return
        after = self._schedules[name] = json.loads(entry.value)
        was = None if before is None else before["Firing"]
        if before is not None and after["Decided"] < before["Decided"]:
            self._blame(entry.revision, f"{name}: a decision was taken back")
        if was is not None and after["Firing"] != was:
            self._judge_end(entry, name, was, after["Outcome"])
        if after["Firing"] is not None and after["Firing"] != was:
            self._judge_begin(entry, name, after)

    def _judge_begin(self, entry: Entry, name: str, schedule: dict[str, Any]) -> None:
        moment = (name, schedule["CreationTime"], schedule["Firing"]["Moment"])
        if moment in self._moments:
            self._blame(entry.revision, f"{name}: {schedule['Firing']} fired before")
        self._moments.add(moment)
        self._begun.setdefault(schedule["Firing"]["Task"], 0)
        self._leaders[name] = min(self._candidates, default=0)

    def _judge_end(self, entry: Entry, name: str, firing: dict[str, Any], outcome: str) -> None:
        if outcome.startswith("missed"):
            self.counts["missed"] += 1
            return
        self.counts["fired"] += 1
        self.counts["taken over"] += self._leaders[name] != min(self._candidates, default=0)
        if not self._begun[firing["Task"]]:
            self._blame(entry.revision, f"{name}: {firing} is lost: its task never was")

    def _take_task(self, entry: Entry, name: str) -> None:
        if name not in self._begun:
            return
        is_new = entry.created == entry.revision
        self._begun[name] += is_new
        if (is_new and self._begun[name] > 1) or json.loads(entry.value or b"{}").get("Generation"):
            self._blame(entry.revision, f"{name} began twice")

    def _blame(self, revision: int, text: str) -> None:
        self.found.append(Violation("firing", revision, text))


class Schedules:
    """Schedules of a soak: some stand at a time, and each of their tasks is deleted at its end."""

    def __init__(self, arena, patience_s):
        self.site = Site(pages={"leaf": lambda asked: html("leaf")})
        self._arena = arena
        self._patience_s = patience_s
        self._numbers = itertools.count(1)
        self._standing = []
        self._due_s = 0.0

    def tend(self):
        """Replace the oldest schedule from time to time, and delete the tasks that have ended."""
        now_s = time.monotonic()
        if len(self._standing) == KEPT and now_s >= self._due_s:
            self._delete(self._standing.pop(0))
        while len(self._standing) < KEPT:
            self._due_s = now_s + REST_S
            self._add(f"fired-{next(self._numbers):03}")
        self.look()

    def end(self):
        """Delete all schedules."""
        while self._standing:
            self._delete(self._standing.pop())

    def look(self):
        """Delete the tasks that have ended. Return how many are left."""
        there = self._tasks()
        if there is None:
            return 1
        for name, state in there.items():
            if state in ("done", "failed"):
                self._arena.client.delete(name, self._patience_s)
        return len(there)

    def _add(self, name):
        parameters = {"start_urls": [self.site.url("/leaf/0")], "settings": {"delay_s": 0.0}}
        task = {"name": name, "spider": "tree", "parameters": parameters}
        wish = {"name": name, "when": f"@every {EVERY_S}s", "overlap": "allow", "task": task}
        self._arena.client.add_schedule(wish, self._patience_s)
        self._standing.append(name)

    def _delete(self, name):
        self._arena.client.delete_schedule(name, self._patience_s)

    @unless_etcd_is_silent
    def _tasks(self):
        """Task → state, of those whose firing is over."""
        found = self._arena.lab.resources()  # first: what is there then, and not stored, is over
        stored = self._arena.lab.keys(SCHEDULES)
        firing = [json.loads(raw)["Firing"] for raw, _ in stored.values()]
        going = {each["Task"] for each in firing if each is not None}
        names = [name for name in found if name.startswith("fired-") and name not in going]
        return {name: json.loads(found[name][0])["State"] for name in names}

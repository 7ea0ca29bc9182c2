"""When this process stood still: what it noted then came earlier.

A crawl counts its pause from the beginning of an answer. If an answer takes longer than the pause,
nobody knows when the request has arrived, and the next one may follow at once. So where a site of
the tests was busy, two requests may seem to come too close together.
"""

from __future__ import annotations

import itertools
import time

import gevent

TICK_S = 0.02


class Stalls:
    """Notes when this process stands still for a good part of a pause. It takes a few turns of a
    busy process until a request is noted."""

    def __init__(self, delay_s):
        self._delay_s = delay_s
        self._found = []
        """From, to."""
        self._watching = None

    def start(self):
        self._watching = gevent.spawn(self._watch)

    def stop(self):
        self._watching.kill()

    def early(self, hits):
        """The pairs of requests, one after the other, that came too close together."""
        return [pair for pair in itertools.pairwise(hits) if self._is_early(*pair)]

    def _is_early(self, one, two):
        if two.at_s - one.at_s >= self._delay_s - 0.001:
            return False
        since_s = one.at_s - self._delay_s
        return not any(from_s < two.at_s and to_s > since_s for from_s, to_s in self._found)

    def _watch(self):
        while True:
            before_s = time.monotonic()
            gevent.sleep(TICK_S)
            if time.monotonic() - before_s > TICK_S + self._delay_s / 4:
                self._found.append((before_s, time.monotonic()))

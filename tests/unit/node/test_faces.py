"""What callers reach of a node ends in order."""

from itertools import takewhile

import gevent

from crawler.api.health import Health
from crawler.api.service import Service
from crawler.clock import SystemClock
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.dashboard.live import Shown
from crawler.metrics import Metrics
from crawler.node.faces import Faces
from crawler.node.membership.addresses import Listen
from crawler.settings.sections import Settings
from crawler.tracing.tracing import NoTracing
from tests.unit.api.fakes import FakeElection


def test_who_watches_a_page_does_not_hold_up_the_end_of_its_node(tmp_path):
    settings = Settings(folder=str(tmp_path))
    at = Listen("127.0.0.1", 0)
    faces = Faces(
        *(settings, at, at),
        store=MemoryStore(),
        keys=Keys(settings.coordination),
        clock=SystemClock(),
        health=Health(),
        metrics=Metrics(),
        tracing=NoTracing(),
    )
    faces.serve_master(Service(FakeElection(None)))
    watched = faces._pages._shared.streams.watch("page", lambda: Shown({"a": "1"}))
    next(watched), next(watched)
    for step in faces.last_steps(lambda: 0.0):
        step()
    with gevent.Timeout(30):
        assert list(takewhile(lambda event: event.startswith(b"data:"), watched)) == []

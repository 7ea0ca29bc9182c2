"""The way past Flask answers as Flask does: each request goes both ways, to two masters alike."""

import io
import re

import pytest
from flask import request_started

from crawler.errors import AlreadyExists, NotFound, OutcomeUnknown, Overloaded, Unavailable
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import WORKER, FakeBackend, Master

PATH = "/crawler/resource"
SPEC = b'{"id":"zjx","name":"task-test-4","parameters":{"n":2.0},"labels":{"gpu":"yes"}}'
ROUND = {"Grpc-Timeout": "5S"}
"""A deadline of its own takes a request round, by Flask; this one is that of the settings."""


class Ways:
    """Two masters that know the same, and what Flask saw of the requests to each."""

    def __init__(self, before=lambda: None, worker=WORKER, **settings):
        self.seen = {}
        self.masters = []
        for _ in range(2):
            backend = FakeBackend(worker)
            backend.before = before
            self.masters.append(Master(backend, ApiSettings(timeout_s=5.0, **settings)))

    def ask(self, body=SPEC, **more):
        """The answers of both: of the shortcut, and of Flask."""
        headers = more.pop("headers", {})
        kinds = zip(self.masters, ({}, ROUND), strict=True)
        return [self._told(master, body, {**headers, **extra}, more) for master, extra in kinds]

    def _told(self, master, body, headers, more):
        def note(app, **_):
            self.seen[master] = self.seen.get(master, 0) + 1

        with request_started.connected_to(note, master.app):
            answer = master.web.post(PATH, data=body, headers=headers, **more)
        text = re.sub(rb"id [0-9a-f]{12}", b"id 0", answer.data)
        return answer.status_code, sorted(answer.headers), text, answer.headers.get("Retry-After")

    @property
    def specs(self):
        """What each has been asked to add."""
        return [
            {name: each.spec for name, each in master.election.backend.resources.items()}
            for master in self.masters
        ]


def count_of(master, status):
    line = f'count{{method="POST",route="{PATH}",status="{status}"}} '
    return [each for each in master.web.get("/metrics").text.splitlines() if line in each]


def test_an_addition_is_answered_alike_and_past_flask():
    ways = Ways()
    short, by_flask = ways.ask()
    assert short == by_flask
    assert short[0] == 200
    assert ways.seen == {ways.masters[1]: 1}
    assert ways.specs[0] == ways.specs[1] != {}
    assert [call.timeout_s for m in ways.masters for call in m.election.backend.calls] == [5.0, 5.0]
    assert count_of(ways.masters[0], 200) == count_of(ways.masters[1], 200) != []


def test_a_task_that_waits_is_answered_alike():
    short, by_flask = Ways(worker=None).ask()
    assert short == by_flask
    assert b"no worker is up" in short[2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe\xfd",
        b'{"name":NaN}',
        b'{"a":' * 50_000,
        b'{"name":"a/b","colour":"red"}',
        b'{"name":"x","priority":"low"}',
        b"\xef\xbb\xbf" + SPEC,
        SPEC.decode().encode("utf-16"),
        b" " + SPEC + b"\n",
        SPEC.ljust(300),
        SPEC.ljust(301),
        SPEC.ljust(302),
    ],
)
def test_bodies_are_judged_alike(body):
    ways = Ways(max_request_bytes=300)
    short, by_flask = ways.ask(body)
    assert short == by_flask
    assert ways.specs[0] == ways.specs[1]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("m"), 404),
        (AlreadyExists("m"), 409),
        (Overloaded("m"), 429),
        (Unavailable("later", retry_after_s=2.2), 503),
        (OutcomeUnknown("m"), 504),
        (ZeroDivisionError("the secret"), 500),
    ],
)
def test_errors_are_told_alike_and_the_backend_is_asked_once(error, status):
    def fail():
        raise error

    ways = Ways(fail)
    short, by_flask = ways.ask()
    assert short == by_flask
    assert short[0] == status
    assert [len(master.election.backend.calls) for master in ways.masters] == [1, 1]
    assert count_of(ways.masters[0], status) == count_of(ways.masters[1], status) != []


def test_the_rate_of_a_client_holds_on_both_ways():
    ways = Ways(rate=1, burst=2)
    told = [ways.ask() for _ in range(4)]
    assert [short[0] for short, _ in told] == [200, 200, 429, 429]
    assert all(short == by_flask for short, by_flask in told)
    for master in ways.masters:
        assert 'crawler_rate_refused_total{transport="http"} 2.0' in master.web.get("/metrics").text


def test_a_body_that_ends_early_is_refused_alike():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError("unexpected end of file")

        readinto = readline = read

    for stream in (io.BytesIO, Broken):
        ways = Ways()
        sent = {"wsgi.input": stream(SPEC), "CONTENT_LENGTH": str(len(SPEC) + 1)}
        told = ways.ask(environ_overrides=sent)
        assert told[0] == told[1]
        assert told[0][0] == 400
        assert ways.specs == [{}, {}]


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": "²"},
    ],
    ids=str,
)
def test_what_is_not_plain_goes_round(environ):
    ways = Ways()
    short, by_flask = ways.ask(environ_overrides=environ)
    assert short == by_flask
    assert ways.seen == dict.fromkeys(ways.masters, 1)

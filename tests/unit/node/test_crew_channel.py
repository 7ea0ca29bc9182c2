"""Messages between a worker and its crawl processes."""

import json
import struct

import gevent
import pytest
from gevent import socket

from crawler.node.crew import channel as channels
from crawler.node.crew.channel import MOST_BYTES, Channel, ChannelBroken
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def sockets():
    pair = socket.socketpair()
    yield pair
    for each in pair:
        each.close()


@pytest.fixture
def both(sockets):
    """The worker's side, and that of its process."""
    channels = Channel.down(sockets[0]), Channel.up(sockets[1])
    yield channels
    for each in channels:
        each.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(channels, "PATIENCE_S", 0.05)


def test_messages_arrive_whole_and_in_order(both):
    down, up = both
    bodies = [None, 1, "ä", {"a": [1, 2.5, None]}, "x" * 300_000, []]
    for number, body in enumerate(bodies):
        down.send(f"down {number}", (body,))
        up.send(f"up {number}", [body])
    for number, body in enumerate(bodies):
        assert up.receive() == (f"down {number}", (body,))
        assert down.receive() == (f"up {number}", [body])


def test_the_end_of_the_other_side_is_no_message(both):
    down, up = both
    up.send("last", 1)
    up.flush()
    up.close()
    assert down.receive() == ("last", 1)
    assert down.receive() is None


def test_half_a_message_is_none(both, sockets):
    down, _ = both
    sockets[1].sendall(struct.pack("<I", 100) + b"half")
    sockets[1].close()
    assert down.receive() is None


def message(data):
    return struct.pack("<I", len(data)) + data


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<I", MOST_BYTES + 1),
        struct.pack("<I", 2**32 - 1),
        message(b""),
        message(b"\xff\xfe"),
        message(b"{}"),
        message(b"[]"),
        message(b'["status"]'),
        message(b'["a", 1, 2]'),
        message(b"17"),
        message(b"null"),
        message(json.dumps([1, 2]).encode()),
        message(b"[" * 200_000),
        message(b"not json at all"),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_message_is_refused(both, sockets, data):
    down, _ = both
    sockets[1].sendall(data)
    with pytest.raises(ChannelBroken, match="a message"):
        down.receive()


def test_a_side_that_does_not_read_holds_nobody_up(both, impatient):
    down, _ = both
    asked = []
    down.give_up = lambda: bool(asked.append(1)) or len(asked) == 3
    for _ in range(10):
        down.send("much", b"x" * 1_000_000)
    eventually(lambda: len(asked) == 3)
    gevent.sleep(0.15)
    assert len(asked) == 3, "who has given up asks no more"
    down.flush()


def test_a_process_waits_for_its_worker_as_long_as_it_takes(both, impatient):
    """The worker may be stopped for a while. What was half sent goes on where it was."""
    down, up = both
    bodies = [str(number) * 1_000_000 for number in range(5)]
    for body in bodies:
        up.send("told", body)
    gevent.sleep(0.2)
    assert [down.receive() for _ in bodies] == [("told", body) for body in bodies]


def test_flush_waits_no_longer_than_it_may(both):
    down, _ = both
    down.send("much", b"x" * 10_000_000)
    with gevent.Timeout(PATIENCE_S):
        down.flush(0.05)

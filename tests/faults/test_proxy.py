"""The link does to a connection what each of its faults says, and nothing when it is healed."""

import socket
import time

import pytest
from gevent.server import StreamServer

from tests.faults.proxy import Link, Way
from tests.waiting import PATIENCE_S, eventually


class Echo:
    """A server that answers in capitals, and remembers what it was told."""

    def __init__(self):
        self.told = b""
        self.ended = []
        """How each connection ended: by an error, or None."""
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.endpoint = f"127.0.0.1:{self._server.server_port}"

    def stop(self):
        self._server.stop(timeout=0.1)

    def _serve(self, connection, _):
        try:
            while data := connection.recv(1000):
                self.told += data
                connection.sendall(data.upper())
            self.ended.append(None)
        except OSError as error:
            self.ended.append(error)


@pytest.fixture
def echo():
    echo = Echo()
    yield echo
    echo.stop()


@pytest.fixture
def link(echo):
    link = Link(echo.endpoint)
    link.start()
    yield link
    link.stop()


@pytest.fixture
def node(link):
    """A connection through the link that has worked so far."""
    host, _, port = link.endpoint.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as node:
        assert asked(node, b"hello") == b"HELLO"
        yield node


def asked(node, text):
    node.sendall(text)
    return node.recv(1000)


def hears_nothing(node, for_s=0.2):
    """Whether neither bytes nor an end arrive."""
    node.settimeout(for_s)
    try:
        node.recv(1)
    except TimeoutError:
        return True
    finally:
        node.settimeout(5)
    return False


def test_swallowed_bytes_never_arrive_and_the_connection_ends_when_it_heals(link, node, echo):
    link.swallow(Way.OUT)
    node.sendall(b"lost")
    assert hears_nothing(node)
    link.heal()
    with pytest.raises(ConnectionResetError):
        node.recv(1)
    assert echo.told == b"hello"


def test_swallowed_answers_mean_that_the_server_was_told(link, node, echo):
    link.swallow(Way.BACK)
    node.sendall(b"done")
    assert hears_nothing(node)
    assert echo.told == b"hellodone"


def test_held_bytes_arrive_late_and_in_order(link, node, echo):
    link.hold(Way.OUT)
    node.sendall(b"first ")
    node.sendall(b"second")
    eventually(lambda: link.holds(b"second"))
    assert hears_nothing(node)
    assert echo.told == b"hello"
    link.heal()
    eventually(lambda: echo.told == b"hellofirst second")
    assert not link.holds(b"second")


def test_a_forgotten_connection_has_ended_for_the_server_only(link, node, echo):
    link.forget()
    eventually(lambda: echo.ended)
    node.sendall(b"to nobody")
    assert hears_nothing(node)
    host, _, port = link.endpoint.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as another:
        assert asked(another, b"new") == b"NEW"
    link.heal()
    with pytest.raises(ConnectionResetError):
        node.recv(1)


def test_a_cut_resets_old_and_new_connections(link, node):
    link.cut()
    with pytest.raises(ConnectionResetError):
        node.recv(1)
    host, _, port = link.endpoint.rpartition(":")
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection((host, int(port)), timeout=PATIENCE_S) as another,
    ):
        another.recv(1)


def test_a_slow_link_delays_each_way(link, node):
    link.slow(latency_s=0.1, bytes_per_s=1_000_000)
    started_s = time.monotonic()
    assert asked(node, b"slow") == b"SLOW"
    assert time.monotonic() - started_s >= 0.2
    link.heal()

"""The HTTP server of a node: clients that say nothing, or say it slowly, do not keep others out."""

import contextlib
import errno
import http.client
import json
import socket
import time

import gevent
import gevent.monkey
import gevent.socket
import pytest

from crawler.api.http import server as http_module
from crawler.api.http.server import HttpServer
from crawler.metrics import Metrics
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import FakeBackend, Master
from tests.unit.api.test_metrics import of_queue
from tests.waiting import PATIENCE_S, eventually

PLACES = 3
POST = b"POST /crawler/resource HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def server(monkeypatch):
    """A server with three places, that waits for half a second."""
    monkeypatch.setattr(http_module, "MAX_CONNECTIONS", PLACES)
    monkeypatch.setattr(http_module, "HEAD_S", 0.5)
    with serving() as server:
        yield server


@contextlib.contextmanager
def serving():
    backend = FakeBackend()
    metrics, master = Metrics(), Master(backend, ApiSettings(timeout_s=0.4))
    server = HttpServer("127.0.0.1", 0, master.app, metrics)
    server.metrics, server.backend = metrics, backend
    server.start()
    with contextlib.ExitStack() as server.clients:
        yield server
    server.stop(0.1)


def connect(server, first_words=b""):
    """A connection that stays until the end of the test, or until the server closes it."""
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
    server.clients.enter_context(sock)
    sock.sendall(first_words)
    return sock


def answer_on(server, sock):
    """Status and body of the next answer."""
    answer = server.clients.enter_context(http.client.HTTPResponse(sock))
    answer.begin()
    return answer.status, answer.read()


def send_slowly(sock):
    """A head that has no end, a byte each tenth of a second."""
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(b"G")
            gevent.sleep(0.1)


def is_closed(sock):
    """Whether the other side has closed; waits for what it says until then."""
    with contextlib.suppress(ConnectionResetError):
        while sock.recv(65536):
            pass
    return True


def status_of(server, path="/healthz"):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "first_words",
    [
        b"",
        b"GET /heal",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
    ],
    ids=["nothing", "half a line", "half a head", "kept after an answer"],
)
def test_connections_that_wait_leave_their_places_to_others(server, first_words):
    held = [connect(server, first_words) for _ in range(PLACES)]
    eventually(lambda: of_queue(server.metrics, "http connections") == (3, 3, None))
    assert status_of(server) == 200
    assert all(map(is_closed, held))


def test_a_head_that_comes_a_byte_at_a_time_is_not_waited_for(server):
    sock = connect(server)
    drip = gevent.spawn(send_slowly, sock)
    assert is_closed(sock)
    drip.kill()


def test_a_body_that_does_not_come_is_told_and_not_waited_for(server):
    sock = connect(server, POST + b"Content-Length: 9\r\n\r\n{")
    status, body = answer_on(server, sock)
    assert status == 408
    assert b'"code":4,' in body
    assert is_closed(sock)


def test_what_nobody_wants_of_a_body_is_not_waited_for(server):
    sock = connect(server, POST.replace(b"resource", b"nowhere") + b"Content-Length: 9\r\n\r\n{")
    assert answer_on(server, sock)[0] == 404
    assert is_closed(sock)
    eventually(lambda: of_queue(server.metrics, "http connections")[0] == 0)


@pytest.mark.parametrize("line", [b"Host : x", b" folded", b"Content-Length: 1, 1"])
def test_a_malformed_head_is_refused_and_the_connection_closed(server, line):
    sock = connect(server, POST + line + b"\r\n\r\n")
    assert answer_on(server, sock)[0] == 400
    assert is_closed(sock)


def test_requests_in_a_row_on_one_connection_are_all_answered(server):
    task = POST + b'Content-Length: 12\r\n\r\n{"name":"x"}'
    sock = connect(server, task + b"GET /healthz HTTP/1.1\r\n\r\n" + task)
    told = b""
    while told.count(b"HTTP/1.1 200 OK\r\n") < 3 or not told.endswith(b"}"):
        told += sock.recv(65536)
    assert told.count(b'"Address":"192.168.0.107:9089"}') == 2
    assert told.count(b'{"alive":true}HTTP/1.1 200 OK') == 1


def test_an_answer_that_the_kernel_cannot_hold_arrives_whole():
    body = bytes(range(256)) * 40_000

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    server = HttpServer("127.0.0.1", 0, app)
    server.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        connection.request("GET", "/")
        assert connection.getresponse().read() == body
        connection.close()
    finally:
        server.stop(0.1)


def test_an_answer_that_fails_in_its_middle_is_followed_by_no_other():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "100")])
        yield b"half"
        raise RuntimeError("in the middle")

    server = HttpServer("127.0.0.1", 0, app)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            told = b"".join(iter(lambda: sock.recv(65536), b""))
    finally:
        server.stop(0.1)
    assert told.startswith(b"HTTP/1.1 200 OK\r\n")
    assert told.endswith(b"\r\n\r\nhalf")


def test_an_answer_waits_for_room_in_the_kernel(server, monkeypatch):
    send = gevent.socket.socket.send
    full = iter([True])

    def send_later(sock, data, flags=0, timeout=None):
        if timeout == 0.0 and next(full, False):
            raise BlockingIOError(errno.EAGAIN, "full")
        return send(sock, data, flags, timeout)

    monkeypatch.setattr(gevent.socket.socket, "send", send_later)
    assert status_of(server) == 200
    assert next(full, False) is False, "it was full"


def test_requests_that_take_their_time_are_answered(monkeypatch):
    """The wait for a client is over when its request is there."""
    monkeypatch.setattr(http_module, "HEAD_S", 1.0)
    master = Master(FakeBackend())
    master.election.backend.before = lambda: gevent.sleep(2.0)
    server = HttpServer("127.0.0.1", 0, master.app)
    server.start()
    try:
        assert status_of(server, "/crawler/node") == 200
    finally:
        server.stop(0.1)


def test_a_server_that_stops_answers_all_requests_that_have_arrived():
    """The kernel resets what is not read. These clients let nobody read before the end begins."""
    client = gevent.monkey.get_original("socket", "socket")
    with serving() as server:
        socks = [server.clients.enter_context(client()) for _ in range(20)]
        for sock in socks:
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.stop(20.0)
        assert {sock.recv(12) for sock in socks} == {b"HTTP/1.1 200"}


def test_idle_connections_do_not_delay_the_end(server):
    sock = connect(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert sock.recv(65536)
    started_s = time.monotonic()
    server.stop(60.0)
    assert time.monotonic() - started_s < 30.0
    assert is_closed(sock)


SECOND = b"GET /crawler/leader HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"


def all_answers(server, words):
    """Everything that the server says until it closes the connection, or has nothing to say."""
    sock = connect(server, words)
    sock.settimeout(0.7)
    told = b""
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while piece := sock.recv(65536):
            told += piece
    return told


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Transfer-Encoding: xchunked\r\n\r\n", 501),
        (b"Transfer-Encoding: identity\r\n\r\n", 501),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
        (b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n", 400),
        (b"Content-Length: +0\r\n\r\n", 400),
        (b"X: a\nContent-Length: 60\r\n\r\n", 400),
        (b"X: a\r\n Content-Length: 60\r\n\r\n", 400),
    ],
)
def test_a_body_of_doubtful_length_is_never_read_as_the_next_request(server, headers, status):
    told = all_answers(server, POST + headers + SECOND)
    assert told.startswith(b"HTTP/1.1 %d " % status)
    assert told.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in told
    assert b'"message":"' in told


@pytest.mark.parametrize(
    "body",
    [
        b"0;\nX: \r\n\r\n",
        b"0\n\n",
        b"+0\r\n\r\n",
        b"0x0\r\n\r\n",
        b"\r\n\r\n",
        b"1_0\r\n\r\n",
        b"ffffffffffffffff\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"2\r\n{}\n0\r\n\r\n",
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\nX: a\nY: b\r\n\r\n",
    ],
)
def test_a_body_that_is_not_chunked_as_it_should_be_ends_the_connection(server, body):
    told = all_answers(server, POST + CHUNKS + body + SECOND)
    assert told.count(b"HTTP/1.1 ") == 1, "what follows is no request"
    assert told.startswith(b"HTTP/1.1 400 ")


def test_a_chunked_body_is_read_in_pieces_and_the_next_request_after_it(server):
    body = b'c;a="b"\r\n{"name":"y"}\r\n0\r\nX-Trailer: a\r\n\r\n'
    told = all_answers(server, POST + CHUNKS + body + SECOND)
    assert told.count(b"HTTP/1.1 200 OK") == 1
    assert told.count(b"HTTP/1.1 ") == 2
    unread = POST.replace(b"resource", b"nowhere") + CHUNKS + b"2\r\n{}\r\n0\r\n\r\n"
    assert all_answers(server, unread + SECOND).count(b"HTTP/1.1 ") == 2


def test_after_its_answer_no_client_is_told_to_send_its_chunks(server):
    asks = POST.replace(b"resource", b"nowhere") + b"Expect: 100-continue\r\n" + CHUNKS
    told = all_answers(server, asks + b"2\r\n{}\r\n0\r\n\r\n" + SECOND)
    assert told.startswith(b"HTTP/1.1 404 ")
    assert b"HTTP/1.1 100" not in told


def test_a_client_that_waits_to_be_told_so_sends_its_chunks(server):
    sock = connect(server, POST + b"Expect: 100-continue\r\n" + CHUNKS)
    assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sock.sendall(b'c\r\n{"name":"z"}\r\n0\r\n\r\n')
    assert answer_on(server, sock)[0] == 200


def test_one_address_cannot_take_all_connections(server, monkeypatch):
    monkeypatch.setattr(http_module, "MOST_OF_CLIENT", 2)
    monkeypatch.setattr(http_module, "HEAD_S", PATIENCE_S)
    first, second = connect(server), connect(server)
    eventually(lambda: of_queue(server.metrics, "http connections")[0] == 2)
    status, body = answer_on(server, connect(server))
    assert (status, json.loads(body)["code"]) == (429, 8)
    assert b"2 connections from 127.0.0.1 are open" in body
    source = ("127.0.0.9", 0)
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S, source) as other:
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_on(server, other)[0] == 200
    first.close()
    eventually(lambda: status_of(server) == 200)
    second.close()


@pytest.mark.parametrize("headers", [
    "Origin: http://evil.example",
    "Origin: null",
    "Origin: http://localhost:3000",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-site",
    "Host: evil.example:8080",
])  # fmt: skip
@pytest.mark.parametrize("coding", ["Content-Length: 12", "Transfer-Encoding: chunked"])
def test_no_page_in_a_browser_of_the_same_machine_may_add_a_task(server, headers, coding):
    host = "" if headers.startswith("Host") else "Host: localhost\r\n"
    head = f"POST /crawler/resource HTTP/1.1\r\n{host}{headers}\r\n{coding}\r\n\r\n"
    body = b'{"name":"a"}' if "Length" in coding else b'c\r\n{"name":"a"}\r\n0\r\n\r\n'
    status, answer = answer_on(server, connect(server, head.encode() + body))
    assert (status, json.loads(answer)["code"]) == (403, 7)
    assert server.backend.calls == []


def test_the_page_of_a_node_itself_and_programs_may(server):
    for more in ("", "Origin: http://localhost:8081\r\nSec-Fetch-Site: same-origin\r\n"):
        head = f"POST /crawler/resource HTTP/1.1\r\nHost: localhost:8081\r\n{more}"
        sock = connect(server, head.encode() + b'Content-Length: 12\r\n\r\n{"name":"a"}')
        assert answer_on(server, sock)[0] == 200


@pytest.mark.parametrize("words", [
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /crawler/resource HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n"
    b'{"name":"a"}',
    b"no request\r\n\r\n",
], ids=["a page", "an error", "a new task", "no request"])  # fmt: skip
def test_every_answer_tells_a_browser_to_make_nothing_else_of_it(server, words):
    answer = http.client.HTTPResponse(connect(server, words))
    answer.begin()
    answer.close()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; frame-ancestors 'none'"
    )


def test_a_client_that_does_not_take_its_answers_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(http_module, "ANSWER_S", 0.3)
    asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    sock = connect(server)
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(5000):
            sock.send(asked)
    eventually(lambda: of_queue(server.metrics, "http connections")[0] == 1)
    eventually(lambda: of_queue(server.metrics, "http connections")[0] == 0)

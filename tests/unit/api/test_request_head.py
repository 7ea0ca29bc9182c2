"""Heads of requests: what they say, and what is refused instead of being guessed at."""

import http.client
import io

import pytest

from crawler.api.http.request_head import (
    MOST_BYTES,
    MOST_LINES,
    Head,
    NotImplementedHere,
    check_first_line,
)


def head(*lines, end=b"\r\n"):
    return Head(io.BytesIO(b"".join(line + b"\r\n" for line in lines) + end))


PLAIN = [b"Host: a", b"content-LENGTH:12 ", b"Content-Type:\ttext/plain", b"X-Empty:", b"x-n: \xe9"]


@pytest.mark.parametrize("name", ["host", "Content-Length", "content-type", "X-EMPTY", "X-n", "no"])
def test_headers_are_found_as_the_standard_library_finds_them(name):
    known = http.client.parse_headers(io.BytesIO(b"\r\n".join([*PLAIN, b"", b""])))
    expected = known.get(name)
    assert head(*PLAIN).get(name) == (expected if expected is None else expected.strip())


def test_what_gevent_asks_of_a_head():
    told = head(*PLAIN)
    assert told.headers == [line.decode("latin-1") + "\r\n" for line in PLAIN]
    assert (told.typeheader, told.getheader("Content-Length"), told.status) == (
        "text/plain",
        "12",
        "",
    )
    del told["content-length"]
    del told["content-length"]
    assert told.get("Content-Length", "none") == "none"
    assert head().get("host") is None


def test_the_first_of_several_counts_and_the_stream_is_left_at_the_body():
    stream = io.BytesIO(b"A: 1\r\nA: 2\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nbody")
    assert Head(stream).get("a") == "1"
    assert stream.read() == b"body"


@pytest.mark.parametrize(
    "line",
    [
        b"no colon",
        b" folded: line",
        b"Host : a",
        b": no name",
        b"N\xe9: a",
        b"Host: a\rb",
        b"Host: a\0",
        b"Content-Length: +3",
        b"Content-Length: 1_0",
        b"Content-Length: ",
        b"Content-Length: \xb2",
        b"Content-Length: " + b"1" * 5000,
        b"Content-Length: 3, 3",
        b"Host: a\nX: b",
        b"Content Length: 3",
        b"\tContent-Length: 3",
        b"X: " + b"x" * MOST_BYTES,
    ],
)
def test_a_line_that_is_malformed_is_refused(line):
    with pytest.raises(ValueError, match=r"header|length"):
        head(b"Host: a", line)


def test_two_lengths_too_many_lines_and_no_end_are_refused():
    assert len(head(*[b"A: 1"] * MOST_LINES).headers) == MOST_LINES
    for lines, end in (
        ([b"Content-Length: 3", b"Content-Length: 4"], b"\r\n"),
        ([b"A: 1"] * (MOST_LINES + 1), b"\r\n"),
        ([b"Host: a"], b""),
        ([b"Host: a"], b"A: 1"),
    ):
        with pytest.raises(ValueError, match=r"header|length"):
            head(*lines, end=end)


def test_all_lines_together_have_a_bound():
    with pytest.raises(ValueError, match="header lines have more than"):
        head(*[b"A: " + b"x" * (MOST_BYTES - 100)] * 3)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding: chunked", b"Content-Length: 4"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"transfer-encoding: identity"],
    ],
)
def test_two_statements_about_the_body_are_refused(lines):
    with pytest.raises(ValueError, match="Transfer-Encoding"):
        head(*lines)


@pytest.mark.parametrize(
    "coding",
    ["identity", "gzip, chunked", "chunked, chunked", "xchunked", "\x0bchunked", '"chunked"', ""],
)
def test_a_coding_that_is_not_exactly_chunked_is_not_known(coding):
    with pytest.raises(NotImplementedHere, match="allowed is chunked"):
        head(b"Transfer-Encoding: " + coding.encode())
    assert head(b"Transfer-Encoding: Chunked ").is_chunked
    assert not head(b"Transfer_Encoding: x").is_chunked


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1\n",
        "GET /\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET /\x0bHTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET / HTTP/2.0\r\n",
        "GET / HTTP/+1.1\r\n",
        "GET / HTTP/1.1_0\r\n",
        "G(T / HTTP/1.1\r\n",
        "\r\n",
    ],
)
def test_a_first_line_has_three_parts_and_single_spaces(line):
    with pytest.raises(ValueError, match="not a request line"):
        check_first_line(line)
    check_first_line("PATCH /%20?\xe9 HTTP/1.0\r\n")

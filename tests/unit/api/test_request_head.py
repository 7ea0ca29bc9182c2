"""Heads of requests: what they say, and what is refused instead of being guessed at."""

import http.client
import io

import pytest

from crawler.api.http.request_head import MOST_BYTES, MOST_LINES, Head


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
    stream = io.BytesIO(b"A: 1\nA: 2\nContent-Length: 3\nContent-Length: 3\n\nbody")
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

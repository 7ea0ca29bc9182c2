"""Bodies are unpacked to so many bytes; no bytes make it crash."""

import gzip
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.engine.download.decompress import MOST_CODINGS, codings, expand, expanded
from crawler.engine.http.gzip_members import MOST_MEMBERS
from crawler.engine.http.messages import FetchAnswer, FetchError
from tests.site.trouble import PACKERS

LAYER = {"bare-deflate": "deflate"}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("body", [b"", b"a", b"text " * 100_000])
def test_what_was_packed_comes_out(packer, body):
    layers = [LAYER.get(packer, packer)]
    assert expand(PACKERS[packer](body), layers, len(body)) == body


@pytest.mark.parametrize("packer", PACKERS)
def test_a_byte_more_than_allowed_is_too_large(packer):
    packed = PACKERS[packer](b"x" * 5_000_001)
    answer = FetchAnswer(200, (), packed, 0.1)
    found = expanded(answer, [LAYER.get(packer, packer)], 5_000_000)
    assert isinstance(found, FetchError)
    assert found.reason == "too large"


@pytest.mark.parametrize("packer", PACKERS)
def test_a_body_that_ends_too_early_is_what_there_is_of_it(packer):
    body = bytes(range(256)) * 4000
    packed = PACKERS[packer](body)
    found = expand(packed[: len(packed) // 2], [LAYER.get(packer, packer)], 10_000_000)
    assert body.startswith(found)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_body_that_ends_too_early_is_known_as_cut(packer):
    packed = PACKERS[packer](bytes(range(256)) * 4000)
    for body, is_cut in ((packed, False), (packed[:-9], True), (packed[: len(packed) // 2], True)):
        found = expanded(FetchAnswer(200, (), body, 0.1), [LAYER.get(packer, packer)], 10_000_000)
        assert found.is_cut is is_cut


def test_only_so_many_layers_are_taken_off():
    body = b"text"
    for _ in range(MOST_CODINGS):
        body = gzip.compress(body)
    assert expand(body, ["gzip"] * MOST_CODINGS, 100) == b"text"
    with pytest.raises(ValueError, match="content codings; allowed: at most"):
        expand(gzip.compress(body), ["gzip"] * (MOST_CODINGS + 1), 100)


def test_members_of_gzip_follow_each_other_and_rubbish_at_the_end_is_left():
    packed = gzip.compress(b"one") + gzip.compress(b"two") + b"\0\0rubbish"
    assert expand(packed, ["gzip"], 100) == b"onetwo"


@pytest.mark.parametrize("layer", ["gzip", "deflate", "br", "zstd"])
@given(body=st.binary(max_size=200))
def test_broken_bytes_are_an_error_or_a_short_body(layer, body):
    found = expanded(FetchAnswer(200, (), body, 0.1), [layer], 100_000)
    assert isinstance(found, FetchError) or len(found.body) <= 100_000


@pytest.mark.parametrize(
    ("lines", "layers"),
    [
        ([b"Content-Encoding: gzip\r\n"], ["gzip"]),
        ([b"content-encoding:GZIP , br\r\n"], ["br", "gzip"]),
        ([b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n"], ["br", "gzip"]),
        ([b"Content-Encoding: identity\r\n"], []),
        ([b"HTTP/1.1 401 No\r\n", b"Content-Encoding: br\r\n", b"HTTP/1.1 200 OK\r\n"], []),
    ],
)
def test_the_layers_are_those_of_the_last_headers(lines, layers):
    assert codings(lines) == layers


@pytest.mark.timeout(60)
def test_many_small_members_take_no_long_time_and_are_bounded():
    body = gzip.compress(b"a") + gzip.compress(b"") * (MOST_MEMBERS - 2) + b"\0" * 1_000_000
    began_s = time.process_time()
    assert expand(body + gzip.compress(b"b"), ["gzip"], 100) == b"ab"
    assert time.process_time() - began_s < 3
    found = expanded(FetchAnswer(200, (), gzip.compress(b"") * 30_000, 0.1), ["gzip"], 100)
    assert isinstance(found, FetchError)
    assert "members of gzip; allowed" in str(found)


def test_an_empty_member_ends_nothing():
    empty = gzip.compress(b"")
    whole = empty + gzip.compress(b"one") + empty + gzip.compress(b"two") + empty
    for body, is_cut in ((whole, False), (whole[:-3], True)):
        found = expanded(FetchAnswer(200, (), body, 0.1), ["gzip"], 100)
        assert (found.body, found.is_cut) == (b"onetwo", is_cut)

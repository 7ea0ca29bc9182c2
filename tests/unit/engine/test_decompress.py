"""Bodies are unpacked to so many bytes; no bytes make it crash."""

import gzip
import time
from random import Random

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from crawler.engine.download.decompress import MOST_CODINGS, codings, expand, expanded
from crawler.engine.download.zstd_frames import MOST_BLOCKS
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


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("rest", [b"!", b"\0" * 9, b"<!-- cached -->" * 9000])
def test_what_follows_the_end_of_the_body_is_passed_over(packer, rest):
    body = bytes(range(256)) * 4000
    answer = FetchAnswer(200, (), PACKERS[packer](body) + rest, 0.1)
    found = expanded(answer, [LAYER.get(packer, packer)], len(body))
    assert (found.body, found.is_cut) == (body, False)
    too_large = expanded(answer, [LAYER.get(packer, packer)], len(body) - 1)
    assert isinstance(too_large, FetchError)
    assert too_large.reason == "too large"


@pytest.mark.parametrize(
    ("size", "rest"),
    [(0, b"x" * 70_000), (100, b"\n"), (60_000, b"x" * 70_000), (1_000_000, b"\n")],
)
def test_bytes_behind_the_end_of_brotli_cost_few_calls(monkeypatch, size, rest):
    calls = []

    class Counted:
        def __init__(self):
            self._stream = decompressor()
            self.is_finished = self._stream.is_finished

        def process(self, *given, **limits):
            calls.append(given)
            return self._stream.process(*given, **limits)

    decompressor = brotli.Decompressor
    monkeypatch.setattr(brotli, "Decompressor", Counted)
    body = Random(size).randbytes(size)  # it cannot be packed: there is much to be fed
    packed = brotli.compress(body, quality=1) + rest
    found = expanded(FetchAnswer(200, (), packed, 0.1), ["br"], size)
    assert (found.body, found.is_cut) == (body, False)
    assert len(calls) < 1200


def test_bytes_behind_the_end_do_not_hide_what_is_broken_before_it():
    packed = bytearray(brotli.compress(b"".join(b"%d," % n for n in range(50_000)), quality=7))
    packed[len(packed) // 2 :] = b"\xff" * 1000
    found = expanded(FetchAnswer(200, (), bytes(packed), 0.1), ["br"], 1_000_000)
    assert isinstance(found, FetchError)
    assert found.reason == "bad encoding"


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("size", [False, True])
def test_frames_of_zstd_follow_each_other(checksum, size):
    packer = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=size)
    skipped = b"\x53\x2a\x4d\x18" + b"\x05\0\0\0" + b"notes"
    letters = packer.compress(b"a" * 300_000)
    whole = skipped + letters + packer.compress(b"") + skipped + packer.compress(b"bc")
    for body, is_cut in (
        (whole, False),
        (whole + b"rubbish", False),
        (whole + skipped[:-1], True),
        (whole + skipped[:7], True),
        (whole + letters[:5], True),
        (whole + letters[:-1], True),
    ):
        found = expanded(FetchAnswer(200, (), body, 0.1), ["zstd"], 600_002)
        assert found.body.startswith(b"a" * 300_000 + b"bc")
        assert found.is_cut is is_cut
    assert isinstance(expanded(FetchAnswer(200, (), whole, 0.1), ["zstd"], 300_001), FetchError)


def test_more_blocks_of_zstd_than_an_honest_body_has_are_refused():
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"")
    empty_block = b"\0\0\0"
    for body in (frame * (MOST_BLOCKS + 1), frame[:6] + empty_block * (MOST_BLOCKS + 1)):
        found = expanded(FetchAnswer(200, (), body, 0.1), ["zstd"], 100)
        assert isinstance(found, FetchError)
        assert "blocks of zstd; allowed" in str(found)


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

"""Unpacks bodies (gzip, deflate, br, zstd), each up to a limit of bytes.

libcurl could unpack all but zstd, which the wheels of pycurl lack, and it would count no bytes for
us (docs/decisions/0013-fetching.md).
"""

from __future__ import annotations

import dataclasses
import io
import zlib
from collections.abc import Iterable, Sequence

import brotli
import zstandard

from crawler.engine.download.zstd_frames import end_of_frames
from crawler.engine.http.gzip_members import CUT_OFF, Gzip
from crawler.engine.http.messages import FetchAnswer, FetchError

CODINGS = "gzip, deflate, br, zstd"
"""The content codings that a request accepts."""
UNREADABLE = frozenset({"aes128gcm", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress"})
"""The content codings of IANA's registry that are not understood here."""
MOST_CODINGS = 3
"""The most codings of one body; no honest server uses two."""
ZSTD_WINDOW = 8 * 2**20
"""The largest window of zstd that is accepted, in bytes (RFC 9659)."""
PIECE = 1 << 20
_FED_BYTES = (65_536, 256, 1)
"""The bytes of a piece for brotli; of a piece with an error in it the next smaller ones."""


class TooLarge(Exception):
    """The unpacked body is larger than the limit."""


def codings(header_lines: Iterable[bytes]) -> Sequence[str]:
    """The content codings that the headers name, in the order in which they must be undone.

    A word that names no coding (`utf-8`, `none`, `binary`, …) says nothing about the body. It is
    passed over, as by browsers.
    """
    found: list[str] = []
    for line in header_lines:
        if line.startswith(b"HTTP/"):
            found.clear()
            continue
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-encoding":
            found += [part.strip().lower() for part in value.decode("latin-1").split(",")]
    return [coding for coding in reversed(found) if coding in _UNPACKERS or coding in UNREADABLE]


def expanded(answer: FetchAnswer, layers: Sequence[str], limit: int) -> FetchAnswer | FetchError:
    """Unpack the body of an answer. Returns an error if that fails. Safe in a native thread."""
    try:
        body, is_whole = _expanded(answer.body, layers, limit)
    except TooLarge:
        return FetchError("too large", f"more than {limit} bytes unpacked", answer.seconds)
    except (ValueError, zlib.error, brotli.error, zstandard.ZstdError) as error:
        return FetchError("bad encoding", str(error), answer.seconds)
    return dataclasses.replace(answer, body=body, is_cut=not is_whole)


def expand(body: bytes, layers: Sequence[str], limit: int) -> bytes:
    """Unpack a body. If the body ends too early, returns the part that is there.

    Raises TooLarge, ValueError for a coding that is not understood, and the libraries' errors.
    """
    return _expanded(body, layers, limit)[0]


def _expanded(body: bytes, layers: Sequence[str], limit: int) -> tuple[bytes, bool]:
    """The unpacked body, and whether it is whole."""
    is_whole = True
    if len(layers) > MOST_CODINGS:
        raise ValueError(f"{len(layers)} content codings; allowed: at most {MOST_CODINGS}")
    for layer in layers:
        unpack = _UNPACKERS.get(layer)
        if unpack is None:
            raise ValueError(f"content coding {layer!r} cannot be read; allowed: {CODINGS}")
        if body:
            body, has_end = unpack(body, limit)
            is_whole = is_whole and has_end
    return body, is_whole


def _gzip(body: bytes, limit: int) -> tuple[bytes, bool]:
    file, parts, size = Gzip(body, PIECE), [], 0
    for part in file:
        parts.append(part)
        size += len(part)
        _check(size, limit)
    return b"".join(parts), file.trouble != CUT_OFF  # ignore what follows the last member


def _deflate(body: bytes, limit: int) -> tuple[bytes, bool]:
    """Unpack zlib's format, as RFC 9110 says, or the bare stream, which some servers send."""
    stream = zlib.decompressobj()
    try:
        whole = stream.decompress(body, limit + 1)
    except zlib.error:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        whole = stream.decompress(body, limit + 1)
    _check(len(whole), limit)
    return whole, stream.eof


def _brotli(body: bytes, limit: int) -> tuple[bytes, bool]:
    """Unpack a stream, and pass over what follows it.

    To the library, bytes behind the end are an error that costs all of the piece they stand in. So
    a stream with an error is unpacked again, with smaller pieces where the error was, in the end
    byte by byte.
    """
    pieces = [body]
    for size in _FED_BYTES[:-1]:
        pieces[-1:] = _pieces(pieces[-1], size)
        left = iter(pieces)
        try:
            return _fed_to_brotli(left, limit)
        except brotli.error:
            pieces = pieces[: len(pieces) - len(list(left))]
    pieces[-1:] = _pieces(pieces[-1], _FED_BYTES[-1])
    return _fed_to_brotli(pieces, limit)


def _pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def _fed_to_brotli(pieces: Iterable[bytes], limit: int) -> tuple[bytes, bool]:
    stream = brotli.Decompressor()
    parts, size = [], 0
    for piece in pieces:
        while not stream.is_finished():
            part = stream.process(piece, output_buffer_limit=PIECE)
            if not part:
                break
            parts.append(part)
            size += len(part)
            _check(size, limit)
            piece = b""  # it was taken; more may come out of it
    return b"".join(parts), stream.is_finished()


def _zstd(body: bytes, limit: int) -> tuple[bytes, bool]:
    """Unpack frames, one behind the other, and pass over what follows them."""
    end, is_whole = end_of_frames(body)
    unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    with unpacker.stream_reader(io.BytesIO(body[:end]), read_across_frames=True) as stream:
        whole = stream.read(limit + 1)
    _check(len(whole), limit)
    return whole, is_whole


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge


_UNPACKERS = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}

"""Writes the fields of a form as the body of a request, or as a query (HTML standard, 4.10.21).

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#form-submission-algorithm
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

URLENCODED, MULTIPART, PLAIN = (
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
)
_BREAK = re.compile("\r\n?|\n")
_BREAK_OF_BYTES = re.compile(b"\r\n?|\n")
Pair = tuple[Any, Any]


class NoFile(str):
    """The value of a field for a file, if none is chosen."""

    __slots__ = ()


def urlencoded(pairs: Iterable[Pair], encoding: str) -> str:
    """The pairs as browsers write them (URL standard, 5.2)."""
    written = [(as_bytes(name, encoding), as_bytes(value, encoding)) for name, value in pairs]
    return urlencode(written, safe="*").replace("~", "%7E")


def multipart(pairs: Iterable[Pair], encoding: str) -> tuple[bytes, str]:
    """The body with a part for each pair (RFC 7578), and its Content-Type.

    Equal pairs give equal bodies, so that the crawl knows a request that it has made.
    """
    parts = [_part(name, value, encoding) for name, value in pairs]
    boundary = f"----form{blake2b(b''.join(parts), digest_size=16).hexdigest()}"
    edge = f"--{boundary}".encode()
    body = b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"
    return body, f"{MULTIPART}; boundary={boundary}"


def plain(pairs: Iterable[Pair], encoding: str) -> bytes:
    """The body with a line for each pair."""
    return b"".join(
        as_bytes(name, encoding) + b"=" + as_bytes(value, encoding) + b"\r\n"
        for name, value in pairs
    )


def with_line_breaks(pairs: Iterable[Pair]) -> Sequence[Pair]:
    """The pairs with each line break as CR LF."""
    return [(_broken(name), _broken(value)) for name, value in pairs]


def as_bytes(value: Any, encoding: str) -> bytes:
    """A value in the encoding of the form. Characters that this lacks become `&#1234;`."""
    return value if isinstance(value, bytes) else str(value).encode(encoding, "xmlcharrefreplace")


def _broken(value: Any) -> Any:
    if isinstance(value, bytes):
        return _BREAK_OF_BYTES.sub(b"\r\n", value)
    is_text = isinstance(value, str) and not isinstance(value, NoFile)
    return _BREAK.sub("\r\n", value) if is_text else value


def _part(name: Any, value: Any, encoding: str) -> bytes:
    escaped = as_bytes(name, encoding).replace(b'"', b"%22")
    escaped = escaped.replace(b"\r", b"%0D").replace(b"\n", b"%0A")
    head = b'Content-Disposition: form-data; name="' + escaped + b'"'
    if isinstance(value, NoFile):
        head += b'; filename=""\r\nContent-Type: application/octet-stream'
    return head + b"\r\n\r\n" + as_bytes(value, encoding)

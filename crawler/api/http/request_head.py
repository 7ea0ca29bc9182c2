"""Reads the head of an HTTP request, faster and more strictly than gevent's handler.

gevent's handler uses the standard library's parser, which is made for mail. That takes a tenth of
all the time that a master has for a request. It also ignores malformed lines, so that a proxy in
front may see another request than this server (RFC 9112, 11.2). Where a request begins and ends
must not be a matter of opinion: what could be read in two ways is refused, and the connection
closed.
"""

from __future__ import annotations

import re
from typing import BinaryIO

MOST_LINES = 100
"""How many header lines a head may have."""

MOST_DIGITS = 19
"""How many digits a length may not have. Python converts no more than some thousand."""

MOST_BYTES = 65_536
"""How many bytes a header line may have."""

MOST_HEAD = 131_072
"""How many bytes all header lines together may have."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE = re.compile(rf"({_TOKEN}):([^\r\n\0]*)\r\n")
_FIRST_LINE = re.compile(rf"{_TOKEN} [!-~\x80-\xff]+ HTTP/1\.[01]\r\n")


class NotImplementedHere(ValueError):
    """The request needs something that this server does not have: 501, by RFC 9112, 6.1."""


def check_first_line(line: str) -> None:
    """Check method, target and version (RFC 9112, 3). Raises ValueError."""
    if _FIRST_LINE.fullmatch(line) is None:
        raise ValueError(
            f"not a request line of HTTP/1.0 or 1.1, with single spaces and CRLF: {line[:80]!r}"
        )


class Head:
    """The header lines, with the interface that gevent's handler expects."""

    status = ""
    """What is wrong with the headers, for gevent. It is always empty, because a fault raises an
    error."""

    def __init__(self, stream: BinaryIO) -> None:
        """Read up to the empty line. Raises ValueError for a malformed head."""
        self.headers: list[str] = []
        """The lines, as they arrived."""
        self._values: dict[str, str] = {}
        size = 0
        while (line := stream.readline(MOST_BYTES + 1)) != b"\r\n":
            size += len(line)
            if size > MOST_HEAD:
                raise ValueError(f"the header lines have more than {MOST_HEAD} bytes")
            self._add(line.decode("latin-1"))
        length = self._values.get("content-length", "0")
        if not (length.isascii() and length.isdecimal() and len(length) < MOST_DIGITS):
            raise ValueError(f"Content-Length: {length[:40]!r} is no length")
        self._check_coding()

    @property
    def is_chunked(self) -> bool:
        """Whether the body is chunked."""
        return "transfer-encoding" in self._values

    def _check_coding(self) -> None:
        """Check Transfer-Encoding: what nobody knows would be read as the next request. Raises
        ValueError, NotImplementedHere."""
        coding = self._values.get("transfer-encoding")
        if coding is None:
            return
        if "content-length" in self._values:
            raise ValueError("Transfer-Encoding and Content-Length: give one of them")
        if coding.lower() != "chunked":
            raise NotImplementedHere(
                f"Transfer-Encoding: {coding[:40]!r} is not known; allowed is chunked"
            )

    def _add(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None or len(self.headers) == MOST_LINES:
            raise ValueError(f"not a header line, or one header line too many: {line[:80]!r}")
        self.headers.append(line)
        name, value = found[1].lower(), found[2].strip(" \t")
        twice = name in self._values
        if self._values.setdefault(name, value) != value and name == "content-length":
            raise ValueError("Content-Length: the request gives two lengths")
        if twice and name == "transfer-encoding":
            raise ValueError("Transfer-Encoding: the request gives it twice")

    @property
    def typeheader(self) -> str | None:
        """The type of the body."""
        return self._values.get("content-type")

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of that name, in whatever case."""
        return self._values.get(name.lower(), default)

    getheader = get

    def __delitem__(self, name: str) -> None:
        self._values.pop(name.lower(), None)

"""Header lines as mappings: those of a response, and those of a request."""

from __future__ import annotations

import email.utils
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any


class Headers(Mapping[str, str]):
    """The header lines of a response, by name in any case. Of a repeated one, the last counts."""

    def __init__(self, lines: Iterable[tuple[str, str]] | Mapping[str, str] = ()) -> None:
        pairs: Any = lines.items() if isinstance(lines, Mapping) else lines
        self._lines = [(name.lower(), value) for name, value in pairs]
        self._last: dict[str, str] = dict(self._lines)
        self.protocol = ""
        """The protocol in the status line, such as `HTTP/1.1`. Empty without a status line."""

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> Headers:
        """Parse lines as received. Lines before the last status line (1xx) do not count."""
        pairs: list[tuple[str, str]] = []
        status_line = b""
        for line in lines:
            if line.startswith(b"HTTP/"):
                pairs.clear()
                status_line = line
                continue
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                pairs.append((name.strip().lower(), value.strip()))
        made = cls()
        made._lines, made._last = pairs, dict(pairs)
        made.protocol = status_line.partition(b" ")[0].decode("latin-1")
        return made

    def getall(self, name: str) -> list[str]:
        """All values of a header, in the order received."""
        return [value for key, value in self._lines if key == name.lower()]

    getlist = getall

    def __getitem__(self, name: str) -> str:
        return self._last[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"


class RequestHeaders(MutableMapping[str, str | None]):
    """The header lines that a request adds. Case does not matter; they are sent as first written.

    A list of values becomes one line. None means that no header of that name is sent.
    """

    __slots__ = ("_by_key",)

    def __init__(self, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        self._by_key: dict[str, tuple[str, str | None]] = {}
        self.update(dict(headers))

    def __getitem__(self, name: str) -> str | None:
        return self._by_key[_text(name).lower()][1]

    def __setitem__(self, name: str, value: Any) -> None:
        line = _text(name), None if value is None else _value(value)
        if any("\n" in part or "\r" in part for part in line if part):
            raise ValueError(f"header {name!r}: {value!r} has a line break; allowed: one line")
        self._by_key[line[0].lower()] = line

    def __delitem__(self, name: str) -> None:
        del self._by_key[_text(name).lower()]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def __repr__(self) -> str:
        return f"RequestHeaders({dict(self)!r})"


def _text(part: Any) -> str:
    return part.decode("latin-1") if isinstance(part, bytes) else str(part)


def _value(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else _text(value)


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float:
    """The seconds from now that Retry-After asks for; 0 if it is absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment_s = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, moment_s - now_s)

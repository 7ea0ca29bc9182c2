"""Header lines as mappings: those of a response, and those of a request."""

from __future__ import annotations

import email.utils
import functools
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from datetime import UTC
from typing import Any

_SPACE = " \t\r\n"
"""White space around a value (RFC 9110, 5.6.3), and the end of its line. What else is white space
in Latin-1 may end a character of UTF-8, as the byte A0 does in the letter a with a grave."""
_SENT = ("utf-8", "surrogateescape")
"""How texts are sent, and what happens to errors."""


class HeaderText(str):
    """The name or the value of a header that was received. It also answers like the bytes that
    Scrapy has here: each method that bytes have too takes bytes, and returns such a text."""

    __slots__ = ()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The text in that encoding. Headers are Latin-1; many sites send UTF-8 in them."""
        return bytes(self).decode(encoding, errors)

    def __bytes__(self) -> bytes:
        return self.encode(*self._encoding())

    def _encoding(self) -> tuple[str, str]:
        """The encoding of this text, and what it does with errors."""
        fits = max(self, default="") <= "\xff"
        return ("latin-1", "strict") if fits else _SENT  # a spider made this response

    def _text(self, part: Any) -> Any:
        """A part, or each of a tuple, as a text in the encoding of this one."""
        if isinstance(part, tuple):
            return tuple(map(self._text, part))
        return part.decode(*self._encoding()) if isinstance(part, bytes) else part

    def _own(self, part: Any) -> Any:
        """What a method returns, with its texts as such texts."""
        if isinstance(part, (list, tuple)):
            return type(part)(map(self._own, part))
        return type(self)(self._text(part)) if isinstance(part, (str, bytes)) else part

    def __eq__(self, other: object) -> bool:
        if isinstance(other, bytes):
            return bytes(self) == other
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __contains__(self, part: Any) -> bool:
        return super().__contains__(self._text(part))

    def __getitem__(self, key: Any) -> Any:
        return self._own(super().__getitem__(key))

    def __add__(self, other: Any) -> Any:
        return self._own(super().__add__(self._text(other)))

    def __radd__(self, other: Any) -> Any:
        return self._own(self._text(other) + str(self))


def _answering(name: str) -> Any:
    """The method of that name, for `HeaderText`.

    Without a text as an argument, it asks bytes: their letters and white space are only ASCII's, so
    that nothing happens to the parts of a character in UTF-8.
    """

    @functools.wraps(getattr(str, name))
    def method(self: HeaderText, *args: Any, **named: Any) -> Any:
        if any(isinstance(each, (str, bytes, tuple)) for each in (*args, *named.values())):
            named = {key: self._text(each) for key, each in named.items()}
            return self._own(getattr(str, name)(self, *map(self._text, args), **named))
        return self._own(getattr(bytes, name)(bytes(self), *args, **named))

    return method


for _name in (
    *("capitalize", "lower", "swapcase", "title", "upper"),
    *("count", "endswith", "find", "index", "rfind", "rindex", "startswith"),
    *("lstrip", "removeprefix", "removesuffix", "replace", "rstrip", "strip"),
    *("partition", "rpartition", "rsplit", "split", "splitlines"),
):
    setattr(HeaderText, _name, _answering(_name))


class SentText(HeaderText):
    """The name or the value of a header of a request."""

    __slots__ = ()

    def _encoding(self) -> tuple[str, str]:
        return _SENT


class Headers(Mapping[str, str]):
    """The header lines of a response, by name in any case. Of a repeated one, the last counts.

    Names may be bytes, and a value may be a list, as in Scrapy.
    """

    def __init__(self, lines: Iterable[tuple[Any, Any]] | Mapping[Any, Any] = ()) -> None:
        pairs: Any = lines.items() if isinstance(lines, Mapping) else lines
        self._lines = [
            (_received(name).lower(), _received(each))
            for name, value in pairs
            for each in (value if isinstance(value, (list, tuple)) else [value])
        ]
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
                pairs.append((name.strip(_SPACE).lower(), value.strip(_SPACE)))
        made = cls.__new__(cls)  # `__init__` would make each text anew
        made._lines, made._last = pairs, dict(pairs)
        made.protocol = status_line.partition(b" ")[0].decode("latin-1")
        return made

    def getall(self, name: str | bytes) -> list[str]:
        """All values of a header, in the order received."""
        wanted = _text(name).lower()
        return [HeaderText(value) for key, value in self._lines if key == wanted]

    def getlist(self, name: str | bytes, default: Any = None) -> list[str]:
        """The same; without a header of that name, the default as a list."""
        return self.getall(name) or _listed(default)

    def to_unicode_dict(self) -> dict[str, str]:
        """A dict of texts. The values of a repeated header are joined by commas."""
        return {name: ",".join(self.getall(name)) for name in self._last}

    def __getitem__(self, name: str | bytes) -> str:
        return HeaderText(self._last[_text(name).lower()])

    def __contains__(self, name: object) -> bool:
        return _text(name).lower() in self._last  # by default it asks for a value that most lack

    def __iter__(self) -> Iterator[str]:
        return map(HeaderText, self._last)

    def __len__(self) -> int:
        return len(self._last)

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"


class RequestHeaders(MutableMapping[str, str | None]):
    """The header lines that a request adds. Case does not matter; they are sent as first written.

    A list of values becomes one line, with commas, or with semicolons for cookies. None means that
    no header of that name is sent. Bytes are sent as these bytes, and text as UTF-8. Raises
    ValueError for a line break. Whatever else may not be sent (`wire.header_fault`) is the error of
    its request.
    """

    __slots__ = ("_by_key",)

    def __init__(self, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        self._by_key: dict[str, tuple[str, str | None]] = {}
        self.update(dict(headers))

    def getlist(self, name: str | bytes, default: Any = None) -> list[str]:
        """The value of a header as a list; without it, the default as a list."""
        value = self.get(_text(name))
        return list(map(SentText, _listed(default))) if value is None else [value]

    def setlist(self, name: str | bytes, values: Iterable[Any]) -> None:
        """Set a header to several values, which become one line."""
        self[_text(name)] = list(values)

    def appendlist(self, name: str | bytes, value: Any) -> None:
        """Add a value to a header, whose values become one line."""
        self[_text(name)] = [*self.getlist(name), value]

    def to_unicode_dict(self) -> dict[str, str]:
        """A dict of texts, without the headers that are not sent."""
        return {name: value for name, value in self.items() if value is not None}

    def __getitem__(self, name: str | bytes) -> str | None:
        value = self._by_key[_text(name).lower()][1]
        return None if value is None else SentText(value)

    def __setitem__(self, name: str | bytes, value: Any) -> None:
        key = _text(name).strip(" \t")
        line = key, None if value is None else _value(key, value).strip(" \t")
        if any("\n" in part or "\r" in part for part in line if part):
            raise ValueError(f"header {name!r}: {value!r} has a line break; allowed: one line")
        self._by_key[key.lower()] = line

    def __delitem__(self, name: str | bytes) -> None:
        del self._by_key[_text(name).lower()]

    def __iter__(self) -> Iterator[str]:
        return (SentText(name) for name, _ in self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def __repr__(self) -> str:
        return f"RequestHeaders({dict(self)!r})"


def text_of(part: bytes) -> str:
    """Bytes as a text, from which `bytes_of` makes the same bytes again.

    They are read as UTF-8. Each byte that is none becomes a lone surrogate (PEP 383).
    """
    return part.decode(*_SENT)


def bytes_of(text: str) -> bytes:
    """A text as it is sent: in UTF-8, or as the bytes from which `text_of` made it.

    Raises UnicodeEncodeError, a ValueError, for a lone surrogate that stands for no byte.
    """
    return text.encode(*_SENT)


def cookies_set(headers: Headers) -> Iterator[tuple[str, str]]:
    """The names and values of the cookies that an answer sets, in the form of `text_of`, which
    requests and jars have too."""
    for line in headers.getall("set-cookie"):
        name, _, value = text_of(bytes(HeaderText(line))).partition(";")[0].partition("=")
        yield name.strip(" \t"), value.strip(" \t")


def _text(part: Any) -> str:
    return text_of(part) if isinstance(part, bytes) else str(part)


def _received(part: Any) -> str:
    return part.decode("latin-1") if isinstance(part, bytes) else str(part)


def _listed(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return [HeaderText(_text(each)) for each in values]


def _value(name: str, value: Any) -> str:
    """The value of a header in one line. Cookies have another separator (RFC 6265, 4.2.1)."""
    if not isinstance(value, (list, tuple)):
        return _text(value)
    return ("; " if name.lower() == "cookie" else ", ").join(map(_text, value))


MOST_RETRY_AFTER_S = 1e9
"""More seconds than anybody waits. Hosts ask for any number of digits, and so for infinity."""


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float:
    """The seconds from now that Retry-After asks for; 0 if it is absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    seconds = delta_s(value)
    if seconds is None:
        moment = moment_s(value)
        seconds = 0.0 if moment is None else max(0.0, moment - now_s)
    return min(seconds, MOST_RETRY_AFTER_S)


def delta_s(text: str) -> float | None:
    """The seconds that a header gives as digits (RFC 9110, 10.2.3); None if it gives no digits."""
    return float(text) if text.isascii() and text.isdecimal() else None


def moment_s(text: str) -> float | None:
    """The Unix time of an HTTP-date; None if it is none. One without a time zone is in GMT (RFC
    9110, 5.6.7)."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return zoned.timestamp()
    except (TypeError, ValueError, OverflowError):
        return None

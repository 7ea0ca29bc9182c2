"""The forms in which texts have the value of a secret: as JSON, Python and URLs write it, and
others."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

Forms = Callable[[str], Iterable[str]]
"""Yields the forms of a value."""

_ESCAPE = re.compile("%[0-9a-fA-F]{2}")


def even(text: str) -> str:
    """Return a text with its escapes of URLs in capital letters. It is as long as before."""
    return _ESCAPE.sub(lambda found: found[0].upper(), text) if "%" in text else text


def forms_of(value: str) -> Iterator[str]:
    """Yield a value as texts may have it, each as `even` returns it."""
    for each in {value, value.strip()}:
        yield from map(even, _written(each))
    raw = value.encode(errors="surrogatepass")
    yield from _base64(raw)
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (even(line) for each in lines for line in (each, each.strip()))


def _written(value: str) -> Iterator[str]:
    """Yield a value as programs write a text."""
    raw = value.encode(errors="surrogatepass")
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield repr(raw)[2:-1]
    yield from (quote(raw), quote(raw, safe=""), quote_plus(raw))


def _base64(raw: bytes) -> Iterator[str]:
    """Yield what base64 makes of a value in the midst of other bytes, as of `user:value`: it
    depends on how many bytes stand before. What other bytes share is left out."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode()
        for before in range(3):
            whole = encode(bytes(before) + raw).decode().rstrip("=")
            first = (0, 2, 3)[before]
            yield whole[first : (before + len(raw)) * 8 // 6]

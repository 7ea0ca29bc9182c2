"""Writes items as XML, in the shape of Scrapy's exporter: `<items><item>…</item></items>`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

from crawler.engine.items.item import fields_of, is_item, written_fields
from crawler.engine.items.sinks.file_writer import FileWriter
from crawler.engine.items.sinks.files import GrowingFile, last_end

HEAD, TAIL = b'<?xml version="1.0" encoding="utf-8"?>\n<items>\n', b"</items>\n"
_ITEM_END = b"</item>\n"
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is no character of XML 1.0 (section 2.2)."""
_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NO_NAME = re.compile(f"[^{_START}0-9.\xb7\u0300-\u036f\u203f\u2040-]")
_NO_START = re.compile(f"^(?=[^{_START}])|^$")
"""The names of elements (XML 1.0, section 2.3), without the colon, which means namespaces."""


class XmlItems(FileWriter):
    """Appends each item as an element, on a line of its own.

    An element of a list is a `<value>`. Characters that the name of a field may not have become
    `_`, and characters that XML does not know become U+FFFD.
    """

    def __init__(self, path: str | Path, fresh: bool = False, *, gz: bool = False) -> None:
        super().__init__(GrowingFile(path, last_item_end, fresh, head=HEAD, tail=TAIL, gz=gz))

    def encode(self, item: Any, url: str) -> tuple[bytes, int]:
        """The element of an item. Raises RecursionError if the item contains itself."""
        parts = (part for name, value in written_fields(item).items() for part in _xml(name, value))
        element = f"<item>{''.join(parts)}</item>\n".encode("utf-8", "replace")
        return element, len(element)


def last_item_end(file: BinaryIO) -> int:
    """The position after the last whole item. 0 in an empty file.

    Raises ValueError if the file holds something else.
    """
    file.seek(0)
    begins = file.read(len(HEAD))
    if not HEAD.startswith(begins):
        raise ValueError("it was not written by this program")
    return max(last_end(file, _ITEM_END), len(HEAD)) if begins == HEAD else 0


def _xml(name: Any, value: Any) -> Iterator[str]:
    """The parts of an element."""
    tag = _NO_START.sub("_", _NO_NAME.sub("_", str(name)))
    yield f"<{tag}>"
    if is_item(value):
        for key, below in fields_of(value).items():
            yield from _xml(key, below)
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        for below in value:
            yield from _xml("value", below)
    else:
        yield _text(value)
    yield f"</{tag}>"


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return escape(_NO_CHARACTER.sub("\ufffd", text), {"\r": "&#13;"})

"""Reads items from JSON lines, JSON arrays, CSV and XML, as the sinks write them."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from crawler.items.source import Lines, Source

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Item = dict[str, Any]


def json_lines(source: Source) -> Iterator[Item]:
    """The items of a file of JSON lines."""
    lines = Lines(source)
    for line in lines:
        if line.strip() and _is_whole(line, source):
            yield _parsed(line, lines)


def count_lines(source: Source) -> int:
    """How many items a file of JSON lines has, without reading them."""
    return sum(1 for line in Lines(source) if line.strip() and _is_whole(line, source))


def new_json_lines(source: Source) -> Iterator[tuple[Item, int]]:
    """The items of a file of JSON lines behind its `begin`, each with the byte behind it. A line
    without an end is left for later."""
    lines, at = Lines(source), source.begin
    for line in lines:
        if not line.endswith(b"\n"):
            return
        at += len(line)
        if line.strip():
            yield _parsed(line, lines), at


def json_array(source: Source) -> Iterator[Item]:
    """The items of a JSON array that has one a line. It need not be closed yet."""
    lines = Lines(source)
    is_open = is_closed = False
    for line in lines:
        text = line.strip()
        if not text:
            continue
        if is_closed or (text == b"[") is is_open:
            raise lines.damaged("it is no JSON array with an item a line")
        if not is_open:
            is_open = True
        elif text == b"]":
            is_closed = True
        elif _is_whole(line, source):
            yield _parsed(text.removesuffix(b","), lines)
    if source.must_be_whole and not is_closed:
        raise lines.damaged("the JSON array is not closed")


def csv_rows(source: Source) -> Iterator[Item]:
    """The items of a CSV file, by its header. Each value is a text."""
    csv.field_size_limit(sys.maxsize)  # a page in a field is longer than Python's 128 KB
    lines = Lines(source)
    texts = _Texts(lines)
    rows = csv.reader(texts, strict=True)
    header: list[str] = []
    try:
        for row in rows:
            if not header:
                header = row
            elif len(row) == len(header):
                yield dict(zip(header, row))
            elif row:
                raise lines.damaged(f"the row has {len(row)} fields, the header {len(header)}")
    except csv.Error as error:
        if not texts.is_over or source.must_be_whole:
            raise lines.damaged(f"it is no row of CSV ({error})") from None


class _Texts:
    """Lines as texts. A last one without an end does not count."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.is_over = False

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if not line.endswith(b"\n"):
                if self._lines.source.must_be_whole:
                    raise self._lines.damaged("the row has no end")
                break
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                raise self._lines.damaged(f"it is no UTF-8 ({error.reason})") from None
        self.is_over = True


def xml_items(source: Source) -> Iterator[Item]:
    """The items of an XML file. Each value is a text, a list or a dict. The file need not be closed
    yet."""
    from xml.etree.ElementTree import ParseError, XMLPullParser

    lines = Lines(source)
    parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
    path: list[Element] = []
    try:
        for line in lines:
            parser.feed(line)
            yield from _ended(parser, path)
        if source.must_be_whole:
            parser.close()
            yield from _ended(parser, path)
    except ParseError as error:
        raise lines.damaged(
            f"it is no XML ({error.msg.partition(':')[0]})", error.position[0]
        ) from None


def _ended(parser: Any, path: list[Element]) -> Iterator[Item]:
    """The items that have ended since the last call, below the root. They are forgotten."""
    for event, element in parser.read_events():
        if event == "start":
            path.append(element)
            continue
        path.pop()
        if len(path) == 1:
            yield {child.tag: _value(child) for child in element}
            path[0].clear()


def _value(element: Element) -> Any:
    if not len(element):
        return element.text or ""
    if all(child.tag == "value" for child in element):
        return [_value(child) for child in element]
    return {child.tag: _value(child) for child in element}


def _is_whole(line: bytes, source: Source) -> bool:
    """Whether a line counts. Where somebody may still write, it needs its end."""
    return source.has_ended or source.limit is not None or line.endswith(b"\n")


def _parsed(line: bytes, lines: Lines) -> Item:
    """The item that a text of JSON means. Raises ItemsDamaged."""
    try:
        found = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise lines.damaged(f"it is no UTF-8 ({error.reason})") from None
    except ValueError as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise lines.damaged(f"it is no JSON ({why})") from None
    except RecursionError:
        raise lines.damaged("its values are nested too deeply to be read") from None
    if not isinstance(found, dict):
        raise lines.damaged("it is no item, which is a JSON object")
    return found


def to_line(item: Item) -> bytes:
    """An item that was read as a line of JSON. Bytes, dates and times become texts."""
    return _encode(item).encode("utf-8", "replace") + b"\n"


def _plain(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


_encode = json.JSONEncoder(ensure_ascii=False, default=_plain).encode

"""Decodes the bytes of a page to text.

It looks for the encoding where browsers do, the most reliable place first: byte order mark,
Content-Type header, a declaration in the page (<meta> in the head, or the XML declaration), UTF-8,
a guess. Labels mean what the WHATWG Encoding Standard says: `latin-1` is cp1252, `gb2312` is
gb18030 (encoding_labels.py). JSON is UTF-8 (RFC 8259, 8.1), whatever its header says.
"""

from __future__ import annotations

import codecs
import json
import re
from functools import lru_cache

from charset_normalizer import from_bytes

from crawler.engine.http import head, page_kind
from crawler.engine.http.encoding_labels import codec
from crawler.engine.http.page_kind import Kind

GUESS_BYTES = 32_768
"""The bytes of a page that the guess reads. It only computes, and so blocks everything else."""
MOST_BAD = 1 / 3
"""Text is UTF-8 if no more than this share of what is not ASCII breaks its rules. In texts in other
encodings two thirds do, mostly all of it."""
LAST_RESORT = "cp1252"
"""In this encoding every byte means something, so the ASCII part of a page survives."""


_GUESSED = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "iso8859_2", "koi8_r"),
    *("gb18030", "big5", "cp932", "euc_jp", "cp949"),
)
"""The encodings of pages that declare none. A guess among all encodings takes ten times as long."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like the next mark
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
)
_MARKS_BEGIN = frozenset(mark[:1] for mark, _ in _MARKS)
_IN_HEADER = re.compile(r"(?:^|[\s;,])charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)
_IN_CONTENT = re.compile(
    r"charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s;\"'][^\s;]*))", re.IGNORECASE
)
_UTF_16 = {b"<\0?\0x\0": "utf-16-le", b"\0<\0?\0x": "utf-16-be"}
"""How an XML declaration begins that is itself in UTF-16 (HTML standard, 13.2.3.2; XML, F.1)."""
_IN_XML = re.compile(rb"\s*<\?xml\s[^<>]*?encoding\s*=\s*[\"']([^\"'<>]+)", re.IGNORECASE)
_ASCII = bytes(range(128))


def decode(body: bytes, content_type: str = "", kind: Kind | None = None) -> tuple[str, str]:
    """Return encoding and text of a page. Bytes that do not fit the encoding become U+FFFD.

    `kind` is that of the page, if it is known already.
    """
    unicode = marked(body)
    if unicode is not None:
        return unicode, body.decode(unicode, "replace").removeprefix("\ufeff")
    kind = kind or page_kind.kind(content_type, body)
    declared = _header_codec(content_type) or _page_codec(body, kind)
    if declared is not None and kind is not Kind.JSON:
        return declared, _text(body, declared)
    try:
        return "utf-8", body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("utf-8", "replace")
    if _is_nearly_utf_8(body, text):
        return "utf-8", text
    chosen = declared or ("utf-8" if kind is Kind.JSON else _guess(body))
    return chosen, _text(body, chosen)


def _text(body: bytes, encoding: str) -> str:
    return body.decode(encoding, _EURO if encoding == "gb18030" else "replace")


def _euro_or_replaced(error: UnicodeError) -> tuple[str, int]:
    """The byte 80 is the euro sign in gb18030 (Encoding Standard, 10.2.1); Python's codec does not
    know it. For anything else U+FFFD."""
    assert isinstance(error, UnicodeDecodeError)
    return "€" if error.object[error.start] == 0x80 else "\ufffd", error.start + 1


_EURO = "crawler.gb18030"
codecs.register_error(_EURO, _euro_or_replaced)


def marked(body: bytes) -> str | None:
    """The encoding that a byte order mark at the beginning of a body names; None without one."""
    if body[:1] not in _MARKS_BEGIN:
        return None
    return next((name for mark, name in _MARKS if body.startswith(mark)), None)


def decode_json(body: bytes) -> str | None:
    """The text of JSON that is encoded as it must be: UTF-8 (RFC 8259), or, as once was allowed,
    UTF-16 or UTF-32. None if it is not."""
    try:
        text = body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        return None
    return text.removeprefix("\ufeff")


def declared_in_xml(start: bytes) -> str | None:
    """The encoding that an XML declaration at the beginning of a body names, or in which it is
    written; None without one."""
    if start[:6] in _UTF_16:
        return _UTF_16[start[:6]]
    found = _IN_XML.match(start)
    return _readable(found[1].decode("latin-1")) if found else None


@lru_cache(maxsize=256)
def _header_codec(content_type: str) -> str | None:
    found = _IN_HEADER.search(content_type)
    return codec(found[1]) if found else None


def _page_codec(body: bytes, kind: Kind) -> str | None:
    """The encoding that a page declares in itself."""
    if kind in (Kind.HTML, Kind.XHTML, Kind.OTHER):
        for tag in head.tags(body.decode("latin-1"), "charset", is_xml=kind is Kind.XHTML):
            if tag.name == "meta" and tag.mentions("charset"):
                meant = _readable(_label(tag))
                if meant is not None:
                    return meant
    return declared_in_xml(body)


def _label(meta: head.Tag) -> str:
    """The label in a <meta> that declares an encoding (HTML standard, 4.2.5.4), else nothing."""
    charset = meta.get("charset")
    if charset is not None:
        return charset
    if (meta.get("http-equiv") or "").lower() != "content-type":
        return ""
    found = _IN_CONTENT.search(meta.get("content") or "")
    return next(filter(None, found.groups()), "") if found else ""


def _readable(label: str) -> str | None:
    """The encoding of a declaration. One that can be read byte by byte is not in UTF-16."""
    meant = codec(label.rstrip("/"))
    return "utf-8" if meant is not None and meant.startswith("utf-16") else meant


def _is_nearly_utf_8(body: bytes, text: str) -> bool:
    """Whether `text`, the body read as UTF-8, is right but for some bytes.

    A character that is cut off by the end of the body is no fault.
    """
    cut = len(body) - codecs.utf_8_decode(body, "replace", False)[1]
    bad = text.count("\ufffd") - body.count("\ufffd".encode()) - bool(cut)
    strange = len(text) - (len(body) - len(body.translate(None, _ASCII))) - bool(cut)
    return strange > bad and bad <= MOST_BAD * strange


def _guess(body: bytes) -> str:
    best = from_bytes(body[:GUESS_BYTES], cp_isolation=list(_GUESSED)).best()
    return best.encoding if best is not None else LAST_RESORT

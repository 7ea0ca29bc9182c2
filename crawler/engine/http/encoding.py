"""Decodes the bytes of a page to text.

It looks for the encoding where browsers do, the most reliable place first: byte order mark,
Content-Type header, <meta> in the first 4 KB, strict UTF-8, a guess. Labels mean what the WHATWG
Encoding Standard says: `latin-1` is cp1252, `gb2312` is gb18030 (encoding_labels.py).
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from charset_normalizer import from_bytes

from crawler.engine.http.encoding_labels import codec

HEAD_BYTES = 4096
"""The bytes of a page that are searched for a declaration; the standard asks for 1024 at least."""
GUESS_BYTES = 32_768
"""The bytes of a page that the guess reads. It only computes, and so blocks everything else."""
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
_IN_HEADER = re.compile(r"charset\s*=\s*[\"']?([^\s\"';,]+)", re.IGNORECASE)
_IN_PAGE = re.compile(
    rb"<!--.*?-->"
    rb"|<meta[\s/][^<>]*?charset\s*=\s*[\"']?\s*(?P<meta>[^\s\"'/<>;]+)"
    rb"|<\?xml\s[^<>]*?encoding\s*=\s*[\"'](?P<xml>[^\"'<>]+)",
    re.IGNORECASE | re.DOTALL,
)


def decode(body: bytes, content_type: str = "") -> tuple[str, str]:
    """Return encoding and text of a page. Bytes that do not fit the encoding become U+FFFD."""
    for mark, marked in _MARKS:
        if body.startswith(mark):
            return marked, body[len(mark) :].decode(marked, "replace")
    declared = _header_codec(content_type) or _page_codec(body[:HEAD_BYTES])
    if declared is not None:
        return declared, body.decode(declared, "replace")
    try:
        return "utf-8", body.decode("utf-8")
    except UnicodeDecodeError:
        guessed = _guess(body)
        return guessed, body.decode(guessed, "replace")


@lru_cache(maxsize=256)
def _header_codec(content_type: str) -> str | None:
    found = _IN_HEADER.search(content_type)
    return codec(found[1]) if found else None


def _page_codec(head: bytes) -> str | None:
    for found in _IN_PAGE.finditer(head):
        label = found["meta"] or found["xml"]
        meant = codec(label.decode("latin-1")) if label else None
        if meant is not None:
            # A page whose declaration can be read byte by byte is not in UTF-16.
            return "utf-8" if meant.startswith("utf-16") else meant
    return None


def _guess(body: bytes) -> str:
    best = from_bytes(body[:GUESS_BYTES], cp_isolation=list(_GUESSED)).best()
    return best.encoding if best is not None else LAST_RESORT

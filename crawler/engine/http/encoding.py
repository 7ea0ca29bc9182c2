"""From the bytes of a page to its text.

The order is that of browsers, and of what fails least: byte order mark, Content-Type header,
<meta> in the first 4 KB, strict UTF-8, a guess. Labels mean what the WHATWG Encoding Standard says:
`latin-1` is cp1252, `gb2312` is gb18030 (encoding_labels.py).
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from charset_normalizer import from_bytes

from crawler.engine.http.encoding_labels import codec

HEAD_BYTES = 4096
"""How far into a page its declaration is looked for; the standard asks for 1024 at least."""
GUESS_BYTES = 32_768
"""How much of a page the guess looks at: it is pure computation, which blocks everything else."""
LAST_RESORT = "cp1252"
"""Every byte means something in it, so that the ASCII part of a page survives."""


_GUESSED = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "iso8859_2", "koi8_r"),
    *("gb18030", "big5", "cp932", "euc_jp", "cp949"),
)
"""What pages are in that do not say so; a guess among all encodings takes ten times as long."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like the next, so comes before it
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
    """Encoding and text of a page; characters that fit no encoding become U+FFFD."""
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
            # Who could read the declaration byte by byte has no page in UTF-16.
            return "utf-8" if meant.startswith("utf-16") else meant
    return None


def _guess(body: bytes) -> str:
    best = from_bytes(body[:GUESS_BYTES], cp_isolation=list(_GUESSED)).best()
    return best.encoding if best is not None else LAST_RESORT

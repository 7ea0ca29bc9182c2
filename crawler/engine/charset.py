"""From the bytes of a page to its text.

The order is that of browsers, and of what fails least: byte order mark, Content-Type header,
<meta> in the first 4 KB, strict UTF-8, a guess. Labels mean what the WHATWG Encoding Standard says:
`latin-1` is cp1252, `gb2312` is gb18030.
"""

from __future__ import annotations

from charset_normalizer import from_bytes
from w3lib.encoding import (
    html_body_declared_encoding,
    http_content_type_encoding,
    read_bom,
    to_unicode,
)

GUESS_BYTES = 32_768
"""How much of a page the guess looks at: it is pure computation, which blocks everything else."""
LAST_RESORT = "cp1252"
"""Every byte means something in it, so that the ASCII part of a page survives."""


def decode(body: bytes, content_type: str = "") -> tuple[str, str]:
    """Encoding and text of a page; characters that fit no encoding become U+FFFD."""
    marked, mark = read_bom(body)
    if marked is not None and mark is not None:
        return marked, to_unicode(body[len(mark) :], marked)
    declared = http_content_type_encoding(content_type) or html_body_declared_encoding(body)
    if declared is not None:
        return declared, to_unicode(body, declared)
    try:
        return "utf-8", body.decode("utf-8")
    except UnicodeDecodeError:
        guessed = _guess(body)
        return guessed, to_unicode(body, guessed)


def _guess(body: bytes) -> str:
    best = from_bytes(body[:GUESS_BYTES]).best()
    return best.encoding if best is not None else LAST_RESORT

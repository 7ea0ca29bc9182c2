"""Mends XML that is not well-formed, before libxml2 reads it.

After its first error libxml2 goes on, but drops what it took for granted before: every `&amp;` that
follows is lost. A bare `&` or a `&nbsp;` is the usual error of feeds.
"""

from __future__ import annotations

import re
from html.entities import html5

_FAULTS = re.compile(
    r"(?P<kept><!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z))"
    r"|&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)(?P<name>[A-Za-z][A-Za-z0-9]*;)?"
    r"|(?P<stray><(?![A-Za-z_:!/\u0080-\U0010ffff]))",
    re.DOTALL,
)
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def mended(text: str) -> str:
    """The document with entities of HTML as characters, and bare `&` and `<` escaped.

    A document that declares entities of its own is left as it is.
    """
    return text if "<!ENTITY" in text else _FAULTS.sub(_mended, _ILLEGAL.sub("", text))


def _mended(found: re.Match[str]) -> str:
    if found["kept"]:
        return found["kept"]
    if found["stray"]:
        return "&lt;"
    name = found["name"] or ""
    return html5.get(name) or f"&amp;{name}"

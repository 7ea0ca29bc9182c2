"""Cleans texts that callers gave, before a log or the audit has them."""

from __future__ import annotations

import re

from crawler.redaction import hide

MOST_TEXT = 200
"""How many characters of such a text are kept."""

_TOKEN = re.compile(r"(crawler_[0-9a-f]{12}_)[0-9A-Za-z_-]*|(eyJ)[\w-]+\.[\w-]*\.[\w-]*")
"""The text of a token or of a login. Somebody may give it where an id is expected."""


def clean(text: str) -> str:
    """Return a text of a caller: on one line, not long, and without a token or a login."""
    text = hide(text)
    if not text.isprintable():
        text = text.encode("unicode_escape").decode("ascii")
    if "crawler_" in text or "eyJ" in text:
        text = _TOKEN.sub(r"\1\2…", text)
    return text[:MOST_TEXT]

"""URLs of web pages, as the WHATWG URL standard and browsers read them.

No other file imports can_ada. What else there is to do with URLs is in engine/http/urls.py; this
part is here because masters look at the URLs of tasks, and have no engine.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import can_ada

Parsed: TypeAlias = can_ada.URL
"""A parsed URL: `href`, `protocol`, `hostname`, `pathname`, `search`, …"""

WEB = ("http:", "https:")
"""The protocols that the crawler fetches."""
SURROGATES = re.compile("[\ud800-\udfff]")
"""What a text may contain and UTF-8 cannot encode."""


def parse(url: str) -> Parsed:
    """Parse an absolute URL. Raises ValueError if it is none."""
    try:
        return can_ada.parse(url)
    except TypeError:  # lone surrogates, which UTF-8 cannot encode
        return can_ada.parse(SURROGATES.sub("\ufffd", url))


def is_web(url: str) -> bool:
    """Whether a URL is absolute, and http or https with a host."""
    try:
        return parse(url).protocol in WEB
    except ValueError:
        return False

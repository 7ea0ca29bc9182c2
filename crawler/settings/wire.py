"""Says which texts may go onto the wire, so that none becomes a second header or a second request.

Settings, requests and the sender all ask here: where a text is set, and again where it is sent.
"""

from __future__ import annotations

import re

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""The characters of a method and of the name of a header (RFC 9110, 5.6.2)."""
LINE = r"[^\x00-\x08\x0a-\x1f\x7f]*"
"""The characters of the value of a header: no line breaks, and no other control characters."""
SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
"""The headers that hold a secret."""
FOR_PROXY = "proxy-authorization"
"""The header that a proxy gets, and never a site."""
BOUND = SECRET - {FOR_PROXY} | {"host"}
"""Headers that are sent only to the host for which they were written."""
FRAMING = frozenset({"content-length", "http2-settings", "trailer", "transfer-encoding", "upgrade"})
"""The headers that say where a request ends, or in which protocol it goes on. A server that
believes a wrong one takes the rest of the body for the next request."""
CONNECTION = ("keep-alive", "close")
"""The values that a header `Connection` may have."""
OWN = "Content-Length, Transfer-Encoding, Trailer, Upgrade and HTTP2-Settings"

_NAME = re.compile("[:;]")
_token = re.compile(TOKEN).fullmatch
_line = re.compile(LINE).fullmatch


def is_token(text: object) -> bool:
    """Whether a value is a method, or the name of a header."""
    return isinstance(text, str) and _token(text) is not None


def is_line(text: str) -> bool:
    """Whether a text has neither line breaks nor other control characters."""
    return text.isprintable() or _line(text) is not None  # nearly all are, and it is quick


def header_fault(name: str, value: str | None) -> str:
    """What is wrong with a header of a crawl or a request; empty if nothing is.

    A value of None means that no header of that name is sent.
    """
    if not is_token(name):
        return f"header {name!r}: no name of a header; allowed: letters, digits, dashes"
    key = name.lower()
    if key in FRAMING:
        return f"header {name!r}: the crawler sends {OWN} itself; leave the header out"
    if value is None:
        return ""
    if not is_line(value):
        what = "line break" if "\n" in value or "\r" in value else "control character"
        return f"header {name!r}: {value!r} has a {what}; allowed: one line"
    if key == "connection" and value.strip().lower() not in CONNECTION:
        return f"header {name!r}: {value!r} is not allowed; allowed: {', '.join(CONNECTION)}"
    return ""


def name_of(line: str) -> str:
    """The name of a header line, `Name: value`, `Name:` or `Name;`, in small letters."""
    return _NAME.split(line, 1)[0].lower()


def is_header(line: str) -> bool:
    """Whether a crawl may send a header line, `Name: value`."""
    name, _, value = line.partition(":")
    return not header_fault(name, value.strip())

"""The forms of texts in settings: a check, and words for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_network
from urllib.parse import urlsplit

from crawler.model.secrets import is_key
from crawler.schemas.constraint_json import QUANTITIES
from crawler.schemas.constraint_json import QUANTITY as QUANTITY_PATTERN
from crawler.settings import patterns, redis_url, wire

MOST_PORT = 65_535


def _anything(value: str) -> bool:
    return True


@dataclass(frozen=True)
class Form:
    """What a text must look like."""

    pattern: str
    """A regular expression that matches the whole text."""
    words: str
    """The same in words. A message continues with "is allowed"."""
    check: Callable[[str], bool] = _anything
    """A check for what no pattern can express."""
    first_fault: Callable[[Iterable[str]], tuple[int, str] | None] | None = None
    """How a list of such texts is checked, if not each for itself: it returns the place of the
    first fault, and what is wrong there."""
    mask: Callable[[str], str] | None = None
    """How a message shows a text that may hold a secret: without it."""

    def fits(self, value: str) -> bool:
        """Whether a text has this form."""
        return re.fullmatch(self.pattern, value) is not None and self.check(value)

    @property
    def unchecked(self) -> Form:
        """The same without `check`."""
        return replace(self, check=_anything)


def _has_port(address: str) -> bool:
    return int(address.rpartition(":")[2] or 0) <= MOST_PORT


def _is_url(text: str) -> bool:
    try:
        return urlsplit(text).port != 0
    except ValueError:
        return False


def _is_redis_url_or_empty(text: str) -> bool:
    return not text or redis_url.is_redis_url(text)


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _is_issuer(text: str) -> bool:
    if not text:
        return True
    if not _is_url(text):
        return False
    parts = urlsplit(text)
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or is_here)


def without_login(url: str) -> str:
    """A URL without its user and its password."""
    before, at, after = url.rpartition("@")
    scheme, slashes, _ = before.rpartition("//")
    return f"{scheme}{slashes}***@{after}" if at else url


LISTEN = Form(r"([^\s:/]*:[0-9]{1,5})?", ":port or host:port", _has_port)
"""Where a server listens. It may be empty."""
ENDPOINT = Form(r"[^\s:/]+:[0-9]{1,5}", "host:port", _has_port)
PATH = Form(r"(/[^\s/]+)+", "a path such as /a/b")
SERVICE = Form(r"[A-Za-z0-9._-]+", "letters, digits, dots, dashes")
NAME = Form(r"[A-Za-z0-9._-]{0,64}", "up to 64 letters, digits, dots, dashes")
QUANTITY = Form(QUANTITY_PATTERN, QUANTITIES)
TAINT = Form(
    r"\w[\w./-]*(=[\w./-]*)?:(NoSchedule|PreferNoSchedule)",
    "key=value:effect, with the effect NoSchedule or PreferNoSchedule,",
)
ISSUER = Form(
    r"(https?://[^\s?#@]+)?",
    "an https:// URL without query, or one with http:// of this machine,",
    _is_issuer,
    mask=without_login,
)
"""Whose tokens count: everybody who can change what is fetched from there is an admin."""
COLLECTOR = Form(
    r"(https?://[^\s?#@]+)?",
    "an http:// or https:// URL without a login and a query",
    _is_url,
    mask=without_login,
)
"""Where a collector listens. It may be empty."""
CLAIM = Form(r"[^\s]+", "the name of a claim, or a path such as realm_access.roles,")
SCOPE = Form(r"[!#-\[\]-~]+", "a scope without spaces")
NETWORK = Form(
    r"all|[0-9A-Fa-f.:]+(/[0-9]{1,3})?", "a network such as 10.0.0.0/8 or fd00::/8, or `all`,"
)
CALLERS = Form(
    r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", "a network such as 10.0.0.0/8 or fd00::/8", _is_network
)
"""Addresses of callers. The bits beyond its length are 0: another network was meant."""
PROXY = Form(
    r"(?i:https?|socks4a?|socks5h?)://[^\s\x00-\x1f\x7f/]+/?",
    "http://host:port, https://, socks4://, socks4a://, socks5:// or socks5h://",
    _is_url,
)
HEADER_NAME = Form(wire.TOKEN, "letters, digits, dashes, as the name of a header,")
LINE = Form(wire.LINE, "a text without line breaks and other control characters")
HEADER = Form(
    r"(?s:.*)",
    f"any header but {wire.OWN}, and Connection other than {' or '.join(wire.CONNECTION)},",
    wire.is_header,
)
"""A pair of a mapping of headers, written as a line."""
USER = Form(r"[^\x00-\x1f\x7f:]*", "a text without colons, line breaks and control characters")
USER_NAME = Form(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?", "the name of a user of this machine")
"""Whose rights a process has. It may be empty."""
REDIS = Form(
    r"(?s:.*)", f"{redis_url.ALLOWED} or nothing", _is_redis_url_or_empty, mask=without_login
)
HISTORY = Form(
    r"((sqlite:///|postgres(ql)?(\+psycopg)?://)[^\s]+)?",
    "sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE or nothing",
    mask=without_login,
)
SHARED = Form(
    r"((s3|gs)://[^/\s][^\s]*|/[^\x00-\x1f]*)?",
    "s3://bucket/folder, gs://bucket/folder, a path from the root such as /mnt/items, or nothing",
    mask=without_login,
)
"""Where workers share files."""
WEB = Form(
    r"(https?://[^\s\x00-\x1f\x7f/?#@]+([/?][!-~]*)?)?", "an http:// or https:// URL", _is_url
)
"""Where a message is posted. It may be empty."""
RULE = Form(r"[A-Za-z0-9._-]{0,64}", "up to 64 letters, digits, dots, dashes")
MAIL = Form(r"([^\s@<>\x00-\x1f]+@[^\s@<>\x00-\x1f]+)?", "an address such as ops@example.com,")
SECRET_KEY = Form(r"(?s:.*)", "32 bytes in base64", is_key)
WILDCARD = Form(r"(?s:.{1,200})", "a name of 1 to 200 characters, perhaps with *,")
REGEX = Form(r"(?s:.*)", patterns.ALLOWED, patterns.is_linear, patterns.first_fault)

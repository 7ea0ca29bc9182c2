"""URLs: joining, the form in which they are compared, and the fingerprint of a request.

Each function has a fast path for what most links look like; it gives what the full algorithm
(urllib's join, w3lib's canonical form) gives, which the tests compare.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from urllib.parse import urljoin, urlsplit

from w3lib.url import canonicalize_url, safe_url_string

_PLAIN = re.compile(r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]+)?/[A-Za-z0-9_~./-]*")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_~-][A-Za-z0-9_~/-]*(?:\.[a-z0-9]+)?(?:\?[A-Za-z0-9_=&.-]+)?")
_ORIGIN = re.compile(r"(https?)://([^/?#]+)", re.IGNORECASE)
_WEB = ("http://", "https://")


def is_plain(url: str) -> bool:
    """Whether a URL is so simple that it is its own safe and canonical form."""
    return _PLAIN.fullmatch(url) is not None and "/." not in url and "xn--" not in url


def is_web(url: str) -> bool:
    """Whether a URL is absolute and of a scheme that is fetched: http or https, with a host."""
    if not url.startswith(_WEB) and not url[:8].lower().startswith(_WEB):
        return False
    try:
        return bool(urlsplit(url).hostname) and _port_is_valid(url)
    except ValueError:
        return False


def safe(url: str) -> str:
    """The URL as it is sent: without fragment and white space around, other characters escaped.

    Raises ValueError when it is no URL at all.
    """
    if is_plain(url):
        return url
    return safe_url_string(url.strip().partition("#")[0])


def canonical(url: str) -> str:
    """The form in which two URLs are compared: sorted query, even escapes, no fragment."""
    return url if is_plain(url) else canonicalize_url(url)


def join(base: str, href: str) -> str:
    """An absolute URL from a link and the URL it was found at; ValueError when it is none."""
    href = href.strip()
    if _PLAIN_PATH.fullmatch(href) and (found := _ORIGIN.match(base)):
        return found[0] + href
    return urljoin(base, href)


def origin(url: str) -> str:
    """Scheme, host and port as `scheme://host[:port]` in lower case, without user and password."""
    found = _ORIGIN.match(url)
    if found is None:
        raise ValueError(f"no http or https URL: {url!r}")
    return f"{found[1].lower()}://{found[2].rpartition('@')[2].lower()}"


def host(url: str) -> str:
    """The name or address of the host, in lower case, without port; empty when there is none."""
    return urlsplit(url).hostname or ""


def is_within(host_name: str, domains: frozenset[str]) -> bool:
    """Whether a host is one of the domains or lies below one."""
    if host_name in domains:
        return True
    return any(host_name.endswith(f".{domain}") for domain in domains)


def fingerprint(url: str, method: str = "GET", body: bytes | None = None) -> int:
    """64 bits, not all 0, that stand for a request: its canonical URL, method and body."""
    key = canonical(url).encode()
    if method != "GET" or body:
        key = b"\0".join((method.encode(), key, body or b""))
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") or 1


def _port_is_valid(url: str) -> bool:
    return (urlsplit(url).port or 80) > 0

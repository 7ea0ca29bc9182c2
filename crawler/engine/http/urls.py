"""URLs by the WHATWG standard, as browsers read them: joining, normal form, canonical form.

Joining a link with the URL of its page takes 0.4 us, and is done for every link;
`docs/decisions/0015-frontier.md` names the alternatives.
"""

from __future__ import annotations

import codecs
import fnmatch
import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote_from_bytes

from crawler.settings.web import SURROGATES
from crawler.settings.web import WEB as WEB
from crawler.settings.web import Parsed as Parsed
from crawler.settings.web import is_web as is_web
from crawler.settings.web import parse as parse

_ESCAPE = re.compile("%[0-9a-fA-F]{2}")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NOT_ASCII = re.compile("[^\x00-\x7f]+")

_ROOT = re.compile(r"https?://[^/\\?#\s]+/")
LONGEST_ROOTED = 256
"""The most characters of a link that `rooted` takes, because it remembers many."""
_LOGIN = re.compile(r"^(\w+://)[^/?#]*@")


@lru_cache(maxsize=256)
def parsed_base(url: str) -> Parsed:
    """The parsed URL of a page, for joining links. Do not change it."""
    return parse(url)


def join(base: str, href: str, encoding: str = "utf-8") -> str:
    """The absolute URL, in normal form, of a link and the URL of its page.

    Characters of the query outside ASCII are escaped in the encoding of the page. Raises ValueError
    if the result is no URL.
    """
    if encoding != "utf-8" and not href.isascii():
        href = _encoded_query(href, encoding)
    try:
        return (parsed_base(base) + href).href
    except TypeError:
        return (parsed_base(base) + SURROGATES.sub("\ufffd", href)).href


def root(url: str) -> str:
    """The root of the site of an http or https URL, with user and password, for `rooted`. Empty if
    it cannot be seen at a glance."""
    found = _ROOT.match(url)
    return found[0] if found else ""


@lru_cache(maxsize=16_384)
def rooted(root: str, href: str) -> str:
    """The `join` of a link in ASCII that begins with a slash, and the root of its page.

    The path of the page means nothing for such a link. So the links of a menu, which all pages of a
    site have, are joined once.
    """
    return join(root, href)


def from_header(value: str) -> str:
    """A link from a header, which was read as Latin-1: its bytes outside ASCII, escaped.

    Whatever encoding they are in, the server gets back the bytes that it wrote, as from browsers.
    """
    return value if value.isascii() else _NOT_ASCII.sub(_escaped_bytes, value)


def safe(url: str) -> str:
    """The URL as it is sent: in normal form, only ASCII, no fragment. Raises ValueError."""
    return sent(parse(url)).href


def sent(parsed: Parsed) -> Parsed:
    """The URL without its fragment, which no server sees."""
    if "#" in parsed.href:
        parsed.hash = ""
    return parsed


def canonical(url: str) -> str:
    """The form in which URLs are compared: sorted query, uniform escapes, no fragment."""
    return _even(safe(url))


def origin(url: str) -> str:
    """Scheme, host and port as `scheme://host[:port]`, without user, password and default port."""
    parsed = parse(url)
    if parsed.protocol not in WEB:
        raise ValueError(f"no http or https URL: {url!r}")
    return site(parsed)


def site(parsed: Parsed) -> str:
    """The `origin` of an http or https URL."""
    return f"{parsed.protocol}//{parsed.host}"


def shown(url: str) -> str:
    """The URL for logs and reports, without user and password."""
    return _LOGIN.sub(r"\1", url) if "@" in url else url


def host(url: str) -> str:
    """The name or address of the host, without port; empty if there is none."""
    try:
        return parse(url).hostname.strip("[]")
    except ValueError:
        return ""


def domain(name: str) -> str:
    """A host's name in the form of URLs: lower case, with letters outside ASCII as IDNA."""
    plain = name.strip().strip(".")
    return host(f"http://{plain}/") or plain.lower()


def is_within(host_name: str, domains: frozenset[str]) -> bool:
    """Whether a host is one of the domains or lies below one."""
    name = host_name.removesuffix(".")
    while name not in domains:
        _, dot, name = name.partition(".")
        if not dot:
            return False
    return True


def shares_secrets(one: str, other: str) -> bool:
    """Whether secrets for one URL may go to another.

    They may go to the same host and port, and from http to https on that host, but not back.
    """
    if origin(one) == origin(other):
        return True
    return one.startswith("http:") and origin(other) == f"https://{origin(one)[7:]}"


def fingerprint(url: str, method: str = "GET", body: bytes | None = None) -> int:
    """The fingerprint of a request (canonical URL, method, body): 64 bits, not all 0."""
    return mark(safe(url), method, body)


def mark(url: str, method: str = "GET", body: bytes | None = None) -> int:
    """The fingerprint of a request whose URL is in the form in which it is sent."""
    key = _even(url).encode()
    if method != "GET" or body:
        key = b"\0".join((method.encode(), key, body or b""))
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") or 1


def stripper(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern that matches the query parameters of those names (`utm_*`), for `stripped`. None if
    there are no names."""
    names = [fnmatch.translate(pattern) for pattern in patterns]
    return re.compile("|".join(names)) if names else None


def stripped(parsed: Parsed, unwanted: re.Pattern[str]) -> Parsed:
    """The URL without the query parameters that `unwanted` matches."""
    pairs = parsed.search.removeprefix("?").split("&")
    kept = [pair for pair in pairs if not unwanted.match(pair.partition("=")[0])]
    if len(kept) < len(pairs):
        parsed.search = "&".join(kept)
    return parsed


def _even(url: str) -> str:
    """The canonical form of a URL in normal form without fragment."""
    if "%" in url:
        url = _ESCAPE.sub(_even_escape, url)
    if "?" in url:
        path, _, query = url.partition("?")
        query = "&".join(sorted(query.replace("%20", "+").split("&")))
        return f"{path}?{query}" if query else path
    return url


def _even_escape(found: re.Match[str]) -> str:
    code = int(found[0][1:], 16)
    return chr(code) if code in _UNRESERVED else found[0].upper()


def _escaped_bytes(found: re.Match[str]) -> str:
    try:
        return quote_from_bytes(found[0].encode("latin-1"), safe="")
    except UnicodeEncodeError:  # a text that never was a header
        return quote_from_bytes(found[0].encode("utf-8", "replace"), safe="")


def _encoded_query(href: str, encoding: str) -> str:
    """A link with its query escaped in an encoding. Characters that this lacks become `&#1234;`."""
    before, mark, rest = href.partition("?")
    if not mark or "#" in before or not _is_own(encoding):
        return href
    query, sharp, fragment = rest.partition("#")

    def escaped(run: re.Match[str]) -> str:
        return quote_from_bytes(run[0].encode(encoding, "xmlcharrefreplace"), safe="")

    return before + mark + _NOT_ASCII.sub(escaped, query) + sharp + fragment


@lru_cache(maxsize=64)
def _is_own(encoding: str) -> bool:
    """Whether queries are escaped in this encoding; for every UTF they are escaped in UTF-8."""
    try:
        return not codecs.lookup(encoding).name.startswith("utf")
    except LookupError:
        return False

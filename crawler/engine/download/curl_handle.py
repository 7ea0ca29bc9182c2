"""Sets libcurl's options for a request.

Only http and https are allowed. The proxy variables of the environment are ignored.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from typing import Any

import pycurl

from crawler.engine.download.address_policy import AddressPolicy
from crawler.engine.download.curl_opener import Opener
from crawler.engine.download.curl_transfer import Transfer
from crawler.engine.download.dns import Name
from crawler.engine.http import urls
from crawler.engine.http.headers import bytes_of
from crawler.engine.http.messages import CookieStore, Credentials, FetchCall, FetchLimits
from crawler.settings import wire

DNS_CACHE_S = 86_400
"""The seconds for which libcurl keeps addresses. dns.py gives it new ones when they are too old."""
MAX_IDLE_HANDLES = 256
NO_CONTENT_TYPE = b"Content-Type:"
"""A header line that keeps libcurl from declaring every body a form."""
NO_REFERER = b"Referer:"
HTTP_VERSIONS = {
    "auto": pycurl.CURL_HTTP_VERSION_2TLS,
    "1.1": pycurl.CURL_HTTP_VERSION_1_1,
    "2": pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
}
_CONTENT_TYPE = re.compile("content-type[:;]", re.IGNORECASE)
_SMALL_ESCAPE = re.compile("%(?:[0-9A-F][a-f]|[a-f][0-9A-Fa-f])")
"""An escape that libcurl would write in capitals."""


class Handle:
    """A handle of libcurl, for any number of requests, one after the other, and the options that it
    has.

    pycurl's own object can hold them too, but finds each of them in a microsecond.
    """

    __slots__ = (
        "aims",
        "close",
        "credentials",
        "curl",
        "getinfo",
        "getinfo_raw",
        "headers",
        "jar",
        "method",
        "opener",
        "pause",
        "proxy",
        "referer",
        "setopt",
        "tells",
        "terms",
        "timeout_s",
        "unsetopt",
    )

    def __init__(self, curl: Any, opener: Opener) -> None:
        self.curl = curl
        """libcurl's own handle."""
        self.opener = opener
        self.setopt, self.unsetopt = curl.setopt, curl.unsetopt
        self.getinfo, self.getinfo_raw = curl.getinfo, curl.getinfo_raw
        self.pause, self.close = curl.pause, curl.close
        self.method = "GET"
        self.headers: Sequence[str] | None = None
        self.terms: FetchLimits | None = None
        self.jar: CookieStore | None = None
        self.credentials: Credentials | None = None
        self.proxy = ""
        self.referer = ""
        self.timeout_s = 0.0
        self.aims = False
        """Whether it was told a target, which it keeps."""
        self.tells = False
        """Whether it tells when a request goes onto the wire."""


def new_handle(policy: AddressPolicy) -> Handle:
    """Make a handle."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.DNS_CACHE_TIMEOUT, DNS_CACHE_S)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.NOPROXY, "")  # else libcurl reads it from the environment
    authorities = ssl.get_default_verify_paths().cafile
    if authorities:
        curl.setopt(pycurl.CAINFO, authorities)
        curl.setopt(pycurl.PROXY_CAINFO, authorities)
    opener = Opener(policy)
    if not policy.allows_all:
        curl.setopt(pycurl.OPENSOCKETFUNCTION, opener)
    curl.setopt(pycurl.PATH_AS_IS, 1)
    return Handle(curl, opener)


class Handles:
    """Makes handles, and keeps those that later requests can use."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._idle: list[Handle] = []

    def __len__(self) -> int:
        """How many wait for a request."""
        return len(self._idle)

    def take(self) -> Handle:
        """A handle for a request."""
        return self._idle.pop() if self._idle else new_handle(self._policy)

    def give_back(self, handle: Handle, method: str) -> None:
        """Keep the handle of a GET for reuse. Other handles have options that would remain set."""
        if method == "GET" and len(self._idle) < MAX_IDLE_HANDLES:
            self._idle.append(handle)
        else:
            handle.close()

    def close(self) -> None:
        """Close those that wait."""
        while self._idle:
            self._idle.pop().close()


def prepare(transfer: Transfer, name: Name | None, trusted: frozenset[str]) -> None:
    """Set the options of a request. Options that equal those of the last request stay as they are.

    `name` holds the addresses that libcurl needs. `trusted` are proxies that may have any address.
    Raises ValueError for a text that may not go onto the wire, whoever let it through.
    """
    handle, call = transfer.handle, transfer.call
    handle.opener.begin()
    handle.setopt(pycurl.URL, call.url)
    handle.setopt(pycurl.WRITEFUNCTION, transfer.receive)
    handle.setopt(pycurl.HEADERFUNCTION, transfer.header_lines.append)
    _hurry(handle, call.timeout_s)
    _tell_way(handle, transfer)
    if call.referer and handle.referer != call.referer:
        handle.setopt(pycurl.REFERER, _as_line("Referer", call.referer))
        handle.referer = call.referer
    if handle.headers is not call.headers or (handle.referer and not call.referer):
        _head(handle, call)
    if handle.terms is not call.terms:
        _agree(handle, call.terms)
    if handle.jar is not call.jar:
        _share(handle, call)
    if handle.proxy != call.proxy:
        _go_through(handle, call.proxy, trusted)
    if handle.credentials is not call.credentials:
        _log_in(handle, call)
    if handle.aims or "%" in call.url:
        _aim(handle, call)
    if name is not None and not name.told:
        _tell(handle, name)
    handle.method = call.method
    if call.method != "GET" or call.body is not None or call.cookies:
        _set_extras(handle, call)


def _tell_way(handle: Handle, transfer: Transfer) -> None:
    if transfer.call.on_way is not None:
        handle.setopt(pycurl.PREREQFUNCTION, transfer.goes_out)
        handle.tells = True
    elif handle.tells:
        handle.unsetopt(pycurl.PREREQFUNCTION)
        handle.tells = False


def _hurry(handle: Handle, timeout_s: float) -> None:
    if handle.timeout_s != timeout_s:
        handle.setopt(pycurl.TIMEOUT_MS, max(1, round(timeout_s * 1000)))
        handle.timeout_s = timeout_s


def _set_extras(handle: Handle, call: FetchCall) -> None:
    """Set options that few requests have. The handle is not reused, so no other gets them."""
    handle.method = "custom"
    if call.cookies:
        handle.setopt(pycurl.COOKIE, _as_line("Cookie", call.cookies))
    if call.method == "HEAD":
        handle.setopt(pycurl.NOBODY, 1)
    elif call.method != "GET" or call.body is not None:
        if not wire.is_token(call.method):
            raise ValueError(f"method {call.method!r} is not allowed; allowed: GET, POST, PUT, …")
        handle.setopt(pycurl.POSTFIELDS, call.body or b"")
        handle.setopt(pycurl.CUSTOMREQUEST, call.method)
        if not any(_CONTENT_TYPE.match(line) for line in call.headers):
            _head(handle, call, NO_CONTENT_TYPE)


def _as_sent(headers: Sequence[str]) -> list[bytes]:
    """Header lines for libcurl."""
    return [_as_line("headers", line) for line in headers]


def _as_line(what: str, text: str, is_secret: bool = False) -> bytes:
    """A text for one line. Raises ValueError if it would be more."""
    if not wire.is_line(text):
        given = "the text" if is_secret else repr(text)
        raise ValueError(f"{what}: {given} is not allowed; allowed: one line")
    return bytes_of(text)


def _head(handle: Handle, call: FetchCall, *more: bytes) -> None:
    """Set the header lines, those of sites and those of proxies. pycurl cannot unset a Referer, but
    an empty line keeps it back."""
    silent = (NO_REFERER,) if handle.referer and not call.referer else ()
    for_proxy = [line for line in call.headers if wire.name_of(line) == wire.FOR_PROXY]
    for_site = [line for line in call.headers if line not in for_proxy]
    handle.setopt(pycurl.HTTPHEADER, [*_as_sent(for_site), *silent, *more])
    handle.unsetopt(pycurl.PROXYHEADER)
    if for_proxy:
        handle.setopt(pycurl.PROXYHEADER, _as_sent(for_proxy))
    handle.headers = None if silent or more else call.headers


def _aim(handle: Handle, call: FetchCall) -> None:
    """Ask for the URL as it is written: libcurl writes the escapes of a path in capitals.

    pycurl cannot unset a target, so a handle that had one gets one for each request.
    """
    if handle.aims or _SMALL_ESCAPE.search(call.url.partition("?")[0]):
        handle.setopt(pycurl.REQUEST_TARGET, _target(call))
        handle.aims = True


def _target(call: FetchCall) -> str:
    """The target of the request line.

    A digest (RFC 7616) is made of the target that libcurl knows, so that is sent with it.
    """
    url = urls.shown(call.url)
    if call.credentials is not None and call.credentials.digest:
        path, mark, query = url.partition("?")
        url = _SMALL_ESCAPE.sub(lambda found: found[0].upper(), path) + mark + query
    if url.startswith("http:") and call.proxy.lower().startswith("http"):
        return url
    return url[url.index("/", len("https://")) :]


def _agree(handle: Handle, terms: FetchLimits) -> None:
    handle.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(terms.connect_timeout_s * 1000)))
    handle.setopt(pycurl.MAXFILESIZE_LARGE, terms.most_bytes)
    handle.setopt(pycurl.HTTP_VERSION, HTTP_VERSIONS[terms.http_version])
    # Waiting to see whether a first connection can be shared costs a host with HTTP/1.1 one whole
    # answer.
    handle.setopt(pycurl.PIPEWAIT, int(terms.http_version == "2"))
    for option in (pycurl.SSL_VERIFYPEER, pycurl.PROXY_SSL_VERIFYPEER):
        handle.setopt(option, int(terms.verify_tls))
    for option in (pycurl.SSL_VERIFYHOST, pycurl.PROXY_SSL_VERIFYHOST):
        handle.setopt(option, 2 if terms.verify_tls else 0)
    handle.terms = terms


def _share(handle: Handle, call: FetchCall) -> None:
    if handle.jar is not None:
        handle.unsetopt(pycurl.SHARE)
        handle.setopt(pycurl.COOKIELIST, "ALL")  # a handle without a jar must keep no cookies
    if call.jar is not None:
        call.jar.attach(handle)
    handle.jar = call.jar


def _go_through(handle: Handle, proxy: str, trusted: frozenset[str]) -> None:
    handle.setopt(pycurl.PROXY, _as_line("proxy", proxy, True))
    handle.opener.trusted = proxy in trusted
    handle.proxy = proxy


def _log_in(handle: Handle, call: FetchCall) -> None:
    who = call.credentials
    if who is None:
        handle.unsetopt(pycurl.USERNAME)
        handle.unsetopt(pycurl.PASSWORD)
    else:
        handle.setopt(
            pycurl.HTTPAUTH, pycurl.HTTPAUTH_DIGEST if who.digest else pycurl.HTTPAUTH_BASIC
        )
        handle.setopt(pycurl.USERNAME, _as_line("http_user", who.user))
        handle.setopt(pycurl.PASSWORD, _as_line("http_password", who.password, True))
    handle.credentials = who


def _tell(handle: Handle, name: Name) -> None:
    """Give libcurl the addresses of a host, for this request and later ones."""
    if name.addresses:
        found = ",".join(f"[{each}]" if ":" in each else each for each in name.addresses)
        handle.setopt(pycurl.RESOLVE, [f"+{name.host}:{name.port}:{found}"])
    name.told = True

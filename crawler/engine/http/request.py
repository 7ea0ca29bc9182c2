"""What a spider yields to fetch a page. Names, order and defaults are Scrapy's."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

from w3lib.url import safe_url_string

from crawler.engine.http import curl_command, serialization
from crawler.engine.http.headers import RequestHeaders

Callback = Callable[..., Any]
Cookies = Mapping[str, Any] | Sequence[Mapping[str, Any]]
R = TypeVar("R", bound="Request")

_PLAIN = {"method": "GET", "encoding": "utf-8", "priority": 0, "dont_filter": False}
"""Attributes that `to_dict` writes only if they differ from this."""
_VALUES = ("cookies", "meta", "flags", "cb_kwargs")


class Request:
    """A page to fetch, and the callback that gets its response.

    `callback` is a method of the spider or its name; without one it is `parse`. `errback` is given
    in the same way; it gets a `Failure` (failures.py) if there is no page. Of two requests that
    wait for the same site, the one with the higher `priority` goes first. A request that equals an
    earlier one (canonical URL, method, body) is dropped, unless `dont_filter` is true. A `body`
    that is a str is encoded in `encoding`, and so are characters outside ASCII in the query of the
    URL.

    Raises TypeError if the URL or the method is no str, the priority no int, the body neither bytes
    nor str, or a callback neither callable nor a name, and ValueError if a header has a line break.
    A method or header that may not be sent costs the request: its errback gets `bad request`.
    """

    attributes: tuple[str, ...] = (
        "url",
        "callback",
        "method",
        "headers",
        "body",
        "cookies",
        "meta",
        "encoding",
        "priority",
        "dont_filter",
        "errback",
        "flags",
        "cb_kwargs",
    )
    """The names of the arguments from which an equal request can be made."""

    __slots__ = (
        "_cb_kwargs",
        "_cookies",
        "_flags",
        "_headers",
        "_meta",
        "body",
        "callback",
        "dont_filter",
        "encoding",
        "errback",
        "link_policy",
        "method",
        "priority",
        "url",
    )

    def __init__(
        self,
        url: str,
        callback: Callback | str | None = None,
        method: str = "GET",
        headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        body: bytes | str | None = None,
        cookies: Cookies | None = None,
        meta: Mapping[str, Any] | None = None,
        encoding: str = "utf-8",
        priority: int = 0,
        dont_filter: bool = False,
        errback: Callback | str | None = None,
        flags: Iterable[str] | None = None,
        cb_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(url, str):
            raise TypeError(f"the url of a Request is a str, got {type(url).__name__}")
        if callback is not None:
            _check_callback("callback", callback)
        if errback is not None:
            _check_callback("errback", errback)
        if not isinstance(priority, int):
            raise TypeError(f"the priority of a Request is {priority!r}; allowed: a whole number")
        self.url = url if encoding == "utf-8" or url.isascii() else _encoded(url, encoding)
        self.callback = callback
        self.method = method if method == "GET" else _method(method)
        self.body = None if body is None else _body(body, encoding)
        self.encoding = encoding
        self.priority = priority
        self.dont_filter = dont_filter
        self.errback = errback
        # About thirteen requests are made for each page, and most have none of these.
        self._headers = RequestHeaders(_dict("headers", headers)) if headers else None
        self._meta = _dict("meta", meta) if meta else None
        self._cookies = cookies or None
        self._flags = list(flags) if flags else None
        self._cb_kwargs = _dict("cb_kwargs", cb_kwargs) if cb_kwargs else None
        self.link_policy = ""
        """The referrer policy for which the link of this request asks; empty if it asks for none.
        The crawl reads it when it takes the request from a callback."""

    @property
    def headers(self) -> RequestHeaders:
        """Header lines that are added to the usual ones, or replace them. May be changed."""
        if self._headers is None:
            self._headers = RequestHeaders()
        return self._headers

    @property
    def meta(self) -> dict[str, Any]:
        """The dict that the callback finds as `response.meta`. The engine reads some keys."""
        if self._meta is None:
            self._meta = {}
        return self._meta

    @property
    def has_meta(self) -> bool:
        """Whether `meta` holds anything; this makes no dict, as `meta` itself does."""
        return bool(self._meta)

    @property
    def has_lines(self) -> bool:
        """Whether `headers` or `cookies` hold anything; like `has_meta`, this makes nothing."""
        return bool(self._headers or self._cookies)

    @property
    def cb_kwargs(self) -> dict[str, Any]:
        """More arguments of the callback, by name."""
        if self._cb_kwargs is None:
            self._cb_kwargs = {}
        return self._cb_kwargs

    @property
    def cookies(self) -> Any:
        """The cookies to send: a dict, or a list of dicts. May be changed."""
        if self._cookies is None:
            self._cookies = {}
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: Cookies | None) -> None:
        self._cookies = cookies

    @property
    def flags(self) -> list[str]:
        """Words of the spider for its own use, for example in logs."""
        if self._flags is None:
            self._flags = []
        return self._flags

    def copy(self) -> Self:
        """A request with the same attributes."""
        same: Self = self.replace()
        return same

    def replace(self, *, cls: type[R] | None = None, **changes: Any) -> Any:
        """A copy with some attributes changed, of class `cls`; by default of the same class."""
        made = cls or type(self)
        names = [key for key in made.attributes if key not in changes and hasattr(self, key)]
        copy = made(**{key: getattr(self, key) for key in names}, **changes)
        copy.link_policy = self.link_policy
        return copy

    def to_dict(self, *, spider: Any = None) -> dict[str, Any]:
        """The request as a JSON value, with callbacks by name. A key that is missing has its
        default.

        Raises `NotSerializable` if a callback is no method of a spider (of `spider`, if given), or
        if JSON would not give back `meta`, `cb_kwargs` or `cookies` unchanged.
        """
        made: dict[str, Any] = {"url": self.url}
        for key, default in _PLAIN.items():
            value = getattr(self, key)
            if value != default:
                made[key] = value
        for key in ("callback", "errback"):
            callback = getattr(self, key)
            if callback is not None:
                made[key] = serialization.name_of(callback, key, spider)
        # Most have none of these; the properties would make an empty one of each.
        if self._meta or self._cb_kwargs or self._cookies or self._flags:
            for key in _VALUES:
                value = getattr(self, key)
                if value:
                    serialization.check(value, key)
                    made[key] = value
        if self._headers:
            made["headers"] = dict(self._headers)
        if self.body is not None:
            made.update(serialization.written_body(self.body))
        return made

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_dict` wrote. Its callbacks stay names."""
        return cls(**serialization.arguments(data))

    @classmethod
    def from_curl(cls, command: str, ignore_unknown_options: bool = True, **changes: Any) -> Self:
        """The request that a curl command sends. `changes` replace its arguments.

        Raises ValueError if it is no curl command, asks for what a request cannot send (a file), or
        has an unknown option that is not ignored. One that is ignored is named in a warning.
        """
        return cls(**{**curl_command.arguments(command, ignore_unknown_options), **changes})

    def to_curl(self) -> str:
        """A curl command line that sends this request."""
        words = ["curl", "-X", self.method, self.url]
        for name, value in self.headers.items():
            words += [
                "-H",
                f"{name}: {value}" if value else f"{name}{':' if value is None else ';'}",
            ]
        pairs = serialization.cookie_pairs(self.cookies)
        if pairs:
            words += ["--cookie", "; ".join(f"{name}={value}" for name, value in pairs)]
        if self.body:
            words += ["--data-raw", self.body.decode("utf-8", "replace")]
        return shlex.join(words)

    def __repr__(self) -> str:
        return f"<{self.method} {self.url}>"


def _encoded(url: str, encoding: str) -> str:
    """The URL in ASCII, with its query in `encoding`, or in UTF-8 if that lacks a character.

    Like in browsers, UTF-16 counts as UTF-8.
    """
    try:
        return safe_url_string(url, "utf-8" if encoding.startswith("utf-16") else encoding)
    except UnicodeError:
        return safe_url_string(url)


def _body(body: Any, encoding: str) -> bytes:
    if isinstance(body, str):
        return body.encode(encoding)
    if not isinstance(body, bytes):
        raise TypeError(f"the body of a Request is {body!r}; allowed: bytes or a str")
    return body


def _method(method: Any) -> str:
    if not isinstance(method, str):
        raise TypeError(f"the method of a Request is {method!r}; allowed: GET, POST, PUT, …")
    return method.upper()


def _dict(role: str, given: Any) -> dict[Any, Any]:
    try:
        return dict(given)
    except (TypeError, ValueError):
        raise TypeError(f"the {role} of a Request is {given!r}; allowed: a dict") from None


def _check_callback(role: str, callback: Any) -> None:
    if not callable(callback) and not isinstance(callback, str):
        raise TypeError(
            f"the {role} of a Request is {callback!r}; allowed: a method of the spider or its name"
        )

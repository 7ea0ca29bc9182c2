"""Requests written down, so that they can wait on a disk and be resumed in another process."""

from __future__ import annotations

import base64
import math
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.engine.http.request import Request

_PLAIN = {"method": "GET", "encoding": "utf-8", "priority": 0, "dont_filter": False}
_VALUES = ("cookies", "meta", "flags", "cb_kwargs")


class NotSerializable(ValueError):
    """A request that cannot be written down; the message names the part and what is allowed."""


def to_dict(request: Request, spider: Any = None) -> dict[str, Any]:
    """See `Request.to_dict`."""
    made: dict[str, Any] = {"url": request.url}
    for key, default in _PLAIN.items():
        value = getattr(request, key)
        if value != default:
            made[key] = value
    for key in ("callback", "errback"):
        callback = getattr(request, key)
        if callback is not None:
            made[key] = name_of(callback, key, spider)
    for key in _VALUES:
        value = getattr(request, key)
        if value:
            _check(value, key)
            made[key] = value
    if request.headers:
        made["headers"] = dict(request.headers)
    if request.body is not None:
        made.update(_written_body(request.body))
    return made


def arguments(data: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a Request from what `to_dict` made."""
    made = dict(data)
    if "body_base64" in made:
        made["body"] = base64.b64decode(made.pop("body_base64"))
    elif "body" in made:
        made["body"] = made["body"].encode()
    return made


def name_of(callback: Callable[..., Any] | str, role: str, spider: Any = None) -> str:
    """The name under which a spider has this callback; raises NotSerializable when it has none."""
    if isinstance(callback, str):
        return callback
    owner = getattr(callback, "__self__", None)
    name = str(getattr(callback, "__name__", ""))
    if owner is None or (spider is not None and owner is not spider):
        raise NotSerializable(
            f"{role}: {callback!r} is not allowed; allowed: a method of the spider"
        )
    if getattr(owner, name, None) != callback:
        raise NotSerializable(
            f"{role}: the spider has another {name!r}; allowed: a method by its name"
        )
    return name


def to_curl(request: Request) -> str:
    """See `Request.to_curl`."""
    words = ["curl", "-X", request.method, request.url]
    for name, value in request.headers.items():
        words += ["-H", f"{name}: {value}" if value is not None else f"{name}:"]
    cookies = "; ".join(f"{name}={value}" for name, value in cookie_pairs(request))
    if cookies:
        words += ["--cookie", cookies]
    if request.body:
        words += ["--data-raw", request.body.decode("utf-8", "replace")]
    return shlex.join(words)


def cookie_pairs(request: Request) -> list[tuple[str, str]]:
    """Name and value of each cookie of a request, in whichever of the two forms they are."""
    cookies = request.cookies or {}
    if isinstance(cookies, Mapping):
        return [(str(name), str(value)) for name, value in cookies.items()]
    return [(str(cookie["name"]), str(cookie["value"])) for cookie in cookies]


def _written_body(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode("ascii")}


def _check(value: Any, path: str) -> None:
    """Raise NotSerializable unless JSON gives this value back as it is."""
    if type(value) is dict:
        for key, below in value.items():
            if type(key) is not str:
                raise NotSerializable(
                    f"{path}: the key {key!r} is not allowed; allowed: texts as keys"
                )
            _check(below, f"{path}.{key}")
    elif type(value) is list:
        for number, below in enumerate(value):
            _check(below, f"{path}[{number}]")
    elif not _is_scalar(value):
        raise NotSerializable(
            f"{path}: {type(value).__name__} is not allowed in a request that is written down;"
            " allowed: texts, numbers, true, false, None, lists and dicts of these"
        )


def _is_scalar(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (str, int, bool)

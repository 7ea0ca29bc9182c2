"""Serializes the parts of a request, so that it can wait on disk.

`Request.to_dict` puts them together.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

from crawler.engine.http.headers import HeaderText, SentText


class NotSerializable(ValueError):
    """A request that cannot be serialized. The message names the part and what is allowed."""


def arguments(data: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a Request, from what `to_dict` made."""
    made = dict(data)
    if "body_base64" in made:
        made["body"] = base64.b64decode(made.pop("body_base64"))
    elif "body" in made:
        made["body"] = made["body"].encode()
    return made


def name_of(callback: Callable[..., Any] | str, role: str, spider: Any = None) -> str:
    """The name of a callback in its spider. Raises NotSerializable if it has none."""
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


def cookie_pairs(cookies: Any) -> list[tuple[str, str]]:
    """The name and value of each cookie of a request, from either of the two forms."""
    if cookies is None:
        return []
    if isinstance(cookies, Mapping):
        return [(str(name), str(value)) for name, value in cookies.items()]
    return [(str(cookie["name"]), str(cookie["value"])) for cookie in cookies]


def written_body(body: bytes) -> dict[str, str]:
    """A body under a key that tells its form: text or base64."""
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode("ascii")}


def check(value: Any, path: str, place: str = "a request that waits on disk") -> None:
    """Raise NotSerializable unless JSON gives this value back unchanged. `path` names the value,
    and `place` what holds it.

    The text of a header comes back as a plain text.
    """
    if type(value) is dict:
        for key, below in value.items():
            if not _is_text(key):
                raise NotSerializable(
                    f"{path}: the key {key!r} is not allowed; allowed: texts as keys"
                )
            check(below, f"{path}.{key}", place)
    elif type(value) is list:
        for number, below in enumerate(value):
            check(below, f"{path}[{number}]", place)
    elif not _is_scalar(value):
        raise NotSerializable(
            f"{path}: {type(value).__name__} is not allowed in {place};"
            " allowed: texts, numbers, true, false, None, lists and dicts of these"
        )


def _is_scalar(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (int, bool) or _is_text(value)


def _is_text(value: Any) -> bool:
    return type(value) in (str, HeaderText, SentText)

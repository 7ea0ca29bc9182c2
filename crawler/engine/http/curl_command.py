"""Reads curl command lines, as browsers copy them ("Copy as cURL"), for `Request.from_curl`."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus

from crawler.engine.http import curl_words
from crawler.engine.http.headers import bytes_of
from crawler.logs import get_logger

log = get_logger(__name__)

Given = defaultdict[str, list[str]]
"""The values of the options, by name."""

_FORM = (
    "a multipart form is not read; allowed: --data-raw with the body, or FormRequest(formdata=…)"
)
_FILE = "a file is not read; allowed: --data-raw with its text, or a Request with this body"
_REFUSED: Mapping[str, str] = {
    "config": "a file is not read; allowed: its options in the command",
    "form": _FORM,
    "form-string": _FORM,
    "upload-file": _FILE,
}
_FROM_FILE = ("data", "data-ascii", "data-binary", "json")
"""Options whose value names a file behind an @."""


def arguments(command: str, ignore_unknown: bool = True) -> dict[str, Any]:
    """The arguments of a Request that sends what a curl command sends.

    Raises ValueError if it is no curl command with one URL, asks for what a Request cannot send, or
    has an unknown option that is not ignored. One that is ignored is named in a warning.
    """
    words = curl_words.words(command)
    if not words or words[0] != "curl":
        raise ValueError(f"{command!r} is not allowed; allowed: a command that begins with curl")
    given = Given(list)
    for name, value in curl_words.options(words[1:]):
        _check(name, value)
        given["data" if name.startswith("data-") else name].append(_sent(name, value))
    unknown = " ".join(given[""])
    if unknown and not ignore_unknown:
        raise ValueError(f"curl command: {unknown} is not known")
    if unknown:
        log.warning(f"curl command: {unknown} is not known, and left out")
    return _arguments(given, unknown)


def _check(name: str, value: str) -> None:
    reason = _REFUSED.get(name)
    if name in _FROM_FILE and value.startswith("@"):
        reason = _FILE
    if name == "data-urlencode" and "@" in value and "=" not in value:
        reason = _FILE
    if name == "cookie" and value and "=" not in value:
        reason = "a file is not read; allowed: name=value"
    if reason:
        raise ValueError(f"curl command: --{name} {value}: {reason}")


def _sent(name: str, value: str) -> str:
    """The value of an option as it is sent."""
    if name != "data-urlencode":
        return value
    key, equals, content = value.partition("=")
    if not equals:
        return quote_plus(value)
    return f"{key}={quote_plus(content)}" if key else quote_plus(content)


def _arguments(given: Given, unknown: str) -> dict[str, Any]:
    headers, cookies = _headers(given)
    url, body = _url(given["url"], unknown), "&".join(given["data"]) + "".join(given["json"])
    made: dict[str, Any] = {"url": url, "method": _method(given)}
    if given["get"]:
        made["url"] = _with_query(url, body)
    elif given["data"] or given["json"]:
        made["body"] = bytes_of(body)
        headers = _about_body(given) | headers
    return made | {"headers": headers, "cookies": cookies}


def _url(urls: Sequence[str], unknown: str) -> str:
    if len(urls) != 1:
        found = f"several URLs are given: {', '.join(urls)}" if urls else "no URL is given"
        hint = f"; {unknown} is not known, and may have a value" if unknown else ""
        raise ValueError(f"curl command: {found}; allowed: one URL{hint}")
    return urls[0] if "://" in urls[0] else f"http://{urls[0]}"


def _with_query(url: str, query: str) -> str:
    """The URL with more in its query, as curl's `--get` adds it."""
    if not query:
        return url
    head, mark, fragment = url.partition("#")
    return f"{head}{'&' if '?' in head else '?'}{query}{mark}{fragment}"


def _method(given: Given) -> str:
    has_body = (given["data"] or given["json"]) and not given["get"]
    usual = "HEAD" if given["head"] else "POST" if has_body else "GET"
    return (given["request"][-1] if given["request"] else usual).upper()


def _about_body(given: Given) -> dict[str, str | None]:
    if given["json"]:
        return {"Content-Type": "application/json", "Accept": "application/json"}
    return {"Content-Type": "application/x-www-form-urlencoded"}


def _headers(given: Given) -> tuple[dict[str, str | None], dict[str, str]]:
    """The headers and the cookies. A Cookie header counts as cookies."""
    headers: dict[str, str | None] = {}
    texts = list(given["cookie"])
    for line in given["header"]:
        name, colon, value = line.partition(":")
        if name.strip().lower() == "cookie":
            texts.append(value)
        else:
            empty = None if colon else ""  # "Accept:" leaves it out, "Accept;" sends it empty
            headers[name.strip().removesuffix(";").title()] = value.strip() or empty
    for name, option in (("User-Agent", "user-agent"), ("Referer", "referer")):
        if given[option]:
            headers[name] = given[option][-1]
    if given["user"]:
        token = base64.b64encode(given["user"][-1].encode()).decode("ascii")
        headers["Authorization"] = f"Basic {token}"
    pairs = [part.strip().partition("=") for text in texts for part in text.split(";")]
    return headers, {name: value for name, equals, value in pairs if equals}

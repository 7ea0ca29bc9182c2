"""Reads curl command lines, as browsers copy them ("Copy as cURL"), for `Request.from_curl`."""

from __future__ import annotations

import argparse
import base64
import shlex
from typing import Any, NoReturn

_TAKES_VALUE = (
    *("-o", "--output", "-m", "--max-time", "--connect-timeout", "-w", "--write-out"),
    *("--retry", "--cacert", "--cert", "--key", "--resolve", "-x", "--proxy"),
)
"""Options without a meaning for a request, whose value is no URL."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"curl command: {message}")


def _parser() -> _Parser:
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    parser.add_argument("urls", nargs="*")
    parser.add_argument("--url", action="append", dest="named", default=[])
    parser.add_argument("-X", "--request", dest="method")
    parser.add_argument("-I", "--head", action="store_true")
    parser.add_argument("-H", "--header", action="append", dest="headers", default=[])
    parser.add_argument("-A", "--user-agent", dest="agent")
    parser.add_argument("-e", "--referer", dest="referer")
    parser.add_argument("-b", "--cookie", action="append", dest="cookies", default=[])
    parser.add_argument("-u", "--user", dest="user")
    data = ("-d", "--data", "--data-raw", "--data-binary", "--data-ascii")
    parser.add_argument(*data, action="append", dest="data")
    for option in _TAKES_VALUE:
        parser.add_argument(option, dest="unused")
    return parser


def arguments(command: str, ignore_unknown: bool = True) -> dict[str, Any]:
    """The arguments of a Request that sends what a curl command sends.

    Raises ValueError if it is no curl command with one URL, or has an unknown option that is not
    ignored.
    """
    words = shlex.split(command.strip().removeprefix("$").replace("\\\n", " "))
    if not words or words[0] != "curl":
        raise ValueError(f"{command!r} is not allowed; allowed: a command that begins with curl")
    given, unknown = _parser().parse_known_args(words[1:])
    if unknown and not ignore_unknown:
        raise ValueError(f"curl command: {' '.join(unknown)} is not known")
    urls = [*given.named, *given.urls]
    if not urls:
        raise ValueError("curl command: no URL is given; allowed: one URL")
    url = urls[0] if "://" in urls[0] else f"http://{urls[0]}"
    made: dict[str, Any] = {"url": url, "method": _method(given)}
    headers, cookies = _headers(given)
    if given.data:
        made["body"] = "&".join(given.data)
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    return made | {"headers": headers, "cookies": cookies}


def _method(given: argparse.Namespace) -> str:
    return str(given.method or ("HEAD" if given.head else "POST" if given.data else "GET")).upper()


def _headers(given: argparse.Namespace) -> tuple[dict[str, str], dict[str, str]]:
    """The headers and the cookies. A Cookie header counts as cookies."""
    headers: dict[str, str] = {}
    texts = list(given.cookies)
    for line in given.headers:
        name, _, value = line.partition(":")
        if name.strip().lower() == "cookie":
            texts.append(value)
        else:
            headers[name.strip().title()] = value.strip()
    others = (("User-Agent", given.agent), ("Referer", given.referer))
    headers |= {name: value for name, value in others if value}
    if given.user:
        token = base64.b64encode(given.user.encode()).decode("ascii")
        headers["Authorization"] = f"Basic {token}"
    pairs = [part.strip().partition("=") for text in texts for part in text.split(";")]
    return headers, {name: value for name, equals, value in pairs if equals}

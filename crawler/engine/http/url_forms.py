"""The forms that a value of a secret gets in URLs, by the engine's own parser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from crawler.engine.http import urls
from crawler.redacted_forms import even

_EDGE = "-"
"""Stands around a value, so that the parser takes no blanks and dots from its ends."""


def forms_in_urls(value: str) -> Iterator[str]:
    """Yield a value as it is in URLs. It may itself be one."""
    begun = value.partition("#")[0]  # a server does not see the rest
    for form in (*_as_part(value), *_as_part(begun), *_as_whole(value)):
        yield form
        yield even(form)


def _as_part(value: str) -> Iterator[str]:
    """Yield a value as it is in the path, the query or the login of a URL."""
    inside = f"{_EDGE}{value}{_EDGE}"
    for url in (f"http://h/{inside}", f"http://h/?{inside}", f"http://{inside}@h/"):
        for form in (urls.safe, urls.canonical):
            yield from _between(_tried(form, url))
    parsed = urls.parse("http://h/")
    for part in ("pathname", "search", "username", "password"):
        setattr(parsed, part, inside)
        yield from _between(str(getattr(parsed, part)))


def _between(text: str) -> Iterator[str]:
    """Yield what stands between the edges, if both are there."""
    _, first, rest = text.partition(_EDGE)
    inside, last, _ = rest.rpartition(_EDGE)
    if first and last:
        yield inside


def _as_whole(value: str) -> Iterator[str]:
    """Yield the forms of a value that is a URL: also without its login, which logs leave out, and
    its query and its login alone."""
    if not urls.is_web(value):
        return
    for url in (urls.safe(value), urls.canonical(value)):
        parsed = urls.parse(url)
        yield url
        yield parsed.search[1:]
        if parsed.search or parsed.pathname != "/":  # else it names a site, which is no secret
            yield urls.shown(url)
    login = (parsed.username, parsed.password)
    for each in (*login, ":".join(login)):
        yield each
        yield unquote(each)


def _tried(form: object, url: str) -> str:
    try:
        return str(form(url))  # type: ignore[operator]
    except ValueError:
        return ""

"""Reads a curl command line as bash and curl do: its words, and its options with their values."""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Iterator, Mapping

from crawler.engine.http.headers import text_of

_LETTERS: Mapping[str, str] = {
    "A": "user-agent",
    "F": "form",
    "G": "get",
    "H": "header",
    "I": "head",
    "K": "config",
    "T": "upload-file",
    "X": "request",
    "b": "cookie",
    "c": "cookie-jar",
    "d": "data",
    "e": "referer",
    "m": "max-time",
    "o": "output",
    "u": "user",
    "w": "write-out",
    "x": "proxy",
}
"""The names of options of one letter."""
_WITH_VALUE = frozenset(
    {
        *("config", "cookie", "data", "data-ascii", "data-binary", "data-raw", "data-urlencode"),
        *("form", "form-string", "header", "json", "referer", "request", "upload-file", "url"),
        *("user", "user-agent"),
        *("cacert", "cert", "ciphers", "connect-timeout", "cookie-jar", "key", "limit-rate"),
        *("max-redirs", "max-time", "output", "proxy", "resolve", "retry", "retry-delay"),
        *("write-out",),
    }
)
_WITHOUT_VALUE = frozenset(
    {
        *("get", "head", *"#0146JLNORSZfgijkqsv"),
        *("basic", "compressed", "fail", "fail-with-body", "globoff", "http1.0", "http1.1"),
        *("http2", "http2-prior-knowledge", "http3", "include", "insecure", "ipv4", "ipv6"),
        *("location", "no-buffer", "no-keepalive", "no-progress-meter", "parallel", "path-as-is"),
        *("progress-bar", "remote-header-name", "remote-name", "remote-time", "show-error"),
        *("silent", "tlsv1", "tlsv1.2", "tlsv1.3", "verbose"),
    }
)
_PARTS = re.compile(
    r"""'[^']*+'|"(?:\\.|[^"\\])*+"|\$'(?P<escaped>(?:\\.|[^'\\])*+)'|(?P<joined>\\\r?\n)|\\.""",
    re.DOTALL,
)
"""The quoted parts of a command line."""
_ESCAPE = re.compile(
    r"\\(?:x(?P<hex>[0-9a-fA-F]{1,2})|(?P<octal>[0-7]{1,3})"
    r"|u(?P<short>[0-9a-fA-F]{1,4})|U(?P<long>[0-9a-fA-F]{1,8})|(?P<one>.))",
    re.DOTALL,
)
_ONE = dict(zip("abeEfnrtv\\'\"?", "\a\b\x1b\x1b\f\n\r\t\v\\'\"?", strict=True))


def words(command: str) -> list[str]:
    """The words of a command line, as bash reads them: $'…' has escapes. Raises ValueError."""
    try:
        return shlex.split(_PARTS.sub(_plain, command.strip().removeprefix("$ ")))
    except ValueError as error:
        raise ValueError(f"curl command: {error}; allowed: a command as bash reads it") from None


def options(given: list[str]) -> Iterator[tuple[str, str]]:
    """The name and the value of each option; URLs are named `url`. An option that is not known has
    no name, and is the value.

    Raises ValueError if a value is missing.
    """
    rest = deque(given)
    while rest:
        word = rest.popleft()
        if not word.startswith("-"):
            yield "url", word
            continue
        name = _name(word, rest)
        if name in _WITH_VALUE and not rest:
            raise ValueError(f"curl command: {word} has no value; allowed: {word} VALUE")
        if name in _WITH_VALUE:
            yield name, rest.popleft()
        else:
            yield (name, "") if name in _WITHOUT_VALUE else ("", word)


def _name(word: str, rest: deque[str]) -> str:
    """The name of the option with which a word begins. What comes behind it in the word is put
    back."""
    if word.startswith("--"):
        name, equals, behind = word[2:].partition("=")
        if equals and name in _WITH_VALUE:
            rest.appendleft(behind)
        return name
    name, behind = _LETTERS.get(word[1:2], word[1:2]), word[2:]
    if behind and name in _WITH_VALUE:
        rest.appendleft(behind)
    elif behind and name in _WITHOUT_VALUE:
        rest.appendleft(f"-{behind}")
    return name


def _plain(part: re.Match[str]) -> str:
    """A quoted part without $'…' and without a break of the line."""
    if part["joined"]:
        return ""
    if part["escaped"] is None:
        return part[0]
    text = _ESCAPE.sub(_unescaped, part["escaped"])
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return shlex.quote(text_of(paired.encode("utf-8", "surrogateescape")))


def _unescaped(escape: re.Match[str]) -> str:
    if escape["one"]:
        return _ONE.get(escape["one"], escape[0])
    if escape["short"] or escape["long"]:
        return chr(int(escape["short"] or escape["long"], 16))
    byte = int(escape["hex"], 16) if escape["hex"] else int(escape["octal"], 8) & 0xFF
    return text_of(bytes([byte]))

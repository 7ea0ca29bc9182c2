"""Regular expressions that other people write: in tasks, in settings, in declarations of spiders.

They run on RE2, whose time grows with the length of the text and no faster, whatever the pattern
is. Python's `re` may take years for a hundred characters. Meanwhile it keeps the interpreter, so no
lease is renewed, and no signal is heard. docs/decisions/0019-linear-patterns.md explains the
choice.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Protocol

MOST_LENGTH = 1000
"""The longest pattern, in characters."""

MOST_PROGRAM = 2000
"""The largest program of RE2 that a pattern may become. `{n}` repeats its part n times in it."""

MOST_STEPS = 10**8
"""The length of a text times the size of the program: what is beyond, RE2 does not look at. The
worst pattern takes some two seconds for so many steps, a usual one a hundredth of that."""

ALLOWED = (
    "a regular expression of RE2: up to 1000 characters, repetitions up to 1000, no look-around, "
    r"no back-references; write {0,n} for {,n}, and \z or $ for \Z"
)
"""What a pattern may be, in words."""

_PARTS = re.compile(
    r"\\Q.*?(?:\\E|\Z)"  # quoted text
    r"|\\."
    r"|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^]\\])*\]"  # a class of characters
    r"|(?P<open>\{,\d*\})"
    r"|.",
    re.DOTALL,
)
"""The parts of a pattern, as far as braces mean something in them. To Python `a{,3}` repeats, to
RE2 it is the text `a{,3}`. To match something else than was meant would be worse than to refuse."""


class BadPattern(ValueError):
    """A pattern cannot be used. The message says why."""


class Match(Protocol):
    """A match: group 0 is the whole of it. A group that took no part is None."""

    def __getitem__(self, group: int, /) -> Any:
        """Return the text of a group."""
        ...


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_compiled", "_most", "groups")

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._most = MOST_STEPS // max(1, compiled.programsize)
        self.groups: int = compiled.groups
        """How many groups it has."""

    def search(self, text: str) -> Match | None:
        """Return the first match in a text, or None."""
        if len(text) > self._most:
            text = text[: self._most]
        try:
            found: Match | None = self._compiled.search(text)
        except UnicodeEncodeError:  # half a surrogate pair, which no pattern can mean
            found = self._compiled.search(text.encode(errors="replace").decode())
        return found


@lru_cache(maxsize=1024)
def linear(pattern: str) -> Pattern:
    """Compile a pattern. Raises BadPattern."""
    import re2  # here, because most commands compile none

    if len(pattern) > MOST_LENGTH:
        raise BadPattern(f"it has {len(pattern)} characters, and at most {MOST_LENGTH} are allowed")
    if any(part["open"] for part in _PARTS.finditer(pattern)):
        raise BadPattern("RE2 takes {,n} for text; write {0,n}")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options=options)
    except (re2.error, UnicodeEncodeError) as error:
        raise BadPattern(_reason(error)) from None
    if compiled.programsize > MOST_PROGRAM:
        raise BadPattern("it repeats too much: its repetitions, multiplied, are too many")
    return Pattern(compiled)


def is_linear(pattern: str) -> bool:
    """Whether `linear` takes a pattern."""
    try:
        linear(pattern)
    except BadPattern:
        return False
    return True


def _reason(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    return told.decode(errors="replace") if isinstance(told, bytes) else str(error)

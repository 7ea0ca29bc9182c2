"""Regular expressions that other people write: in tasks, in settings, in declarations of spiders.

They run on RE2, whose time grows with the length of the text and no faster, whatever the pattern
is. Python's `re` may take years for a hundred characters. Meanwhile it keeps the interpreter, so no
lease is renewed, and no signal is heard. docs/decisions/0019-linear-patterns.md explains the
choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Protocol

from crawler.errors import shown

MOST_LENGTH = 1000
"""The longest pattern, in characters."""

MOST_PROGRAM = 2000
"""The largest program of RE2 that a pattern may become. `{n}` repeats its part n times in it."""

PROBE_BYTES = 2**19
"""The memory of a first try to compile a pattern. RE2 gives up early when a program is far too
large. With the memory that it needs to search, it may take a second for that."""

MOST_SCRIPTS = 10
"""How many classes of Unicode (`\\pL`) a pattern may name. RE2 takes a millisecond for each."""

MOST_TOGETHER = 50_000
"""The steps of all programs of one list. They take half a second to compile, and each URL is
searched by all of them."""

TURN_STEPS = 200
"""After so many steps of a list others may run (`giving_turns`): they take a few ms to compile."""

MOST_STEPS = 10**8
"""The length of a text times the size of the program: what is beyond, RE2 does not look at. The
worst pattern takes some two seconds for so many steps, a usual one a hundredth of that."""

ALLOWED = (
    "a regular expression of RE2: up to 1000 characters, repetitions up to 1000, no look-around, "
    r"no back-references; write {0,n} for {,n}, and \z or $ for \Z"
)
"""What a pattern may be, in words."""

TOO_MANY = (
    f"with this expression the list has more than {MOST_TOGETHER:,} steps in RE2; give fewer "
    "expressions, or simpler ones"
)
"""What is wrong with a list of patterns that is too long."""

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
_SCRIPTS = re.compile(r"\\[pP]")


def keep_on() -> None:
    """Let nobody else run."""


_give_turn: ContextVar[Callable[[], None]] = ContextVar("give_turn", default=keep_on)


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
    program_steps(pattern)
    return Pattern(_compiled(pattern))


@lru_cache(maxsize=1024)
def program_steps(pattern: str) -> int:
    """Return the size of the program of a pattern. It costs half of what `linear` costs. Raises
    BadPattern."""
    if len(pattern) > MOST_LENGTH:
        raise BadPattern(f"it has {len(pattern)} characters, and at most {MOST_LENGTH} are allowed")
    if any(part["open"] for part in _PARTS.finditer(pattern)):
        raise BadPattern("RE2 takes {,n} for text; write {0,n}")
    if len(_SCRIPTS.findall(pattern)) > MOST_SCRIPTS:
        raise BadPattern(rf"it has more than {MOST_SCRIPTS} classes of Unicode such as \pL")
    steps = int(_compiled(pattern, PROBE_BYTES).programsize)
    if steps > MOST_PROGRAM:
        raise BadPattern("it repeats too much: its repetitions, multiplied, are too many")
    return max(1, steps)


def _compiled(pattern: str, memory_bytes: int | None = None) -> Any:
    import re2  # here, because most commands compile none

    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory_bytes or options.max_mem
    try:
        return re2.compile(pattern, options=options)
    except (re2.error, UnicodeEncodeError) as error:
        raise BadPattern(_reason(error)) from None


def is_linear(pattern: str) -> bool:
    """Whether `linear` takes a pattern."""
    try:
        program_steps(pattern)
    except BadPattern:
        return False
    return True


@contextmanager
def giving_turns(give_turn: Callable[[], None]) -> Iterator[None]:
    """Let others run now and then while the present greenlet checks lists in this block."""
    token = _give_turn.set(give_turn)
    try:
        yield
    finally:
        _give_turn.reset(token)


def first_fault(patterns: Iterable[str]) -> tuple[int, str] | None:
    """Return which pattern of a list is the first that cannot be used, and what is wrong, as the
    end of a message; None if all can be used.

    It compiles no further, because a list may be long and each pattern takes its time.
    """
    left = next_turn = MOST_TOGETHER
    for at, pattern in enumerate(patterns):
        if not is_linear(pattern):
            return at, f"{shown(pattern)} is not allowed; allowed: {ALLOWED}"
        left -= program_steps(pattern)
        if left < 0:
            return at, TOO_MANY
        if left <= next_turn - TURN_STEPS:
            _give_turn.get()()
            next_turn = left
    return None


def _reason(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    return told.decode(errors="replace") if isinstance(told, bytes) else str(error)

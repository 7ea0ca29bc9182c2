"""Hides the values of secrets in texts that leave a run: logs, reasons, statistics.

A process remembers each value that it was given, until some time after the last run that has it. In
a text its name stands in its place, as `secret:shop-login`. A value is found in the forms that
texts give it (`redacted_forms.py`), and where a message cuts it off with dots.

What this costs grows with the text, and not with what is known: a form is looked for only where its
first characters stand.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.alike import Alike
from crawler.redacted_forms import Forms, even, forms_of

LEAST = 8
"""The characters of the shortest form that is hidden: a shorter one is in too many words."""
LATELY = 500
"""So many values are still hidden after their last run has ended: its last lines may come later."""
_DOTS = re.compile(r"\.\.\.|…")
"""With these a message cuts a value off."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A part of a text that stands for a value."""

    start: int
    end: int
    name: str


class Redactor:
    """Knows values, and what stands for each."""

    def __init__(self, names: Mapping[str, str] | None = None, least: int = LEAST) -> None:
        """`names` are what is shown instead, by value. No form shorter than `least` is hidden."""
        self._least = least
        self._makers: list[Forms] = [forms_of]
        self._names: dict[str, str] = {}
        """What is shown, by value."""
        self._forms: dict[str, dict[str, str]] = {}
        """For each form the values that have it, with what is shown. The first counts."""
        self._index: dict[str, Alike] = {}
        """The forms by their first characters."""
        self._firsts = re.compile("(?!)")
        """Finds the characters with which forms begin."""
        self.add(names or {})

    @property
    def size(self) -> int:
        """How many forms are looked for."""
        return len(self._forms)

    def know(self, maker: Forms) -> None:
        """Look also for the forms that `maker` yields of a value. Repeating it is harmless."""
        if maker not in self._makers:
            self._makers.append(maker)
            self._look_for(self._names)

    def add(self, names: Mapping[str, str]) -> None:
        """Hide these values too. It is known what stands for a value: the first name stays."""
        new = {value: name for value, name in names.items() if value not in self._names}
        self._names |= new
        self._look_for(new)

    def forget(self, values: Sequence[str]) -> None:
        """Hide these values no more."""
        for value in values:
            if self._names.pop(value, None) is not None:
                self._drop(value)
        self._note_firsts()

    def hide(self, text: str) -> str:
        """Return the text without the values."""
        return self._hidden(text, even(text))[0] if self._index else text

    def hide_begun(self, text: str) -> tuple[str, str]:
        """Return the beginning of a text without the values, and its rest as it is: that may be the
        beginning of a value whose end comes later."""
        return self._hidden(text, even(text), is_begun=True) if self._index else (text, "")

    def hidden(self, value: Any) -> Any:
        """Return a value without the secrets in its texts, at any depth."""
        if not self._index:
            return value
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, Mapping):
            return {self.hidden(key): self.hidden(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.hidden(each) for each in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.hide(str(value))

    def _look_for(self, names: Mapping[str, str]) -> None:
        changed: defaultdict[str, set[str]] = defaultdict(set)
        for value, name in names.items():
            for form in self._forms_of(value):
                if form not in self._forms:
                    changed[form[: self._least]].add(form)
                self._forms.setdefault(form, {})[value] = name
        for first, forms in changed.items():
            known = self._index[first].forms if first in self._index else ()
            self._index[first] = Alike([*known, *forms])
        self._note_firsts()

    def _forms_of(self, value: str) -> set[str]:
        forms = {form for maker in self._makers for form in maker(value)}
        return {form for form in forms if len(form) >= self._least}

    def _drop(self, value: str) -> None:
        changed: defaultdict[str, set[str]] = defaultdict(set)
        for form in self._forms_of(value):
            del self._forms[form][value]
            if not self._forms[form]:
                del self._forms[form]
                changed[form[: self._least]].add(form)
        for first, forms in changed.items():
            kept = [form for form in self._index.pop(first).forms if form not in forms]
            if kept:
                self._index[first] = Alike(kept)

    def _note_firsts(self) -> None:
        letters = "".join(sorted({re.escape(first[0]) for first in self._index}))
        self._firsts = re.compile(f"[{letters}]" if letters else "(?!)")

    def _hidden(self, text: str, plain: str, is_begun: bool = False) -> tuple[str, str]:
        """`plain` is the text as forms are written: no shorter, and no longer."""
        cuts = [dots.start() for dots in _DOTS.finditer(plain)]
        parts, at, end = [], 0, len(text)
        for found in self._finds(plain, [*cuts, end] if is_begun else cuts):
            if is_begun and found.end == end and plain[found.start :] not in self._forms:
                end = found.start
                break
            parts += [text[at : found.start], found.name]
            at = found.end
        if is_begun and end == len(text):  # too few characters to tell what they begin
            end = max(at, end - self._least + 1)
        return "".join([*parts, text[at:end]]), text[end:]

    def _finds(self, plain: str, cuts: Sequence[int]) -> Iterator[_Found]:
        """Yield what stands for values, from left to right. At `cuts` a text is cut off."""
        at, index, least = 0, self._index, self._least
        while begun := self._firsts.search(plain, at):
            at = begun.start()
            forms = index.get(plain[at : at + least])
            found = forms.found(plain, at, cuts, least) if forms else None
            if found is None:
                at += 1
            else:
                form, end = found
                yield _Found(at, end, next(iter(self._forms[form].values())))
                at = end


class Remembered:
    """The values that a process has been given, and how many of its runs have each."""

    def __init__(self) -> None:
        self.redactor = Redactor()
        self._runs: Counter[str] = Counter()
        self._ended: OrderedDict[str, None] = OrderedDict()
        """The values that no run has any more, those first that were let go first."""

    def remember(self, names: Mapping[str, str]) -> None:
        """Hide values of a run that begins, given with what is shown."""
        self._runs.update(names.keys())
        for value in names:
            self._ended.pop(value, None)
        self.redactor.add(names)

    def let_go(self, values: Sequence[str]) -> None:
        """Note that a run with these values has ended."""
        for value in values:
            self._runs[value] -= 1
            if self._runs[value] <= 0:
                del self._runs[value]
                self._ended[value] = None
        late = max(0, len(self._ended) - LATELY)
        self.redactor.forget([self._ended.popitem(last=False)[0] for _ in range(late)])


_known = Remembered()
"""What this process has been given. Its log is one for all parts of the process too."""


def know(maker: Forms) -> None:
    """Look also for the forms that `maker` yields of a value. Repeating it is harmless."""
    _known.redactor.know(maker)


def remember(secrets: Mapping[str, str], former: Mapping[str, str] | None = None) -> None:
    """Hide these secrets of a run that begins, given by their names, and their `former` values."""
    _known.remember(_shown(secrets, former or {}))


def let_go(secrets: Mapping[str, str], former: Mapping[str, str] | None = None) -> None:
    """Note that a run has ended which had these secrets. Call it once for each `remember`."""
    _known.let_go(list(_shown(secrets, former or {})))


def hide_also(names: Mapping[str, str]) -> None:
    """Hide these values too, with what is shown instead, as long as the process lives."""
    _known.remember(names)


def hide(text: str) -> str:
    """Return a text without the values that this process has been given."""
    return _known.redactor.hide(text)


def hide_begun(text: str) -> tuple[str, str]:
    """Return the beginning of a text without them, and its rest, which may begin one."""
    return _known.redactor.hide_begun(text)


def hidden(value: Any) -> Any:
    """Return a value without them, at any depth."""
    return _known.redactor.hidden(value)


def _shown(*secrets: Mapping[str, str]) -> dict[str, str]:
    return {value: f"secret:{name}" for each in secrets for name, value in each.items()}

"""Reads the values of settings as the fields of their classes declare them.

Each message says what was given and what is allowed. The caller adds the path.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, Protocol, get_args, get_origin, get_type_hints

from crawler.errors import shown
from crawler.schemas.readers import Faulty, together
from crawler.settings import yaml_text
from crawler.settings.forms import Form

_TYPES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
MOST_NUMBER = 10**300
MOST_NAME = 100
"""How many characters of an unknown name are compared with known ones, which takes time."""
_NOTHING = "nothing given; leave the line out instead"


class SettingReader(Protocol):
    """Reads the values of one setting."""

    @property
    def allowed(self) -> str:
        """What is allowed, for people."""
        ...

    def read(self, value: Any) -> Any:
        """Return the value as its type. Raises Faulty."""
        ...


@cache
def readers_of(kind: type[Any]) -> Mapping[str, SettingReader]:
    """Return the reader of each setting of a class, by name. They are made once: to work out the
    types of the fields takes half of the time in which settings are loaded."""
    hints = get_type_hints(kind)
    return {
        item.name: _reader(hints[item.name], item.metadata) for item in dataclasses.fields(kind)
    }


def read(kind: type[Any], given: Mapping[str, Any]) -> Any:
    """Make settings of that class from their values by name. Raises Faulty with every fault."""
    return _Record(kind).read(given)


def meant(name: object, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the most similar known name, if there is
    one."""
    near = difflib.get_close_matches(str(name)[:MOST_NAME], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def meant_or_allowed(name: object, known: Collection[str], most: int = 20) -> str:
    """Return the same; without a similar name, all known names, unless they are more than
    `most`."""
    allowed = f"; allowed: {', '.join(known)}" if len(known) <= most else "; see docs/settings.md"
    return meant(name, known) or allowed


def _reader(hint: Any, metadata: Mapping[str, Any]) -> SettingReader:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _Record(hint, bool(metadata.get("secret")))
    if get_origin(hint) is None:
        return _Value(hint, metadata)
    inner = get_args(hint)
    if len(inner) == 1:
        return _List(_reader(inner[0], _of_items(metadata)), metadata.get("form"))
    keys = _Value(str, {"form": metadata.get("keys")})
    return _Map(keys, _reader(inner[1], metadata), metadata.get("pairs"))


def _of_items(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the rule of the items of a list. What the list checks, they do not check again."""
    form = metadata.get("form")
    if form is None or form.first_fault is None:
        return metadata
    return {**metadata, "form": form.unchecked}


class _List:
    def __init__(self, inner: SettingReader, form: Form | None) -> None:
        self._inner = inner
        self._first_fault = form.first_fault if form is not None else None
        self.allowed = f"a list, each {inner.allowed}"

    def read(self, value: Any) -> list[Any]:
        if value is None:
            raise Faulty(("", _NOTHING))
        if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping):
            raise Faulty(("", "a list is allowed"))
        fault = self._first_fault(map(str, value)) if self._first_fault is not None else None
        if fault is not None:
            raise Faulty((f"[{fault[0]}]", fault[1]))
        return together((f"[{at}]", self._inner.read, each) for at, each in enumerate(value))


class _Map:
    def __init__(self, keys: SettingReader, values: SettingReader, pairs: Form | None) -> None:
        self._keys = keys
        self._values = values
        self._pairs = pairs
        self.allowed = f"a mapping to {values.allowed}"
        if pairs is not None:
            self.allowed += f"; {pairs.words.rstrip(',')}"

    def read(self, value: Any) -> dict[str, Any]:
        if value is None:
            raise Faulty(("", _NOTHING))
        if not isinstance(value, Mapping):
            raise Faulty(("", "a mapping is allowed"))
        return dict(together((f"[{key}]", self._pair, (key, value[key])) for key in value))

    def _pair(self, pair: tuple[Any, Any]) -> tuple[str, Any]:
        key, value = together([("", self._keys.read, pair[0]), ("", self._values.read, pair[1])])
        if self._pairs is not None and not self._pairs.fits(f"{key}: {value}"):
            raise Faulty(("", f"{shown(value)} given; {self._pairs.words} is allowed"))
        return key, value


class _Record:
    """A mapping that is read as a frozen dataclass."""

    def __init__(self, kind: Any, is_secret: bool = False) -> None:
        """`kind` is the class. mypy takes not every class for hashable."""
        self._kind = kind
        self._is_secret = is_secret
        self._readers = readers_of(kind)

    @property
    def allowed(self) -> str:
        parts = (f"{name} ({reader.allowed})" for name, reader in self._readers.items())
        return f"a mapping of {', '.join(parts)}"

    def read(self, value: Any) -> Any:
        if isinstance(value, self._kind):
            return value
        if not isinstance(value, Mapping):
            told = "another value" if self._is_secret else shown(value)
            raise Faulty(("", f"{told} given; {self.allowed} is allowed"))
        return self._kind(
            **dict(together((f".{key}", self._pair, (key, value[key])) for key in value))
        )

    def _pair(self, pair: tuple[Any, Any]) -> tuple[str, Any]:
        name, value = pair
        if name not in self._readers:
            raise Faulty(("", f"unknown setting{meant_or_allowed(name, self._readers)}"))
        return name, self._readers[name].read(value)


class _Value:
    """A single value of a given type, within its bounds."""

    def __init__(self, kind: type[Any], rule: Mapping[str, Any]) -> None:
        self._kind = kind
        self._rule = rule

    def read(self, value: Any) -> Any:
        if value is None:
            raise Faulty(("", _NOTHING))
        converted = _converted(value, self._kind)
        if converted is None or not self._allows(converted):
            raise Faulty(("", f"{self._shown(value)} given; {self.allowed} is allowed"))
        return converted

    def _shown(self, value: Any) -> str:
        mask = getattr(self._rule.get("form"), "mask", None)
        if mask is not None and isinstance(value, str):
            return shown(mask(value))
        return "another value" if self._rule.get("secret") else shown(value)

    @property
    def allowed(self) -> str:
        if self._rule.get("one_of"):
            return "one of " + ", ".join(self._rule["one_of"])
        if self._rule.get("form"):
            return str(self._rule["form"].words)
        bounds = [
            f"{word} {self._rule[key]}"
            for word, key in (("from", "least"), ("to", "most"))
            if self._rule.get(key) is not None
        ]
        unit = f" {self._rule['unit']}" if self._rule.get("unit") else ""
        return " ".join([_TYPES[self._kind], *bounds]) + unit

    def _allows(self, value: Any) -> bool:
        rule = self._rule
        least, most = rule.get("least"), rule.get("most")
        return (
            (least is None or value >= least)
            and (most is None or value <= most)
            and (not rule.get("one_of") or value in rule["one_of"])
            and (not rule.get("form") or rule["form"].fits(value))
        )


def _converted(value: Any, kind: type[Any]) -> Any:
    """Return the value as its type, or None if it has another. A number may be given as text: `id:
    2`."""
    if kind is bool:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not _is_moderate(value):
        return None
    if kind is str:
        return str(value) if isinstance(value, str | int | float) else None
    if kind is float and isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    return value if kind is int and isinstance(value, int) else None


def _is_moderate(value: Any) -> bool:
    """Whether a value can be compared with a float, and shown. YAML's hexadecimal numbers have any
    length."""
    return not isinstance(value, int) or abs(value) < MOST_NUMBER


def from_text(value: Any, hint: Any) -> Any:
    """Read a value from a variable or flag. Single values and lists of mappings are YAML. Commas
    separate the values of other lists, and the pairs of a map."""
    if not isinstance(value, str):
        return value
    if get_origin(hint) is None:
        return value if hint is str else _parsed(value)
    if dataclasses.is_dataclass(get_args(hint)[-1]):
        return _parsed(value)
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if len(get_args(hint)) == 1:
        return [part if get_args(hint)[0] is str else _parsed(part) for part in parts]
    pairs = (part.partition("=") for part in parts)
    is_text = get_args(hint)[1] is str
    return {key: item if is_text else _parsed(item) for key, _, item in pairs}


def _parsed(text: str) -> Any:
    import yaml

    try:
        return yaml_text.parse(text)
    except yaml.YAMLError:
        return text

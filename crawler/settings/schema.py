"""The marshmallow schema of a section of the settings, made from the fields of its class.

Each message says what was given and what is allowed; the path is added by whoever loads.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, Protocol, get_args, get_origin, get_type_hints

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields

from crawler.errors import shown
from crawler.schemas.constraint_json import QUANTITIES, QUANTITY

_FORMS = {
    "listen": (r"[^\s:/]*:\d{1,5}", ":port or host:port"),
    "endpoints": (r"[^\s:/]+:\d{1,5}", "host:port"),
    "path": (r"(/[^\s/]+)+", "a path such as /a/b"),
    "service": (r"[A-Za-z0-9._-]+", "letters, digits, dots, dashes"),
    "quantity": (QUANTITY, QUANTITIES),
    "taint": (
        r"\w[\w./-]*(=[\w./-]*)?:(NoSchedule|PreferNoSchedule)",
        "key=value:effect, with the effect NoSchedule or PreferNoSchedule,",
    ),
    "proxy": (
        r"(https?|socks4a?|socks5h?)://[^\s/]+/?",
        "http://host:port, https://, socks4://, socks4a://, socks5:// or socks5h://",
    ),
    "network": (
        r"all|[0-9A-Fa-f.:]+(/\d{1,3})?",
        "a network such as 10.0.0.0/8 or fd00::/8, or `all`,",
    ),
    "token": (r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "letters, digits, dashes, as the name of a header,"),
    "line": (r"[^\r\n\x00]*", "a text without line breaks"),
    "name": (r"[A-Za-z0-9._-]{0,64}", "up to 64 letters, digits, dots, dashes"),
    "regex": ("", "a regular expression"),
}


def schema_of(kind: type[Any]) -> type[Schema]:
    """The marshmallow schema of a section, from the fields of its class."""
    made: dict[str, Any] = dict(fields_of(kind))
    made["Meta"] = type("Meta", (), {"unknown": RAISE})
    return type(f"{kind.__name__}Schema", (Schema,), made)


def fields_of(kind: type[Any]) -> dict[str, SettingField]:
    """The marshmallow fields of a section by name."""
    hints = get_type_hints(kind)
    return {item.name: _field(hints[item.name], item.metadata) for item in dataclasses.fields(kind)}


class SettingField(Protocol):
    """A field that can say in words what it takes."""

    def deserialize(self, value: Any) -> Any:
        """The value as its type; raises ValidationError."""
        ...

    @property
    def allowed(self) -> str:
        """What is allowed, for people."""
        ...


def _field(hint: Any, metadata: Mapping[str, Any]) -> SettingField:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _Record(hint)
    if get_origin(hint) is None:
        return _Value(hint, metadata)
    inner = get_args(hint)
    if len(inner) == 1:
        return _List(_field(inner[0], metadata))
    keys = _Value(str, {"form": metadata.get("keys", "")})
    return _Map(keys, _field(inner[1], metadata))


class _List(fields.List[Any]):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner, error_messages={"invalid": "a list is allowed"})
        self.allowed = f"a list, each {inner.allowed}"


class _Map(fields.Dict):
    def __init__(self, keys: Any, values: Any) -> None:
        super().__init__(keys, values, error_messages={"invalid": "a mapping is allowed"})
        self.allowed = f"a mapping to {values.allowed}"


class _Record(fields.Field[Any]):
    """A mapping that stands for a small frozen dataclass."""

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self._kind = kind
        self._schema = schema_of(kind)
        parts = (f"{name} ({field.allowed})" for name, field in fields_of(kind).items())
        self.allowed = f"a mapping of {', '.join(parts)}"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, self._kind):
            return value
        if not isinstance(value, Mapping):
            raise ValidationError(f"{shown(value)} given; {self.allowed} is allowed")
        try:
            return self._kind(**self._schema().load(value))
        except ValidationError as error:
            told = error.messages_dict.items()
            raise ValidationError([f"{name}: {'; '.join(text)}" for name, text in told]) from None


class _Value(fields.Field[Any]):
    """A single value of a given type, within its bounds."""

    def __init__(self, kind: type[Any], metadata: Mapping[str, Any]) -> None:
        super().__init__(error_messages={"null": "nothing given; leave the line out instead"})
        self._kind = kind
        self._rule = metadata

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        converted = _converted(value, self._kind)
        if converted is None or not self._allows(converted):
            given = "another value" if self._rule.get("secret") else shown(value)
            raise ValidationError(f"{given} given; {self.allowed} is allowed")
        return converted

    def _allows(self, value: Any) -> bool:
        least, most = self._rule.get("least"), self._rule.get("most")
        pattern, _ = _FORMS.get(self._rule.get("form", ""), ("", ""))
        return (
            (least is None or value >= least)
            and (most is None or value <= most)
            and (not self._rule.get("one_of") or value in self._rule["one_of"])
            and (not pattern or (not value and pattern.startswith("[^")) or _fits(pattern, value))
            and (self._rule.get("form") != "regex" or _compiles(value))
        )

    @property
    def allowed(self) -> str:
        """What is allowed, for people."""
        if self._rule.get("one_of"):
            return "one of " + ", ".join(self._rule["one_of"])
        if self._rule.get("form"):
            return _FORMS[self._rule["form"]][1]
        names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        bounds = [
            f"{word} {self._rule[key]}"
            for word, key in (("from", "least"), ("to", "most"))
            if self._rule.get(key) is not None
        ]
        unit = f" {self._rule['unit']}" if self._rule.get("unit") else ""
        return " ".join([names[self._kind], *bounds]) + unit


def _compiles(value: str) -> bool:
    try:
        re.compile(value)
    except re.error:
        return False
    return True


def _fits(pattern: str, value: str) -> bool:
    if not re.fullmatch(pattern, value):
        return False
    port = value.rpartition(":")[2] if ":" in value else "0"
    return not port.isdecimal() or int(port) <= 65535


def _converted(value: Any, kind: type[Any]) -> Any:
    """The value as its type; None when it is of another. Numbers may stand for text: `id: 2`."""
    if kind is bool:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if kind is str:
        return str(value) if isinstance(value, str | int | float) else None
    if kind is float and isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    return value if kind is int and isinstance(value, int) else None


def from_text(value: Any, hint: Any) -> Any:
    """A value from a variable or flag: YAML for single values and lists of mappings, commas between
    the values of other lists or the pairs of a map."""
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
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text

"""Checks what a declaration of a spider may contain.

Each fault names the path, the value, and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validates_schema

from crawler.engine.http import selectors, urls
from crawler.engine.spiders.declaration import (
    SOURCES,
    TYPES,
    Declaration,
    FieldRule,
    FollowRule,
    ItemRule,
    SitemapRule,
)
from crawler.settings import overrides, patterns

REGEX = patterns.ALLOWED
_REGEX_IN_XPATH = re.compile(r"\bre:(test|match|replace)\s*\(")
MISSING = "missing; allowed:"
UNKNOWN = "unknown key; allowed:"
_WORDS = {
    "String": "a text",
    "Boolean": "true or false",
    "List": "a list",
    "Nested": "a mapping",
    "Dict": "a mapping",
}


class _Compiled(fields.Field[Any]):
    """A field with a text that is compiled: what the text is, and how to compile it."""

    def __init__(self, what: str, compiler: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self._what = what
        self._compile = compiler

    def _deserialize(self, value: Any, attr: str | None, data: Any, **rest: Any) -> Any:
        if not isinstance(value, str) or not value:
            raise ValidationError(f"allowed: {self._what}")
        try:
            return self._compile(value)
        except (selectors.BadSelector, patterns.BadPattern) as error:
            raise ValidationError(f"{error}; allowed: {self._what}") from error


class _Schema(Schema):
    """The base of the schemas. Unknown keys are faults, and every message says what is allowed."""

    class Meta:
        """The options of marshmallow."""

        unknown = RAISE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        keys = ", ".join(field.data_key or name for name, field in self.fields.items())
        self.error_messages["unknown"] = f"{UNKNOWN} {keys}"
        self.error_messages["type"] = f"allowed: a mapping with {keys}"
        for field in self.fields.values():
            _explain(field)


def _explain(field: fields.Field[Any]) -> None:
    """Replace marshmallow's messages of a field by what is allowed."""
    words = next((_WORDS[c.__name__] for c in type(field).__mro__ if c.__name__ in _WORDS), "")
    for key in ("invalid", "null", "type", "invalid_utf8"):
        field.error_messages[key] = f"allowed: {words or 'a value'}"
    field.error_messages["required"] = f"{MISSING} {words or 'a value'}"
    if isinstance(field, fields.List):
        _explain(field.inner)


class _Shorthand(fields.Nested):
    """A mapping. A text alone stands for the CSS selector in it."""

    def deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        return super().deserialize(
            {"css": value} if isinstance(value, str) else value, *rest, **options
        )


class _Sitemaps(fields.Nested):
    """A mapping. A list alone stands for the URLs in it."""

    def deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        return super().deserialize(
            {"urls": value} if isinstance(value, list) else value, *rest, **options
        )


def _css(**options: Any) -> _Compiled:
    return _Compiled("a CSS selector", selectors.css, **options)


def _xpath(**options: Any) -> _Compiled:
    return _Compiled("an XPath expression", _without_regex, **options)


def _without_regex(query: str) -> selectors.Selection:
    """Compile an XPath expression of a declaration. lxml passes the pattern of `re:test` to
    Python's `re`, which may never return."""
    if _REGEX_IN_XPATH.search(query):
        raise selectors.BadSelector("re: is not allowed in a declaration; use the key regex")
    return selectors.xpath(query)


def _regex(**options: Any) -> _Compiled:
    return _Compiled(REGEX, patterns.linear, **options)


def _one_of(names: Mapping[str, Any]) -> Callable[[str], None]:
    def validate(value: str) -> None:
        if value not in names:
            raise ValidationError(f"allowed: one of {', '.join(names)}")

    return validate


def _web(value: str) -> None:
    if not urls.is_web(value):
        raise ValidationError("allowed: an absolute URL with http or https")


def _not_empty(value: Any) -> None:
    if not value:
        raise ValidationError("allowed: any value that is not empty")


class _SelectorSchema(_Schema):
    css = _css()
    xpath = _xpath()

    @validates_schema(skip_on_field_errors=True)
    def _one(self, data: dict[str, Any], **rest: Any) -> None:
        if len(data) != 1:
            raise ValidationError("allowed: either css or xpath")

    @post_load
    def _build(self, data: dict[str, Any], **rest: Any) -> selectors.Selection:
        selection: selectors.Selection = data.get("css") or data["xpath"]
        return selection


class _FieldSchema(_Schema):
    css = _css()
    xpath = _xpath()
    source = fields.String(data_key="from", validate=_one_of(SOURCES))
    regex = _regex()
    type = fields.String(validate=_one_of(TYPES))
    many = fields.Boolean(truthy={True}, falsy={False})
    required = fields.Boolean(truthy={True}, falsy={False})

    @validates_schema(skip_on_field_errors=True)
    def _one(self, data: dict[str, Any], **rest: Any) -> None:
        if len(data.keys() & {"css", "xpath", "source"}) != 1:
            raise ValidationError("allowed: exactly one of css, xpath, from")
        if "source" in data and len(data) > 1:
            raise ValidationError("allowed: from, without any other key")

    @post_load
    def _build(self, data: dict[str, Any], **rest: Any) -> FieldRule:
        selection = data.pop("css", None) or data.pop("xpath", None)
        return FieldRule(selection=selection, **data)


class _Fields(fields.Field[Any]):
    """The fields of an item by name. The fault of each is reported under its name."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **rest: Any) -> Any:
        if not isinstance(value, Mapping) or not value:
            raise ValidationError("allowed: a mapping of field names to selectors")
        rule, rules, errors = _Shorthand(_FieldSchema), {}, {}
        for name, each in value.items():
            try:
                rules[str(name)] = rule.deserialize(each)
            except ValidationError as error:
                errors[str(name)] = error.messages
        if errors:
            raise ValidationError(errors)
        return rules


class _ItemSchema(_Schema):
    match = _regex()
    each = _Shorthand(_SelectorSchema)
    extracted = _Fields(required=True, data_key="fields")

    @post_load
    def _build(self, data: dict[str, Any], **rest: Any) -> ItemRule:
        return ItemRule(fields=data.pop("extracted"), **data)


class _FollowSchema(_Schema):
    css = _css()
    xpath = _xpath()
    allow = fields.List(_regex())
    deny = fields.List(_regex())
    match = _regex()

    @validates_schema(skip_on_field_errors=True)
    def _one(self, data: dict[str, Any], **rest: Any) -> None:
        if "css" in data and "xpath" in data:
            raise ValidationError("allowed: one of css and xpath")

    @post_load
    def _build(self, data: dict[str, Any], **rest: Any) -> FollowRule:
        links = data.pop("css", None) or data.pop("xpath", None) or selectors.css("a")
        return FollowRule(links=links, **data)


class _SitemapSchema(_Schema):
    urls = fields.List(fields.String(validate=_web), required=True)
    allow = fields.List(_regex())
    deny = fields.List(_regex())

    @post_load
    def _build(self, data: dict[str, Any], **rest: Any) -> SitemapRule:
        return SitemapRule(**data)


class _DeclarationSchema(_Schema):
    name = fields.String(required=True, validate=_not_empty)
    start_urls = fields.List(fields.String(validate=_web))
    allowed_domains = fields.List(fields.String(validate=_not_empty))
    settings = fields.Dict()
    follow = fields.List(_Shorthand(_FollowSchema))
    items = fields.List(fields.Nested(_ItemSchema))
    sitemaps = _Sitemaps(_SitemapSchema)

    @post_load
    def _build(self, data: dict[str, Any], **rest: Any) -> Declaration:
        return Declaration(**data)


def load(data: Any) -> Declaration:
    """Compile a declaration. Raises marshmallow's ValidationError (see `faults_of`)."""
    declaration: Declaration = _DeclarationSchema().load(data)
    return declaration


def faults_of(data: Any, where: str) -> list[str]:
    """All faults of a declaration, one line each. Empty if there are none."""
    found: list[str] = []
    try:
        load(data)
    except ValidationError as error:
        found += _lines(error.messages, data, where)
    settings = data.get("settings") if isinstance(data, Mapping) else None
    if isinstance(settings, Mapping):
        found += overrides.faults(settings, f"{where}.settings")
    return found


def _lines(messages: Any, value: Any, path: str) -> Iterator[str]:
    """marshmallow's tree of messages as lines: path, value, what is allowed."""
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            if key == "_schema":
                yield from _lines(below, value, path)
            else:
                step = f"[{key}]" if isinstance(key, int) else f".{key}"
                yield from _lines(below, _at(value, key), f"{path}{step}")
        return
    for message in messages:
        no_value = message.startswith((MISSING, UNKNOWN))
        yield f"{path}: {message}" if no_value else f"{path}: {value!r} is not allowed; {message}"


def _at(value: Any, key: Any) -> Any:
    try:
        return value[key]
    except (LookupError, TypeError):
        return value

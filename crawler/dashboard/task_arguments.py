"""The parameters of a spider as fields of a form: each has its own, and the rest is JSON. A list of
texts may have one a line.

An empty field means that the task does not give the parameter. What a field cannot show, such as an
empty text, stays in the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

from crawler.errors import shown
from crawler.model.spiders import SpiderArgument

PREFIX = "p-"
"""What the names of such fields begin with."""
_KINDS = {
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "array": ((list,), "a JSON array"),
    "object": ((dict,), "a JSON object"),
}


def spread(
    arguments: Sequence[SpiderArgument], parameters: Mapping[str, Any]
) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    """Return what stands in the fields of parameters, and the parameters without one."""
    found, rest = {}, dict(parameters)
    for each in arguments:
        text = _shown(each, rest[each.name]) if each.name in rest else ""
        if text:
            found[f"{PREFIX}{each.name}"] = text
            del rest[each.name]
    return found, rest


def gathered(
    arguments: Sequence[SpiderArgument],
    typed: Mapping[str, str],
    rest: Mapping[str, Any],
    faults: MutableMapping[str, str],
) -> dict[str, Any]:
    """Return all parameters; notes what is wrong with a field."""
    found = dict(rest)
    for each in arguments:
        name = f"{PREFIX}{each.name}"
        if text := typed.get(name, ""):
            try:
                found[each.name] = _read(each, text)
            except ValueError as error:
                faults[name] = str(error)
        elif each.required and each.name not in found:
            faults[name] = "is missing: this spider needs it"
    return found


def _shown(argument: SpiderArgument, value: Any) -> str:
    """Return a value as the text of its field; nothing if that would be read as another one."""
    as_json = json.dumps(value, ensure_ascii=False)
    text = value if isinstance(value, str) else as_json
    if argument.type == "array" and isinstance(value, list):
        text = "\n".join(map(str, value))
    for each in (text, as_json):
        with suppress(ValueError):
            if each and json.dumps(_read(argument, each)) == json.dumps(value):
                return each
    return ""


def _read(argument: SpiderArgument, text: str) -> Any:
    """Return the value of a field. Raises ValueError."""
    if argument.type == "string":
        return text
    if argument.type == "array" and not text.lstrip().startswith("["):
        return list(filter(None, map(str.strip, text.splitlines())))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if not argument.type:
            return text
        value = None
    if not argument.type:
        return value
    kinds, words = _KINDS[argument.type]
    if type(value) not in kinds:
        raise ValueError(f"{shown(text)} is not allowed; allowed is {words}")
    return value

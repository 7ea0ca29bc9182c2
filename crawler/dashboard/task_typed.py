"""What people type into the form of a task: from a task, and as a request of the API.

The form is read by the rules of the API, and its refusals are told beside the fields that they are
about. What was typed stays as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.dashboard.task_arguments import PREFIX, gathered, spread
from crawler.errors import InvalidArgument, shown
from crawler.model.records import Spec
from crawler.model.spiders import SpiderArgument
from crawler.schemas import constraint_json

TEXTS = (
    *("name", "spider", "labels", "priority", "parameters", "constraints"),
    *("retries", "workers", "bundle"),
)
TICKS = ("isolated", "wait_for_spider", "restart")
NUMBERS = {"priority": 0, "retries": 0, "workers": 1}
"""The fields that are numbers, and what an empty one means."""
OBJECTS = ("parameters", "constraints")
"""The fields that are JSON objects."""
_FAULT = re.compile(
    r"(?:^|; )(?=(name|spider|project|labels|priority|parameters|constraints|retries|workers"
    r"|bundle|isolated)[^\s:]*: )"
)
OTHER = ""
"""Faults that are of no field are told under this name."""

Arguments = Sequence[SpiderArgument]
Typed = Mapping[str, str]
"""What stands in each field; `on` for what is ticked."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A form with what somebody typed, and what is wrong with it."""

    typed: Typed
    faults: Mapping[str, str] = field(default_factory=dict)


def typed_of(spec: Spec, arguments: Arguments = ()) -> Typed:
    """Return what to type for a task. The arguments of its spider have fields of their own."""
    fields, rest = spread(arguments, spec.parameters)
    written = constraint_json.write(spec.constraints)
    constraints = {name: value for name, value in written.items() if value}
    return {
        **fields,
        "name": spec.name,
        "spider": spec.offered_as,
        "labels": "\n".join(f"{key}={value}" for key, value in sorted(spec.labels.items())),
        "priority": str(spec.priority),
        "parameters": _json(rest) if rest or not fields else "",
        "constraints": _json(constraints) if constraints else "",
        "retries": str(spec.retries),
        "workers": str(spec.workers),
        "bundle": spec.bundle,
        "isolated": "on" if spec.isolated else "",
    }


def typed_in(form: Mapping[str, str]) -> Typed:
    """Return what was typed into a form."""
    own = (name for name in form if name.startswith(PREFIX))
    return {name: form.get(name, "") for name in (*TEXTS, *TICKS, *own)}


def asked(typed: Typed, arguments: Arguments = ()) -> dict[str, Any]:
    """Return the fields of a request. Raises Faults."""
    faults: dict[str, str] = {}
    spider = typed.get("spider", "").strip()
    project, slash, own = spider.rpartition("/")
    found: dict[str, Any] = {
        "name": typed.get("name", "").strip(),
        "spider": own if slash else spider,
        "project": project,
        "bundle": typed.get("bundle", "").strip(),
        "isolated": typed.get("isolated") == "on",
    }
    for name, empty in NUMBERS.items():
        found[name] = typed.get(name, "").strip() or empty
    for name in OBJECTS:
        found[name] = _read(name, lambda text: json.loads(text or "{}"), typed, faults)
    found["parameters"] = gathered(arguments, typed, found["parameters"], faults)
    found["labels"] = _read("labels", labels_in, typed, faults)
    if not found["name"]:
        faults["name"] = "is missing: give the task a name"
    if faults:
        raise Faults(faults)
    return found


class Faults(InvalidArgument):
    """What is wrong with a form, by field."""

    def __init__(self, by_field: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in by_field.items()))
        self.by_field = by_field


def labels_in(text: str) -> dict[str, str]:
    """Return labels that are given as `key=value`, one a line or with commas. Raises ValueError."""
    found = {}
    for each in filter(None, (part.strip() for part in re.split(r"[\n,]", text))):
        key, equals, value = each.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"{shown(each)} is not allowed; allowed is KEY=VALUE, one a line")
        found[key.strip()] = value.strip()
    return found


def faults_of(error: Exception) -> Mapping[str, str]:
    """Return what an error says of each field."""
    if isinstance(error, Faults):
        return error.by_field
    found: dict[str, str] = {}
    for name, text in _told(str(error)):
        found[name] = f"{found[name]}; {text}" if name in found else text
    return found


def _told(message: str) -> Iterator[tuple[str, str]]:
    starts = list(_FAULT.finditer(message))
    if not starts or starts[0].start() > 0:
        yield OTHER, message[: starts[0].start()] if starts else message
    ends = [each.start() for each in starts[1:]] + [len(message)]
    for start, end in zip(starts, ends, strict=True):
        name = "spider" if start[1] == "project" else start[1]
        text = message[start.end() : end]
        yield name, text.removeprefix(f"{start[1]}: ")


def _read(name: str, read: Any, typed: Typed, faults: dict[str, str]) -> Any:
    text = typed.get(name, "").strip()
    try:
        found = read(text)
    except (ValueError, RecursionError) as error:
        what = "is no JSON" if name in OBJECTS else ""
        faults[name] = f"{what}: {error}" if what else str(error)
        return {}
    if not isinstance(found, dict):
        faults[name] = f"{shown(found)} is not allowed; allowed is a JSON object"
        return {}
    return found


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)

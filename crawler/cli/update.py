"""The command that changes a task of a running cluster."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

from crawler.cli.base import commands
from crawler.cli.cluster import task_lines
from crawler.cli.master import CALL, MASTER, connected
from crawler.errors import shown
from crawler.model.records import Spec
from crawler.schemas import constraint_json, task_schemas

FIELDS = ("spider", "priority", "retries", "labels", "parameters", "constraints")
MAPS = ("labels", "parameters", "constraints")
"""Fields whose parts may be named, as labels.site."""

TEXTS = ("spider", "labels.", "constraints.node")
"""The beginnings of fields that are text, whatever the value looks like. The others are JSON, or
else text."""


@commands.command()
@MASTER
@click.argument("name", metavar="TASK")
@click.option(
    "--set",
    "wanted",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Set a field, such as priority=5, labels.site=shop, parameters.depth=2 or "
    "constraints.node=2.",
)
@click.option("--unset", metavar="FIELD", multiple=True, help="Reset a field to its default.")
def update(master: str, name: str, wanted: tuple[str, ...], unset: tuple[str, ...]) -> None:
    """Change TASK. Fields that you do not name stay as they are.

    Another spider or other parameters start another run. If TASK is parked because workers died of
    it, it is tried again, with or without changes.
    """
    with connected(master) as client:
        given = _given(client.get(name, CALL).spec)
        for text in wanted:
            _set(given, text)
        for path in unset:
            _unset(given, path)
        found = client.update(task_schemas.load_spec(given), CALL)
    for line in task_lines(found):
        click.echo(line)


def _given(spec: Spec) -> dict[str, Any]:
    """Return a specification as a client would send it."""
    given: dict[str, Any] = {field: getattr(spec, field) for field in ("name", *FIELDS)}
    asked = constraint_json.write(spec.constraints)
    return given | {
        "labels": dict(spec.labels),
        "parameters": dict(spec.parameters),
        "constraints": {key: value for key, value in asked.items() if value},
    }


def _set(given: dict[str, Any], text: str) -> None:
    """Set FIELD=VALUE. Raises click.BadParameter."""
    path, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"--set {shown(text)} is not allowed; allowed is FIELD=VALUE")
    field, part = _place("--set", path)
    read = value if path.startswith(TEXTS) else _json_or_text(value)
    if part:
        _inner("--set", given, field, path)[part] = read
    else:
        given[field] = read


def _unset(given: dict[str, Any], path: str) -> None:
    """Remove a field, or a part of one. Raises click.BadParameter."""
    field, part = _place("--unset", path)
    inner = _inner("--unset", given, field, path) if part else given
    if inner.pop(part or field, None) is None:
        raise click.BadParameter(f"--unset {path}: it is not set; {_known(inner)}")
    given.setdefault(field, None)


def _place(option: str, path: str) -> tuple[str, str]:
    """Return the field, and the part of it if one is named. Raises click.BadParameter."""
    field, _, part = path.partition(".")
    if field not in FIELDS or (part and field not in MAPS):
        allowed = ", ".join([*FIELDS, *(f"{name}.KEY" for name in MAPS)])
        raise click.BadParameter(f"{option} {shown(path)} is no field; allowed: {allowed}")
    return field, part


def _inner(option: str, given: dict[str, Any], field: str, path: str) -> dict[str, Any]:
    """Return the field whose part is named. Raises click.BadParameter."""
    inner = given[field]
    if not isinstance(inner, dict):
        raise click.BadParameter(
            f"{option} {shown(path)}: {field} is {shown(inner)}; allowed is a map"
        )
    return inner


def _known(values: Iterable[str]) -> str:
    return f"set are: {', '.join(sorted(values)) or 'none'}"


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value

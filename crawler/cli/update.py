"""The commands that change a task of a running cluster, and that begin it anew."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

import click

from crawler.api.http import bodies
from crawler.cli.as_json import JSON, show_json
from crawler.cli.base import commands, labels_option
from crawler.cli.cluster import task_lines
from crawler.cli.given import warn_of_texts_with_secrets
from crawler.cli.master import CALL, MASTER, connected
from crawler.cli.task_names import TASK
from crawler.errors import shown
from crawler.model.records import NO_COUNTS, Counts, Resource, Spec, State
from crawler.plural import counted
from crawler.schemas import constraint_json, task_schemas
from crawler.settings import live

FIELDS = (
    *("spider", "priority", "retries", "workers", "isolated"),
    *("project", "bundle"),
    *("labels", "parameters", "constraints"),
)
MAPS = ("labels", "parameters", "constraints")
"""Fields whose parts may be named, as labels.site or parameters.settings.delay_s."""

TEXTS = ("spider", "project", "bundle", "labels.", "constraints.node")
"""The beginnings of fields that are text, whatever the value looks like. The others are JSON, or
else text."""


@commands.command()
@MASTER
@TASK
@click.option(
    "--set",
    "wanted",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Set a field, such as priority=5, workers=4, labels.site=shop, "
    "parameters.settings.delay_s=1 or constraints.node=2.",
)
@labels_option("Set a label of the task; the others stay.")
@click.option("--unset", metavar="FIELD", multiple=True, help="Reset a field to its default.")
@click.option(
    "--restart",
    is_flag=True,
    help="Allow a change that restarts the run, or begins it anew. Without it such a change is "
    "refused.",
)
@click.option(
    "--wait-for-spider",
    is_flag=True,
    help="Allow a spider that no live worker offers yet. TASK then waits for a worker with it.",
)
@JSON
def update(
    master: str,
    name: str,
    wanted: tuple[str, ...],
    labels: dict[str, str],
    unset: tuple[str, ...],
    restart: bool,
    wait_for_spider: bool,
    as_json: bool,
) -> None:
    """Change TASK. Fields that you do not name stay as they are.

    Settings of politeness and limits, such as parameters.settings.delay_s, change on the running
    crawl. Other settings restart its run, which goes on where it was on the same machine. Another
    spider or other arguments begin it anew. Both need --restart. If TASK is parked
    because workers or processes died of it, it is tried again, with or without changes.
    """
    with connected(master, name) as client:
        before = client.get(name, CALL)
        if not (wanted or labels or unset or before.kills):
            raise click.UsageError(
                f"nothing to change of {name} is given; give --set, --label or --unset"
            )
        given = _given(before.spec)
        for text in (*wanted, *(f"labels.{key}={value}" for key, value in labels.items())):
            _set(given, text)
        for path in unset:
            _unset(given, path)
        warn_of_texts_with_secrets(given["parameters"] or {})
        found = client.update(task_schemas.load_spec(given), CALL, restart, wait_for_spider)
    if as_json:
        return show_json(bodies.resource(found))
    is_untold = found.counts == NO_COUNTS and before.counts != NO_COUNTS
    for line in task_lines(found, has_counts=not is_untold):
        click.echo(line)
    told = _consequence(before, found)
    if told:
        click.echo(told)


@commands.command()
@MASTER
@TASK
@JSON
def again(master: str, name: str, as_json: bool) -> None:
    """Begin TASK anew, whatever its state: what its crawl has done so far is dropped. But if it
    failed because its state or its items could not be written, it goes on where it was.

    Items that were written stay where they are; the new crawl writes files of its own.
    """
    with connected(master, name) as client:
        before = client.get(name, CALL)
        found = client.again(name, CALL)
    if as_json:
        return show_json(bodies.resource(found))
    for line in task_lines(found, has_counts=False):
        click.echo(line)
    click.echo(_begun_anew(before, found))


def _begun_anew(before: Resource, found: Resource) -> str:
    """Return what it means that a task begins anew. One that was never placed has no crawl."""
    if found.counts != NO_COUNTS or before.state is State.FAILED:
        return _of_the_crawl_before(before.state, found.counts)
    if before.state is State.RUNNING:  # a new leader waits for the next report
        return "it begins anew; what the crawl before has counted is not known here yet"
    if before.epoch or before.owner is not None:
        return "it begins anew; of the crawl before, nothing was counted yet"
    waits = f"; what it waits for: crawler explain {found.name}" if found.owner is None else ""
    return f"it had not begun yet, so nothing is dropped{waits}"


def _of_the_crawl_before(state: State, dropped: Counts) -> str:
    """Return what becomes of the crawl before, whose task was in that state. Only the worker knows
    whether a state was kept."""
    so_far = f"{counted(dropped.pages, 'page')} and {counted(dropped.items, 'item')}"
    if state is State.FAILED:
        return (
            f"it goes on where it was if its state was kept, or else begins anew; so far: {so_far}"
        )
    return f"it begins anew; {so_far} of the crawl before no longer count"


def _consequence(before: Resource, after: Resource) -> str:
    """Return what a change meant for the run of a task; empty if it meant nothing."""
    paths = live.changes(before.spec, after.spec)
    if not paths:
        return _of_another_epoch(before, after)
    if before.state.finished:
        return _of_the_crawl_before(before.state, before.counts)
    if any(paths.values()):
        return "it begins another run"
    return "its crawl goes on with the new settings" if after.owner is not None else ""


def _of_another_epoch(before: Resource, after: Resource) -> str:
    """Return what it means that a run begins again although nothing of it has changed: a task that
    gets more workers than one begins to share what it has."""
    if before.owner is None or before.epoch == after.epoch:
        return ""
    pages = counted(before.counts.pages, "page")
    count = f"; its {pages} count" if before.counts != NO_COUNTS else ""
    return f"its run begins again and goes on where it was{count}"


def _given(spec: Spec) -> dict[str, Any]:
    """Return a specification as a client would send it."""
    given: dict[str, Any] = {field: getattr(spec, field) for field in ("name", *FIELDS)}
    asked = constraint_json.write(spec.constraints)
    return given | {
        "labels": dict(spec.labels),
        "parameters": copy.deepcopy(dict(spec.parameters)),
        "constraints": {key: value for key, value in asked.items() if value},
    }


def _set(given: dict[str, Any], text: str) -> None:
    """Set FIELD=VALUE. Raises click.BadParameter."""
    path, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"--set {shown(text)} is not allowed; allowed is FIELD=VALUE")
    way, last = _part("--set", given, path)
    read = value if path.startswith(TEXTS) else _json_or_text(value)
    _inner("--set", given, way, path)[last] = read


def _unset(given: dict[str, Any], path: str) -> None:
    """Remove a field, or a part of one. Raises click.BadParameter."""
    way, last = _part("--unset", given, path)
    inner = _inner("--unset", given, way, path)
    if inner.pop(last, None) is None:
        raise click.BadParameter(f"--unset {path}: it is not set; {_known(inner)}")
    given.setdefault(path.partition(".")[0], None)


def _part(option: str, given: dict[str, Any], path: str) -> tuple[list[str], str]:
    """Return the way to what a path names, and its key there. The key may have dots, if there is
    such a one. Raises click.BadParameter."""
    parts = _place(option, path)
    inner: Any = given
    for at, key in enumerate(parts):
        rest = ".".join(parts[at:])
        if not isinstance(inner, dict):
            break
        if rest in inner:
            return parts[:at], rest
        inner = inner.get(key)
    return parts[:-1], parts[-1]


def _place(option: str, path: str) -> list[str]:
    """Return the field, and the parts of its path if some are named. The name of a label may have
    dots. Raises click.BadParameter."""
    field, dot, part = path.partition(".")
    if field not in FIELDS or (dot and field not in MAPS):
        allowed = ", ".join([*FIELDS, *(f"{name}.KEY" for name in MAPS)])
        raise click.BadParameter(f"{option} {shown(path)} is no field; allowed: {allowed}")
    parts = [] if not dot else [part] if field == "labels" else part.split(".")
    if not all(parts):
        raise click.BadParameter(
            f"{option} {shown(path)}: a part of the path is empty; allowed is {field}.KEY"
        )
    return [field, *parts]


def _inner(option: str, given: dict[str, Any], way: list[str], path: str) -> dict[str, Any]:
    """Return the map at the end of a way. `--set` makes what is missing. Raises
    click.BadParameter."""
    inner: dict[str, Any] = given
    for count, key in enumerate(way, 1):
        inner = inner.setdefault(key, {}) if option == "--set" else inner.get(key, {})
        if not isinstance(inner, dict):
            whole = ".".join(way[:count])
            raise click.BadParameter(
                f"{option} {shown(path)}: {whole} is {shown(inner)}; allowed is a map; set the"
                f" whole of {whole}"
            )
    return inner


def _known(values: Iterable[str]) -> str:
    return f"set are: {', '.join(sorted(values)) or 'none'}"


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value

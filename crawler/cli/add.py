"""`crawler add`: the command that adds tasks to a running cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple

import click

from crawler.api.backend import Submission
from crawler.api.http import bodies
from crawler.api.rpc.client import Client
from crawler.cli.as_json import JSON_LINES, show_json
from crawler.cli.base import FAILED, Unusable, commands, labels_option
from crawler.cli.given import (
    ARGUMENTS,
    SETTINGS,
    document,
    document_of,
    parameters_of,
    warn_of_texts_with_secrets,
)
from crawler.cli.master import CALL, MASTER, connected
from crawler.errors import AlreadyExists, InvalidArgument, Rejected, Retryable
from crawler.model.projects import SHORT
from crawler.model.records import Resource, Spec
from crawler.schemas import constraint_json, task_schemas

WHOLE = 64
"""The length of a digest that is not shortened."""
NONE = "nothing"
"""How a field without a value is shown."""


class Wish(NamedTuple):
    """A task that the user wants."""

    spec: Spec
    waits: bool
    """Whether it may wait for a worker that offers its spider."""


@commands.command()
@MASTER
@click.argument("name", required=False)
@click.option(
    "--spider", metavar="NAME", help="Its spider. The default is the one of the name NAME."
)
@ARGUMENTS
@SETTINGS
@labels_option("A label of the task.")
@click.option("--priority", metavar="N", help="The highest is placed first. The default is 0.")
@click.option("--workers", metavar="N", help="On how many workers it runs at once.")
@click.option("--retries", metavar="N", help="How often a run that failed is tried again.")
@click.option("--isolated", is_flag=True, help="Let it run in a process of its own.")
@click.option("--project", metavar="NAME", help="The deployed project that has its spider.")
@click.option("--bundle", metavar="DIGEST", help="Keep to this bundle of the project.")
@click.option(
    "--constraints", metavar="FILE|JSON", help="Which workers it may have; docs/constraints.md."
)
@click.option(
    "--wait-for-spider",
    is_flag=True,
    help="Allow a spider that no live worker offers yet. The task then waits for such a worker.",
)
@click.option(
    "-f",
    "--file",
    type=click.File(encoding="utf-8"),
    help="Add the task, or the list of tasks, in this file of JSON or YAML; - is standard input.",
)
@JSON_LINES
def add(
    master: str,
    name: str | None,
    wait_for_spider: bool,
    file: IO[str] | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Add the task NAME, or those of a file, and show which worker gets it, or why it waits.

    Arguments of the spider (-a) are text, as with `crawler runspider`. In a file, fields have their
    names over HTTP. Who adds the same task again changes nothing.
    """
    given = {key: value for key, value in options.items() if value not in (None, False, (), {})}
    if "project" in given and SHORT <= len(given.get("bundle", "")) < WHOLE:
        given["bundle"] = _whole(master, given["project"], given["bundle"])
    if file is not None:
        if name is not None or given:
            raise click.UsageError("-f says all about its tasks; leave NAME and their options out")
        wishes = list(_of_file(file, wait_for_spider))
    elif name is not None:
        wishes = [_wish(_fields(name, given), wait_for_spider)]
    else:
        raise click.UsageError("no task is given; give NAME, or a file with -f")
    with connected(master) as client, _saying_whose_spider(name if "spider" not in given else ""):
        results = [_added(client, wish, as_json, len(wishes) > 1) for wish in wishes]
    return 0 if all(results) else FAILED


@contextlib.contextmanager
def _saying_whose_spider(name: str | None) -> Iterator[None]:
    """A context in which a refusal of the spider says why it is asked for, if only NAME was
    given."""
    try:
        yield
    except InvalidArgument as error:
        if not name or not str(error).startswith("spider: "):
            raise
        raise InvalidArgument(
            f"{error}. A task has the spider of its own name; for another one, give --spider"
        ) from None


def _whole(master: str, project: str, digest: str) -> str:
    """Return the digest of the bundle that begins so, as `crawler projects` shows it."""
    with connected(master) as client:
        version = client.project(project, CALL).project.named(digest)
    if version is None:
        raise Unusable(
            f"--bundle: no version {digest!r} is kept of project {project}; "
            f"`crawler projects {project}` shows those that are"
        )
    return version.digest


def _fields(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task as a client would send it. Raises Unusable."""
    given = {"name": name, "spider": name, **options}
    parameters = parameters_of(given.pop("arguments", ()), given.pop("settings", ()))
    if "constraints" in given:
        given["constraints"] = _constraints(given["constraints"])
    return {**given, "parameters": parameters}


def _constraints(text: str) -> Any:
    """Return constraints from JSON, or from the file of that name. Raises Unusable."""
    if text.lstrip().startswith("{"):
        return document("--constraints", text)
    try:
        with open(text, encoding="utf-8") as file:
            return document_of("--constraints", file)
    except OSError as error:
        raise Unusable(f"--constraints {text}: {error.strerror}; give a file or JSON") from None


def _of_file(file: IO[str], waits: bool) -> Iterator[Wish]:
    """Yield the tasks of a file. All must be well formed before the first is added. Raises
    Unusable."""
    found = document_of("-f", file)
    for at, given in enumerate(found if isinstance(found, list) else [found]):
        place = f"-f {file.name}: " + (f"[{at}]: " if isinstance(found, list) else "")
        if not isinstance(given, dict):
            raise Unusable(f"{place}is no task; allowed is a map of fields, such as name")
        yield _wish(given, waits, place)


def _wish(given: Mapping[str, Any], waits: bool, place: str = "") -> Wish:
    try:
        spec, its_own = task_schemas.load_addition(given)
    except InvalidArgument as error:
        raise Unusable(f"{place}{error}") from None
    return Wish(spec, waits or its_own)


def _added(client: Client, wish: Wish, as_json: bool, is_one_of_many: bool) -> bool:
    """Add a task, and show what became of it. One of many that is refused is told of, and the
    others are added. Returns whether it is there. Raises CrawlerError."""
    warn_of_texts_with_secrets(wish.spec.parameters)
    try:
        submission = _submit(client, wish)
    except Rejected as error:
        if not is_one_of_many:
            raise
        click.echo(f"crawler: {wish.spec.name}: {error}", err=True)
        return False
    if as_json:
        show_json({**bodies.resource(submission.resource), "new": submission.new})
    else:
        click.echo(_told(submission))
    return True


def _submit(client: Client, wish: Wish) -> Submission:
    """Raises AlreadyExists, which says what differs."""
    try:
        return client.submit(wish.spec, CALL, wish.waits)
    except AlreadyExists as error:
        differing = _differing(client, wish.spec)
        if not differing:
            raise
        name = wish.spec.name
        raise AlreadyExists(
            f"task {name!r} exists with another specification: {differing}; change it with"
            f" crawler update {name}, or choose another name"
        ) from error


def _differing(client: Client, wanted: Spec) -> str:
    """Return how a task differs from the one that is wanted; empty if that cannot be told."""
    try:
        present = client.get(wanted.name, CALL).spec
    except (Rejected, Retryable):
        return ""
    has, wants = (dict(_flat(_comparable(spec))) for spec in (present, wanted))
    return "; ".join(
        f"{path} is {_shown(has.get(path))}, and you gave {_shown(wants.get(path))}"
        for path in sorted(has.keys() | wants.keys())
        if has.get(path) != wants.get(path)
    )


def _comparable(spec: Spec) -> dict[str, Any]:
    asked = constraint_json.write(spec.constraints)
    return {
        "spider": spec.spider_name,
        "priority": spec.priority,
        "retries": spec.retries,
        "workers": spec.workers,
        "isolated": spec.isolated,
        "project": spec.project,
        "bundle": spec.bundle,
        "labels": spec.labels,
        "parameters": spec.parameters,
        "constraints": {key: value for key, value in asked.items() if value},
    }


def _flat(given: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested maps by their paths, as `crawler update --set` names them."""
    for key, value in given.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _shown(value: Any) -> str:
    return NONE if value is None else bodies.write(value).decode()


def _told(submission: Submission) -> str:
    """Return what became of a task."""
    found = submission.resource
    if submission.new:
        return f"{found.name} is added; {_where(found)}"
    return f"{found.name} is there already, the same; {_where(found)}"


def _where(found: Resource) -> str:
    """Return which worker has a task, or why it waits."""
    reason = f": {found.told_reason}" if found.told_reason else ""
    if found.state.finished:
        return f"it is {found.state.value}{reason}; to run it once more: crawler again {found.name}"
    if found.owner is None:
        return f"it waits{reason}; more: crawler explain {found.name}"
    return f"it is {found.state.value} on {found.owner.node_id} ({found.owner.address})"

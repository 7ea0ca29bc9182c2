"""Commands about projects: deploy one, show them and their versions, and roll one back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from crawler.api.backend import Call
from crawler.api.http import bodies
from crawler.api.rpc.client import Client
from crawler.api.rpc.project_calls import Upload
from crawler.cli.as_json import JSON, JSON_LINES, show_json, show_json_lines
from crawler.cli.base import Unusable, commands, show_table, shown_time
from crawler.cli.bundles import show_comparison, show_files
from crawler.cli.master import CALL, MASTER, connected
from crawler.deploy.bundle import Bundle
from crawler.deploy.packing import packed
from crawler.deploy.places import write_whole
from crawler.errors import InvalidArgument, NotFound, Unavailable
from crawler.model.projects import (
    PROJECT_WORDS,
    SHORT,
    Project,
    ProjectView,
    Version,
    is_project_name,
)
from crawler.plural import counted

SENDING = Call(300.0)
"""How a bundle is sent: it may be large, and the way slow."""

ROLL = click.option(
    "--roll",
    is_flag=True,
    help="Let the runs under way go on with that code: they stop, and keep what they have to do.",
)


@commands.command()
@MASTER
@click.argument(
    "folder", default=".", type=click.Path(exists=True, path_type=Path), metavar="[FOLDER|WHEEL]"
)
@click.option("--project", required=True, metavar="NAME", help="The name of the project.")
@ROLL
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Only write the bundle to FILE, for an upload later.",
)
@JSON
def deploy(
    master: str, folder: Path, project: str, roll: bool, out: Path | None, as_json: bool
) -> None:
    """Deploy the spiders of FOLDER, or of a wheel, with its settings and requirements.

    Tasks that name the project run this code from their next run on. A project whose spiders cannot
    be loaded, or whose requirements do not go together, is refused.
    """
    if out is not None and roll:
        raise click.UsageError("--roll is for a deployment; with --out nothing is deployed")
    if not is_project_name(project):
        raise Unusable(f"--project: {project!r} is not allowed; allowed are {PROJECT_WORDS}")
    try:
        if out is not None:
            return _write(folder, project, out, as_json)
        with packed(folder, project, _tell) as made, connected(master) as client:
            before = _before(client, project)
            _tell(f"sending {_size(made.bytes)} to {master}")
            after = client.upload(Upload(project, made.path, roll), SENDING)
            _show(made, before, after, roll, as_json)
    except (InvalidArgument, Unavailable) as error:
        raise Unusable(str(error)) from None


@commands.command()
@MASTER
@click.argument("name", required=False)
@click.option("--delete", is_flag=True, help="Delete the project NAME, which no task needs.")
@click.option("--files", is_flag=True, help="Show what is in a version.")
@click.option("--diff", is_flag=True, help="Show what is different in a version.")
@click.option("--version", "digest", default="", metavar="DIGEST", help="Not the current version.")
@click.option(
    "--since", default="", metavar="DIGEST", help="With --diff: from this version, not the last."
)
@JSON_LINES
def projects(
    master: str,
    name: str | None,
    delete: bool,
    files: bool,
    diff: bool,
    digest: str,
    since: str,
    as_json: bool,
) -> None:
    """List the deployed projects, or the versions of the project NAME."""
    given = {"--delete": delete, "--files": files, "--diff": diff}
    for option in (option for option in given if given[option] and name is None):
        raise click.UsageError(f"{option} needs the NAME of a project")
    if sum(given.values()) > 1 or (digest and not (files or diff)) or (since and not diff):
        raise click.UsageError(
            "give one of --delete, --files and --diff; --version goes with the last two, and "
            "--since with --diff"
        )
    with connected(master) as client:
        if files and name is not None:
            return show_files(client.bundle_files(name, digest, CALL), as_json)
        if diff and name is not None:
            return show_comparison(client.compare(name, digest, since, CALL), as_json)
        if delete and name is not None:
            client.delete_project(name, CALL)
            return click.echo(f"project {name} is deleted")
        found = client.projects(CALL) if name is None else [client.project(name, CALL)]
    if as_json:
        return show_json_lines(map(bodies.project, found))
    if name is not None:
        return show_table(
            ("", "DIGEST", "DEPLOYED", "BY", "SIZE", "PACKAGES", "SPIDERS"),
            _versions(found[0].project),
        )
    if not found:
        return click.echo("no projects; crawler deploy FOLDER --project NAME deploys one")
    show_table(("NAME", "DIGEST", "DEPLOYED", "BY", "VERSIONS", "SPIDERS"), _rows(found))


@commands.command()
@MASTER
@click.argument("name")
@click.argument("digest", default="")
@ROLL
@JSON
def rollback(master: str, name: str, digest: str, roll: bool, as_json: bool) -> None:
    """Let the project NAME run another version: that of DIGEST, or the one before."""
    with connected(master) as client:
        found = client.rollback(name, digest, roll, CALL)
    if as_json:
        return show_json(bodies.project(found))
    click.echo(f"project {name} runs {found.project.current[:SHORT]} from the next run on")
    _show_rolled(found, roll)


def _write(folder: Path, project: str, out: Path, as_json: bool) -> None:
    """Write a bundle to a file, which is there as a whole or not at all."""
    with packed(folder, project, _tell) as made:
        try:
            with made.path.open("rb") as source:
                write_whole(source, made.digest, out)
        except OSError as error:
            raise Unusable(f"--out: {out}: {error.strerror or error}; choose another") from None
        if as_json:
            told = {"project": project, "digest": made.digest, "file": str(out)}
            return show_json(told | {"bytes": made.bytes, "spiders": list(made.manifest.spiders)})
        click.echo(f"{out} has {made.digest[:SHORT]} of project {project}: {_size(made.bytes)}")
        click.echo(f"to deploy it: POST it to /crawler/projects/{project}/bundles of a master")


def _before(client: Client, project: str) -> Version | None:
    """Return the version that the project had until now."""
    try:
        found = client.project(project, CALL).project
    except NotFound:
        return None
    return found.version(found.current)


def _show(
    made: Bundle, before: Version | None, after: ProjectView, roll: bool, as_json: bool
) -> None:
    if as_json:
        return show_json(bodies.project(after))
    name, spiders = made.manifest.project, made.manifest.spiders
    if before is not None and before.digest == made.digest:
        click.echo(f"project {name} runs {made.digest[:SHORT]} already; nothing has changed")
    else:
        was = f" (before: {before.digest[:SHORT]})" if before else ""
        click.echo(f"project {name} runs {made.digest[:SHORT]} from the next run on{was}")
    click.echo(f"{counted(len(spiders), 'spider')}: {', '.join(spiders)}")
    for change in _changes(before, spiders):
        click.echo(change)
    _show_rolled(after, roll)


def _changes(before: Version | None, spiders: Sequence[str]) -> Iterator[str]:
    """Yield which spiders came and went."""
    if before is None:
        return
    for word, names in (
        ("new", set(spiders) - set(before.spiders)),
        ("gone", set(before.spiders) - set(spiders)),
    ):
        if names:
            yield f"{word}: {', '.join(sorted(names))}"


def _show_rolled(view: ProjectView, roll: bool) -> None:
    if roll:
        goes = "goes" if view.rolled == 1 else "go"
        click.echo(f"{counted(view.rolled, 'run')} under way {goes} on with it")
    else:
        click.echo("runs under way stay on what they have; --roll lets them go on with it")


def _rows(found: Sequence[ProjectView]) -> Iterator[tuple[str, ...]]:
    for view in found:
        project = view.project
        version = project.version(project.current) or Version(project.current)
        yield (
            project.name,
            version.digest[:SHORT],
            shown_time(version.at_ns),
            version.by,
            str(len(project.versions)),
            ", ".join(version.spiders),
        )


def _versions(project: Project) -> Iterator[tuple[str, ...]]:
    for each in project.versions:
        yield (
            "*" if each.digest == project.current else "",
            each.digest[:SHORT],
            shown_time(each.at_ns),
            each.by,
            _size(each.bytes),
            str(each.requirements),
            ", ".join(each.spiders),
        )


def _size(bytes: int) -> str:
    return f"{bytes / 1e6:.1f} MB" if bytes >= 100_000 else f"{bytes / 1000:.1f} kB"


def _tell(what: str) -> None:
    click.echo(f"crawler: {what}", err=True)

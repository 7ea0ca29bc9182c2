"""Commands about schedules: when a task begins, again and again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from crawler.api import fields
from crawler.cli.base import commands, labels_option, show_table, shown_time
from crawler.cli.given import ARGUMENTS, SETTINGS, parameters_of, warn_of_texts_with_secrets
from crawler.cli.master import CALL, MASTER, connected
from crawler.model.schedules import Overlap, ScheduleView
from crawler.schemas import constraint_json
from crawler.schemas.schedule_schemas import load_schedule


@commands.group()
def schedule() -> None:
    """Let tasks begin at set times: add, list, show, pause, resume, run and delete schedules."""


@schedule.command()
@MASTER
@click.argument("name")
@click.argument("when")
@click.option("--time-zone", default="UTC", help="Whose clocks count, as Europe/Berlin.")
@click.option("--task", help="The name of the task, if it is not NAME.")
@click.option("--spider", default="", help="The spider, if it is not named like the task.")
@click.option("--project", default="", help="The deployed project that has its spider.")
@ARGUMENTS
@SETTINGS
@click.option(
    "--parameters", default="{}", metavar="JSON", help="All that is given to the spider, as JSON."
)
@labels_option("A label of the task.")
@click.option("--priority", type=int, default=0)
@click.option("--retries", type=int, default=0)
@click.option(
    "--overlap",
    type=click.Choice([each.value for each in Overlap]),
    default=Overlap.SKIP.value,
    help="While the run before goes on: skip the time, let one wait, replace the run, or allow "
    "several, each as a task of its own.",
)
@click.option("--jitter", type=float, default=0.0, help="Spread by name over so many seconds.")
@click.option("--catch-up", type=float, default=3600.0, help="How late a missed time still counts.")
@click.option("--paused", is_flag=True, help="Begin nothing until it is resumed.")
@click.option("--update", is_flag=True, help="Change the schedule NAME, which exists.")
def add(master: str, name: str, when: str, update: bool, **given: Any) -> None:
    """Let a task begin WHEN: "30 3 * * *" (minute, hour, day, month, day of the week), "@every
    10m", or "@at 2026-12-24T18:00".

    The task is added at the first time, and begins anew at each further one.
    """
    wish = load_schedule(_given(name, when, given))
    warn_of_texts_with_secrets(wish.task.parameters)
    with connected(master) as client:
        made = client.update_schedule(wish, CALL) if update else client.add_schedule(wish, CALL)
    _show(made)


@schedule.command(name="list")
@MASTER
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(master: str, as_json: bool) -> None:
    """List the schedules, and when each fires next."""
    with connected(master) as client:
        found = client.schedules(CALL)
    if as_json:
        click.echo(json.dumps([_told(each) for each in found], indent=2))
    elif not found:
        click.echo("no schedules; crawler schedule add NAME WHEN adds one")
    else:
        show_table(("NAME", "WHEN", "ZONE", "TASK", "NEXT", "LAST"), map(_row, found))


@schedule.command()
@MASTER
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(master: str, name: str, as_json: bool) -> None:
    """Show the schedule NAME and the next five times at which it fires."""
    with connected(master) as client:
        found = client.schedule(name, CALL)
    if as_json:
        click.echo(json.dumps(_told(found), indent=2))
    else:
        _show(found)


@schedule.command()
@MASTER
@click.argument("name")
def pause(master: str, name: str) -> None:
    """Let the schedule NAME begin nothing until it is resumed. A run under way goes on."""
    with connected(master) as client:
        client.pause_schedule(name, CALL)
    click.echo(f"schedule {name} is paused; crawler schedule resume {name} lets it go on")


@schedule.command()
@MASTER
@click.argument("name")
def resume(master: str, name: str) -> None:
    """Let the schedule NAME go on. Times during the pause are not caught up."""
    with connected(master) as client:
        _show(client.resume_schedule(name, CALL))


@schedule.command()
@MASTER
@click.argument("name")
def run(master: str, name: str) -> None:
    """Begin the task of the schedule NAME now. Its next times stay."""
    with connected(master) as client:
        found = client.run_schedule(name, CALL)
    click.echo(f"schedule {name} begins task {found.schedule.wish.task.name} now")


@schedule.command()
@MASTER
@click.argument("name")
def delete(master: str, name: str) -> None:
    """Delete the schedule NAME. Its task stays, and so does a run under way."""
    with connected(master) as client:
        client.delete_schedule(name, CALL)
    click.echo(f"schedule {name} is deleted; its task stays")


def _given(name: str, when: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the fields of a schedule."""
    try:
        parameters = json.loads(given["parameters"])
    except ValueError as fault:
        raise click.BadParameter(f"{fault}; allowed is JSON", param_hint="--parameters") from None
    own = parameters_of(given["arguments"], given["settings"])
    if own and parameters:
        raise click.UsageError("--parameters says all that the spider gets; leave -a and -s out")
    task = {
        "name": given["task"] or name,
        "parameters": own or parameters,
        **{key: given[key] for key in ("spider", "project", "labels", "priority", "retries")},
    }
    return {
        "name": name,
        "when": when,
        "task": task,
        "jitter_s": given["jitter"],
        "catch_up_s": given["catch_up"],
        **{key: given[key] for key in ("time_zone", "overlap", "paused")},
    }


def _show(view: ScheduleView) -> None:
    schedule, wish = view.schedule, view.schedule.wish
    lines = {
        "schedule": wish.name,
        "when": f"{wish.when} ({wish.time_zone})",
        "task": wish.task.name,
        "overlap": wish.overlap.value,
        "jitter": f"{wish.jitter_s:g} s",
        "catches up": f"within {wish.catch_up_s:g} s",
        "last": _last(view),
        "waits": shown_time(schedule.queued_ns),
        "next": "paused" if wish.paused else view.next[0] if view.next else "never again",
    }
    for key, value in lines.items():
        if value:
            click.echo(f"{key:<12}{value}")
    for each in view.next[1:]:
        click.echo(f"{'':<12}{each}")


def _row(view: ScheduleView) -> tuple[str, ...]:
    wish = view.schedule.wish
    next = "paused" if wish.paused else view.next[0] if view.next else "never"
    return (wish.name, wish.when, wish.time_zone, wish.task.name, next, _last(view))


def _last(view: ScheduleView) -> str:
    schedule = view.schedule
    return " ".join(filter(None, (shown_time(schedule.fired_ns), schedule.outcome)))


def _told(view: ScheduleView) -> Mapping[str, Any]:
    found = dict(fields.of_schedule(view))
    task = view.schedule.wish.task
    asked = constraint_json.write(task.constraints)
    return {**found, "task": {**fields.of_spec(task), "constraints": asked}}

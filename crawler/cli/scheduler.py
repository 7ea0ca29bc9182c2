"""Commands that show the policy of a running cluster, and change it."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from crawler.api.http import bodies
from crawler.cli.as_json import JSON, show_json
from crawler.cli.base import CONFIG, commands, show_table
from crawler.cli.dry_run import DRY_RUN_S, show_dry_run
from crawler.cli.master import CALL, MASTER, connected
from crawler.model.policy import PolicyChange, SchedulerView

OWN = "default"
"""As a weight it means the plugin's own."""

DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Only show what the scheduler would do; nothing changes."
)


@commands.command()
@MASTER
@click.option("--disable", metavar="NAME", multiple=True, help="Turn this plugin off.")
@click.option("--enable", metavar="NAME", multiple=True, help="Turn this plugin on.")
@click.option(
    "--weight",
    metavar="NAME=N",
    multiple=True,
    help=f"Weight of the plugin's points; {OWN} is the plugin's own.",
)
@click.option(
    "--offline", is_flag=True, help="List the plugins that are installed here, without a cluster."
)
@DRY_RUN
@CONFIG
@JSON
def plugins(
    master: str,
    disable: tuple[str, ...],
    enable: tuple[str, ...],
    weight: tuple[str, ...],
    offline: bool,
    dry_run: bool,
    file: str | None,
    as_json: bool,
) -> None:
    """List the plugins of the scheduler, or switch some for the whole cluster."""
    wanted = bool(disable or enable or weight)
    if offline:
        if wanted:
            raise click.UsageError(
                "--offline only lists plugins; to switch one, leave --offline out"
            )
        return _show(_installed(file), as_json)
    if dry_run and not wanted:
        raise click.UsageError("--dry-run tries a change: give --disable, --enable or --weight too")
    change = PolicyChange(
        disable=frozenset(disable),
        enable=frozenset(enable),
        weigh=dict(_weight(text) for text in weight),
    )
    if dry_run:
        return _try(master, change, as_json)
    with connected(master) as client:
        view = client.update_scheduler(change, CALL) if wanted else client.scheduler(CALL)
    _show(view, as_json)


@commands.command()
@MASTER
@click.argument("name", required=False)
@click.option("--reset", is_flag=True, help="Go back to the policy of the leader's settings.")
@DRY_RUN
@JSON
def strategy(master: str, name: str | None, reset: bool, dry_run: bool, as_json: bool) -> None:
    """Show the strategy in force, or switch to NAME from the next pass on."""
    if name and reset:
        raise click.UsageError("give the name of a strategy, or --reset")
    if dry_run:
        if not name:
            raise click.UsageError("--dry-run tries a change: give the name of a strategy")
        return _try(master, PolicyChange(strategy=name), as_json)
    with connected(master) as client:
        if reset:
            view = client.reset_scheduler(CALL)
        elif name:
            view = client.update_scheduler(PolicyChange(strategy=name), CALL)
        else:
            view = client.scheduler(CALL)
    if as_json:
        return show_json(bodies.scheduler(view))
    for each in view.strategies:
        click.echo(f"{'*' if each == view.policy.strategy else ' '} {each}")
    _tell_origin(view)


def _try(master: str, change: PolicyChange, as_json: bool) -> None:
    """Show what the scheduler would do after a change."""
    with connected(master) as client:
        found = client.dry_run(change, replace(CALL, timeout_s=DRY_RUN_S))
    if as_json:
        return show_json(bodies.dry_run(found))
    show_dry_run(found)


def _weight(text: str) -> tuple[str, float | None]:
    name, _, value = text.partition("=")
    try:
        return name, None if value == OWN else float(value)
    except ValueError:
        raise click.BadParameter(
            f"--weight {text!r} is not allowed; allowed is NAME=NUMBER or NAME={OWN}"
        ) from None


def _installed(file: str | None) -> SchedulerView:
    """Return the plugins that a master with these settings would load. Raises ConfigError."""
    from crawler.node.master.policy import view
    from crawler.scheduler.framework import Framework
    from crawler.settings import config

    settings = config.load(file, os.environ).scheduler
    framework = Framework(
        settings.strategy,
        settings.plugins,
        disabled=settings.disabled,
        weights=settings.weights,
    )
    return view(framework, framework.own)


def _show(view: SchedulerView, as_json: bool) -> None:
    if as_json:
        return show_json(bodies.scheduler(view))
    headers = ["NAME", "ON", "WEIGHT", "CALLS", "FAILED", "SLOW", "SECONDS", "SOURCE", "HOOKS"]
    rows = [
        (
            *(plugin.name, plugin.on, plugin.weight, plugin.calls, plugin.failures, plugin.slow),
            *(plugin.seconds, plugin.source, " ".join(plugin.hooks)),
        )
        for plugin in view.plugins
    ]
    show_table(headers, rows)
    click.echo(f"\nstrategy: {view.policy.strategy}; available: {', '.join(view.strategies)}")
    _tell_origin(view)


def _tell_origin(view: SchedulerView) -> None:
    """Show where the policy comes from."""
    if view.fault:
        click.echo(f"the stored policy is not in force: {view.fault}")
    elif view.switched:
        click.echo("switched for the cluster; crawler strategy --reset goes back to the settings")

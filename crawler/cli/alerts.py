"""Commands about alerts: what is the matter, who is told of what, and whether that works."""

from __future__ import annotations

from collections.abc import Mapping

import click

from crawler.api.http import bodies
from crawler.cli.as_json import JSON, JSON_LINES, show_json, show_json_lines
from crawler.cli.base import commands, labels_option, show_table, shown_time
from crawler.cli.master import CALL, MASTER, connected
from crawler.model.alerts import Alert, AlertRule, When
from crawler.schemas.alert_schemas import load_rule

USUAL = "with 0, what docs/alerts.md says of WHEN."
"""What a number means that is not given."""


@commands.command()
@MASTER
@click.option("--firing", is_flag=True, help="Leave out those that are over.")
@JSON_LINES
def alerts(master: str, firing: bool, as_json: bool) -> None:
    """List what is the matter now, and what was over lately."""
    with connected(master) as client:
        found = [each for each in client.alerts(CALL) if each.fires or not firing]
    if as_json:
        return show_json_lines(map(bodies.alert, found))
    if not found:
        click.echo("no alerts")
        return
    headers = ("STATE", "RULE", "SUBJECT", "SINCE", "OVER", "NOT TOLD YET", "TEXT")
    show_table(headers, map(_alert_row, found))


@commands.group()
def alert() -> None:
    """Set, list and delete the rules of alerts, and test their channels."""


@alert.command()
@MASTER
@click.argument("channel")
def test(master: str, channel: str) -> None:
    """Send a message to CHANNEL that says that it is a test."""
    with connected(master) as client:
        client.test_alert(channel, CALL)
    click.echo(f"channel {channel} took the message")


@alert.group()
def rule() -> None:
    """Set, list and delete the rules of alerts."""


@rule.command(name="set")
@MASTER
@click.argument("name")
@click.argument("when", type=click.Choice([each.value for each in When]))
@labels_option("A label that a task must have.")
@click.option("--channel", "channels", multiple=True, help="Who is told; without any, all are.")
@click.option("--limit", type=float, default=0.0, help=f"What is too much or too little; {USUAL}")
@click.option(
    "--for", "for_s", type=float, default=0.0, help=f"For how many seconds it must last; {USUAL}"
)
@JSON
def set_(
    master: str,
    name: str,
    when: str,
    labels: Mapping[str, str],
    channels: tuple[str, ...],
    limit: float,
    for_s: float,
    as_json: bool,
) -> None:
    """Set the rule NAME, which watches for WHEN. It replaces one of that name."""
    given = {"name": name, "when": when, "labels": dict(labels), "channels": list(channels)}
    wish = load_rule({**given, "limit": limit, "for_s": for_s})
    with connected(master) as client:
        found = client.set_alert_rule(wish, CALL)
    if as_json:
        show_json(bodies.alert_rule(found))
    else:
        click.echo(f"rule {name} is set; crawler alerts shows what it finds")


@rule.command(name="list")
@MASTER
@JSON_LINES
def list_(master: str, as_json: bool) -> None:
    """List the rules, also those of the settings."""
    with connected(master) as client:
        found = client.alert_rules(CALL)
    if as_json:
        return show_json_lines(map(bodies.alert_rule, found))
    if not found:
        click.echo("no rules; crawler alert rule set NAME WHEN sets one")
        return
    show_table(("NAME", "WHEN", "LABELS", "LIMIT", "FOR", "CHANNELS", "BY"), map(_rule_row, found))


@rule.command()
@MASTER
@click.argument("name")
def delete(master: str, name: str) -> None:
    """Delete the rule NAME. What it found is forgotten."""
    with connected(master) as client:
        client.delete_alert_rule(name, CALL)
    click.echo(f"rule {name} is deleted")


def _alert_row(found: Alert) -> tuple[str, ...]:
    state = "firing" if found.fires else "recovered"
    text = found.text if found.fires else f"{found.recovery} ({found.text})"
    times = (shown_time(found.since_ns), shown_time(found.recovered_ns))
    return (state, found.rule, found.subject, *times, ", ".join(found.owed), text)


def _rule_row(found: AlertRule) -> tuple[str, ...]:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(found.labels.items()))
    channels = ", ".join(found.channels) or "all"
    limit, lasting = f"{found.bound:g}" if found.bound else "", f"{found.patience_s:g} s"
    by = found.set_by or "the settings"
    return (found.name, found.when.value, labels, limit, lasting, channels, by)

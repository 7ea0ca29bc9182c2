"""The command that shows what people did with a cluster."""

from __future__ import annotations

import json

import click

from crawler.cli.base import commands, show_table
from crawler.cli.master import CALL, MASTER, connected
from crawler.model.audit import DEFAULT_LIMIT, MOST_RECORDS, AuditRecord, told

_HEADERS = ["time", "who", "role", "from", "action", "object", "detail", "outcome", "reason"]


@commands.command()
@MASTER
@click.option("--limit", type=click.IntRange(1, MOST_RECORDS), default=DEFAULT_LIMIT)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def audit(master: str, limit: int, as_json: bool) -> None:
    """Show who changed what lately, from where, and with which outcome. The latest is the last.

    The leader tells what it has seen. The files of the setting logs.audit have all. Tasks that were
    added are recorded only with the setting logs.audit_adds.
    """
    with connected(master) as client:
        found = client.audit(limit, CALL)
    if as_json:
        for record in found:
            click.echo(json.dumps(told(record)))
    elif found:
        show_table(_HEADERS, map(_row, found))
    else:
        click.echo("nothing was changed or refused since this master began to lead")


def _row(record: AuditRecord) -> tuple[object, ...]:
    shown = told(record)
    outcome = f"{record.outcome} ({record.count})" if record.count > 1 else record.outcome
    return tuple({**shown, "outcome": outcome}.get(name, "") for name in _HEADERS)

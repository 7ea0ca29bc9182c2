"""Shows what the scheduler would do after a change of its policy."""

from __future__ import annotations

from collections.abc import Sequence

import click

from crawler.cli.base import show_table
from crawler.model.policy import DryRun, Move
from crawler.plural import counted

DRY_RUN_S = 60.0
"""How long a dry run may take. A leader with 100,000 tasks needs some seconds."""

MOST_SHOWN = 10
"""How many tasks of a kind are shown. JSON has more."""


def show_dry_run(found: DryRun) -> None:
    """Show what would happen at once, and what would happen only if tasks were placed again."""
    click.echo("dry run: nothing was changed\n")
    rows = [(each.node_id, each.now, each.after_pass, each.anew) for each in found.workers]
    show_table(["WORKER", "TASKS NOW", "AFTER THE PASS", "ALL PLACED AGAIN"], rows)
    click.echo(f"\nThe next pass would place {found.placed} of {_waiting(found)}.")
    _show_moves(found.placements, found.placed)
    _show_moves(found.left, found.waiting - found.placed)
    click.echo(
        "\nTasks that have a worker stay there: a change of the policy moves none of them.\n"
        f"If each were placed again, {found.moved} of {counted(found.checked, 'task')} would get "
        "another worker."
    )
    _show_moves(found.moves, found.moved)
    if found.checked < found.owned:
        missing = counted(found.owned - found.checked, "more task")
        click.echo(f"{missing} could not be asked about before the time was over.")
    for fault in found.faults:
        about = f" about {fault.worker}" if fault.worker else ""
        click.echo(f"the plugin {fault.plugin} failed{about} and was skipped: {fault.error}")


def _waiting(found: DryRun) -> str:
    return f"{counted(found.waiting, 'task')} that {'waits' if found.waiting == 1 else 'wait'}"


def _show_moves(moves: Sequence[Move], all: int) -> None:
    for move in moves[:MOST_SHOWN]:
        to = move.after or f"no worker ({move.reason or 'not asked'})"
        click.echo(f"  {move.name}: {move.before or 'waits'} → {to}")
    shown = min(len(moves), MOST_SHOWN)
    if all > shown > 0:
        click.echo(f"  … and {all - shown} more")

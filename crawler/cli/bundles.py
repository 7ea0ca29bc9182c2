"""Shows what is in the bundle of a project, and how two differ."""

from __future__ import annotations

import click

from crawler.api.http import bodies
from crawler.cli.as_json import show_json
from crawler.cli.base import show_table
from crawler.model.projects import SHORT, BundleFiles, Comparison, FileChange


def show_files(found: BundleFiles, as_json: bool) -> None:
    """Show what is in a bundle."""
    if as_json:
        return show_json(bodies.bundle_files(found))
    show_table(("BYTES", "FILE"), [(each.bytes, each.name) for each in found.files])
    if found.total > len(found.files):
        click.echo(f"… and {found.total - len(found.files)} more")


def show_comparison(found: Comparison, as_json: bool) -> None:
    """Show how two bundles differ: first which files and packages, then the lines."""
    if as_json:
        return show_json(bodies.comparison(found))
    click.echo(f"{found.before[:SHORT]} → {found.after[:SHORT]}")
    if not found.changed and not found.packages:
        return click.echo("nothing is different")
    for change in found.files:
        note = f" ({change.note})" if change.note else ""
        click.echo(f"{_kind(change)} {change.name}: {_sizes(change)}{note}")
    if found.changed > len(found.files):
        click.echo(f"… and {found.changed - len(found.files)} more")
    for package in found.packages:
        click.echo(f"package {package.name}: {package.before or 'new'} → {package.after or 'gone'}")
    for change in found.files:
        if change.diff:
            click.echo(f"\n{change.diff}", nl=False)


def _kind(change: FileChange) -> str:
    if change.before is None:
        return "new"
    return "gone" if change.after is None else "changed"


def _sizes(change: FileChange) -> str:
    told = [f"{each:,} bytes" for each in (change.before, change.after) if each is not None]
    return " → ".join(told)

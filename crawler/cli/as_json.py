"""How commands show what programs read: JSON with the names of the HTTP interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from crawler.api.http import bodies

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

JSON: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, as over HTTP."
)
JSON_LINES: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a line, as over HTTP."
)


def show_json(value: Any) -> None:
    """Print a body of the HTTP interface as one line."""
    click.echo(bodies.write(value).decode())


def show_json_lines(values: Iterable[Any]) -> None:
    """Print each of these bodies as a line."""
    for value in values:
        show_json(value)

"""`crawler completion`: the script with which a shell completes commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from crawler.cli.base import commands

VARIABLE = "_CRAWLER_COMPLETE"
"""The variable with which the script asks for completions."""

PROGRAM = "crawler"


@commands.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which SHELL completes commands, options and the names of tasks.

    \b
    bash: echo 'eval "$(crawler completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(crawler completion zsh)"' >> ~/.zshrc
    fish: crawler completion fish > ~/.config/fish/completions/crawler.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click has these three
    click.echo(kind(commands, {}, PROGRAM, VARIABLE).source())

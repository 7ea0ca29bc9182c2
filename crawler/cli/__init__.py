"""The command line. It parses, calls, and turns errors into a message and an exit status.

Status 0: done. 1: something failed. 2: bad usage or settings, and nothing was started. 130: SIGINT
or SIGTERM ended it before it was done.
"""

from __future__ import annotations

import click

from crawler.cli.base import BAD_SETTINGS, FAILED, INTERRUPTED, INTERRUPTED_TEXT, commands
from crawler.errors import ConfigError, CrawlerError

__all__ = ["main"]


def main() -> int:
    """Run the command line of this process. Return its exit status."""
    try:
        return int(commands.main(standalone_mode=False, prog_name="crawler") or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(INTERRUPTED_TEXT, err=True)
        return INTERRUPTED
    except ConfigError as error:
        click.echo(f"crawler: bad settings, nothing was started:\n{error}", err=True)
        return BAD_SETTINGS
    except (CrawlerError, OSError) as error:
        click.echo(f"crawler: {error}", err=True)
        return FAILED

"""`crawler certs create`: an authority of its own and certificates for the hosts of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from crawler.cli.base import commands


@commands.group()
def certs() -> None:
    """Make the certificates of a small cluster."""


@certs.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--host",
    "hosts",
    metavar="NAME",
    multiple=True,
    required=True,
    help="A host name or IP address of a node. Give it once for each node.",
)
@click.option("--name", default="", help="One certificate for all these hosts, under this name.")
def create(folder: Path, hosts: Sequence[str], name: str) -> None:
    """Make an authority in FOLDER, and by it a certificate for each host.

    With an authority in FOLDER already, this one makes the certificates: for new hosts, and anew
    for those that have one. A certificate also names localhost, for commands on the same machine.
    """
    from crawler.local.authority import Authority, check  # imports cryptography

    folder = folder.resolve()
    names = {name: hosts} if name else {host: [host] for host in hosts}
    check(names)
    authority = Authority.in_folder(folder)
    made = [authority.issue(each, named) for each, named in names.items()]
    about = "a new authority" if authority.is_new else "the authority that was there"
    click.echo(f"{folder / 'ca.pem'}: {about}, until {authority.expires:%Y-%m-%d}")
    for issued in made:
        click.echo(f"{issued.cert}: {', '.join(issued.hosts)}, until {issued.expires:%Y-%m-%d}")
    first = made[0]
    click.echo(
        f"\nNext: bring ca.pem, the certificate and the key of each host to that host, and set\n\n"
        f"  tls:\n    ca: {folder / 'ca.pem'}\n    cert: {first.cert}\n    key: {first.key}\n\n"
        f"Commands need the authority alone: --tls-ca {folder / 'ca.pem'}, or CRAWLER_TLS_CA.\n"
        f"Keep {folder / 'ca.key'} off the nodes: who has it can make certificates.\n"
        "The same command makes certificates anew; nodes read them without a restart."
    )

"""What the program says about itself, as the files of deploy/ must say it too; and the image."""

from __future__ import annotations

import re

from crawler.cli.index import INDEX
from crawler.node.node import DEFAULT_PORTS
from crawler.settings import config
from tests.source import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
BUILD, IMAGE = DOCKERFILE.split("\nFROM ")[1:]
"""Its two stages."""
ROLES = ("master", "worker")
DATA = "/var/lib/crawler"
"""The only folder to which a deployed node writes, besides /tmp."""
ITEMS_S = 5.0
"""How long the last items of a stopping node may take (docs/operations.md)."""


def ports_of(role):
    """The ports of HTTP and gRPC on which a node of that role listens."""
    return tuple(int(address.removeprefix(":")) for address in DEFAULT_PORTS[role])


def assert_writes_below_the_data(settings):
    """All that a worker keeps is in the one folder that outlives it."""
    for folder in (
        *(settings.worker.items, settings.worker.cache_folder, settings.frontier.folder),
        *(settings.deploy.folder, settings.logs.folder),
    ):
        assert folder.startswith(f"{DATA}/")


def assert_keeps_its_history(settings):
    """A master writes its history to that folder, or not at all."""
    assert settings.history.url in ("", f"sqlite:///{DATA}/history.db")


def assert_has_time_to_stop(settings, seconds):
    """A service manager kills no node that stops in order."""
    assert seconds >= settings.node.drain_s + ITEMS_S + settings.node.stop_s


def assert_is_command_of(role, command):
    """The command line starts a node of that role."""
    assert command[-1] == role
    assert role in INDEX


def load(file, environment):
    """The settings of a node that is deployed with these. Unknown names and values are faults."""
    settings = config.load(str(file), environment)
    assert settings.spiders
    return settings


def instructions(name, text=IMAGE):
    """The arguments of each instruction of that name in a stage of the Dockerfile."""
    return re.findall(rf"^{name}\s+(.+)$", text, re.MULTILINE)


def variables():
    """The environment of the image."""
    return dict(word.split("=", 1) for line in instructions("ENV") for word in line.split())

"""docs/scheduling.md shows commands, strategies and settings that there are."""

import re
from pathlib import Path

from crawler.cli.base import commands
from crawler.scheduler.framework import Framework
from crawler.settings.scheduler import SchedulerSettings

TEXT = (Path(__file__).parents[2] / "docs" / "scheduling.md").read_text()


def test_every_strategy_is_described():
    described = re.findall(r"^\| `([a-z-]+)` \|", TEXT, re.MULTILINE)
    assert sorted(described) == Framework("least-load").strategies


def test_every_command_shown_is_one():
    shown = re.findall(r"(?:^\$ |`)crawler ([a-z]+)((?: [^`\n]*)?)", TEXT, re.MULTILINE)
    assert len(shown) > 10
    for name, rest in shown:
        command = commands.commands[name]
        options = {option for each in command.params for option in each.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, name


def all_commands():
    """Each command with its name. Those of a group have its name before theirs."""
    groups = list(commands.commands.items())
    while groups:
        name, command = groups.pop()
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            groups += [(f"{name} {own}", each) for own, each in inner.items()]


def test_every_command_about_a_cluster_asks_the_master_it_is_told():
    local = {"master", "worker", "run", "runspider", "parse", "shell", "demo", "up", "site"}
    local |= {"new spider", "completion", "check", "certs create", "secret key"}
    local |= {name for name, _ in all_commands() if name.startswith("frontier")}
    for name, command in all_commands():
        asks = any(option.envvar == "CRAWLER_MASTER" for option in command.params)
        assert asks == (name not in local), name


def test_every_setting_named_is_one():
    named = set(re.findall(r"`scheduler\.([a-z_]+)`", TEXT))
    assert named <= SchedulerSettings.__dataclass_fields__.keys()
    assert len(named) > 5

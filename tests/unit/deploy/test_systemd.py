"""The units of systemd: systemd itself reads them, and their settings are ours."""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from crawler.cli.base import BAD_SETTINGS
from tests.unit.deploy.facts import (
    DATA,
    DEPLOY,
    ROLES,
    assert_has_time_to_stop,
    assert_is_command_of,
    assert_keeps_its_history,
    assert_writes_below_the_data,
    load,
)

ANALYZE = shutil.which("systemd-analyze")


def text_of(role):
    return (DEPLOY / "systemd" / f"crawler-{role}.service").read_text()


def service(role):
    """Each name with its values."""
    values = defaultdict(list)
    for name, value in re.findall(r"^(\w+)=(.*)$", text_of(role), re.MULTILINE):
        values[name].append(value)
    return values


@pytest.mark.parametrize("role", ROLES)
def test_a_unit_runs_its_node_with_settings_that_the_program_knows(role):
    unit = service(role)
    assert_is_command_of(role, unit["ExecStart"][0].split())
    words = [word for line in unit["Environment"] for word in line.split()]
    environment = dict(word.split("=", 1) for word in words)
    settings = load(DEPLOY / "config.yaml", environment)
    assert_writes_below_the_data(settings)
    if role == "master":
        assert_keeps_its_history(settings)
    assert_has_time_to_stop(settings, int(unit["TimeoutStopSec"][0]))
    assert unit["StateDirectory"] == [Path(DATA).name]
    assert unit["RestartPreventExitStatus"] == [str(BAD_SETTINGS)]


def test_the_units_differ_in_their_role_alone():
    def neutral(role):
        return text_of(role).replace(role, "ROLE").replace(role.title(), "ROLE")

    assert neutral("master") == neutral("worker")


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("role", ROLES)
def test_systemd_accepts_the_unit(role, tmp_path):
    # It also looks for the program, which is in another folder here.
    unit = tmp_path / f"crawler-{role}.service"
    unit.write_text(text_of(role).replace("/opt/crawler/bin", str(Path(sys.executable).parent)))
    command = [ANALYZE, "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")

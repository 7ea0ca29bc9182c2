"""The Dockerfile and compose.yaml, as far as they can be checked without Docker."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from compose_spec import PyCompose

from crawler.api.http.server import HttpServer
from crawler.api.tls import Certificates
from crawler.clock import SystemClock
from crawler.settings.sections import Settings
from tests.source import ROOT
from tests.tls import Folder
from tests.unit.api.fakes import Master
from tests.unit.deploy.facts import (
    BUILD,
    DATA,
    DEPLOY,
    DOCKERFILE,
    IMAGE,
    ROLES,
    assert_has_time_to_stop,
    assert_is_command_of,
    assert_keeps_its_history,
    assert_writes_below_the_data,
    instructions,
    load,
    ports_of,
    variables,
)

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_image_is_built_in_a_stage_of_its_own_and_has_only_what_was_installed():
    assert instructions("COPY") == ["--from=build /opt/crawler /opt/crawler"]
    assert BUILD.startswith("python:${PYTHON}-slim AS build\n")
    assert IMAGE.startswith("python:${PYTHON}-slim\n")


def test_the_build_copies_what_a_wheel_is_made_of():
    """.dockerignore lets nothing else through."""
    copied = {word for line in instructions("COPY", BUILD) for word in line.split()[:-1]}
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert copied == allowed
    assert all(list(ROOT.glob(name)) for name in copied)
    named = set(re.findall(r"[\w-]+\.txt", DOCKERFILE))
    assert all((ROOT / name).is_file() for name in named)


def test_nothing_in_the_image_needs_a_shell():
    for name in ("RUN", "ENTRYPOINT", "CMD"):
        for text in (BUILD, IMAGE):
            for value in instructions(name, text):
                assert json.loads(value), f"{name} {value}"


def test_the_image_runs_a_node_as_a_user_without_rights():
    assert instructions("USER") == ["10001:10001"]
    [entry], [command] = instructions("ENTRYPOINT"), instructions("CMD")
    assert json.loads(entry) == ["crawler"]
    assert_is_command_of("worker", json.loads(command))
    exposed = {int(port) for port in instructions("EXPOSE")[0].split()}
    assert exposed == {port for role in ROLES for port in ports_of(role)}


def test_the_image_writes_to_its_volume_alone():
    settings = load(DEPLOY / "config.yaml", variables())
    assert_writes_below_the_data(settings)
    assert_keeps_its_history(settings)
    assert instructions("VOLUME") == [DATA]
    assert f'"-o", "10001", "-g", "10001", "{DATA}"' in IMAGE
    assert variables()["PYTHONDONTWRITEBYTECODE"] == "1"


def test_compose_follows_the_specification():
    # The merges (<<) of YAML are resolved here, as Compose does it before it checks.
    PyCompose.from_json(json.dumps(COMPOSE)).validate()


@pytest.mark.parametrize("role", ROLES)
def test_compose_runs_nodes_that_can_write_nothing_but_their_data(role):
    service = COMPOSE["services"][role]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["init"]  # a guard needs it
    assert_is_command_of(role, service["command"])
    assert f"data:{DATA}" in service["volumes"]


@pytest.mark.parametrize("role", ROLES)
def test_compose_gives_settings_that_the_program_knows(role):
    service = COMPOSE["services"][role]
    settings = load(DEPLOY / "config.yaml", variables() | service["environment"])
    assert service["environment"]["CRAWLER_CONFIG"] == "/etc/crawler/config.yaml"
    assert settings.etcd.endpoints == [f"etcd:{port_of('etcd')}"]
    assert settings.frontier.url.startswith("redis://redis:")
    assert_has_time_to_stop(settings, int(service["stop_grace_period"].removesuffix("s")))
    assert f"http://127.0.0.1:{ports_of(role)[0]}/healthz" in service["healthcheck"]["test"][-1]
    for port in service.get("ports", []):
        assert port["target"] == ports_of(role)[0]
        assert port["host_ip"] == "127.0.0.1"  # there is no authentication


def port_of(service):
    """The port of the URL that it advertises."""
    [url] = [word for word in COMPOSE["services"][service]["command"] if "--advertise" in word]
    return url.rpartition(":")[2]


def test_what_compose_asks_for_health_compiles():
    for role in ROLES:
        kind, program, flag, source = COMPOSE["services"][role]["healthcheck"]["test"]
        assert (kind, program, flag) == ("CMD", "python", "-c")
        compile(source, role, "exec")


@pytest.mark.parametrize("role", ROLES)
def test_with_tls_the_same_command_asks_over_https(role, tmp_path):
    """As docs/deploying.md and the comment at the command say."""
    folder = Folder(tmp_path)
    known = Certificates.of(Settings(tls=folder.settings, folder=str(tmp_path)), SystemClock())
    server = HttpServer("127.0.0.1", 0, Master().app, certificates=known)
    server.start()
    *_, source = COMPOSE["services"][role]["healthcheck"]["test"]
    asked = source.replace("http:", "https:").replace(f":{ports_of(role)[0]}/", f":{server.port}/")

    def status(ca):
        """How the command ends that trusts this authority."""
        environment = {**os.environ, "SSL_CERT_FILE": str(ca)}
        return subprocess.run(
            [sys.executable, "-c", asked], env=environment, capture_output=True, check=False
        )

    assert status(tmp_path / "ca.pem").returncode == 0
    (tmp_path / "other").mkdir()
    assert status(Folder(tmp_path / "other").path / "ca.pem").returncode == 1
    server.stop(0.0)

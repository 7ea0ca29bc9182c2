"""The Dockerfile and compose.yaml, as far as they can be checked without Docker."""

import json
import re

import pytest
import yaml
from compose_spec import PyCompose

from tests.source import ROOT
from tests.unit.deploy.facts import (
    BUILD,
    DATA,
    DEPLOY,
    DOCKERFILE,
    IMAGE,
    ROLES,
    assert_has_time_to_stop,
    assert_is_command_of,
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

"""docs/constraints.md shows what a client may send, and all of it."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml

from crawler.model import constraints
from crawler.schemas.task_schemas import load_spec
from crawler.settings import config

TEXT = (Path(__file__).parents[3] / "docs" / "constraints.md").read_text()
SENT = re.findall(r"^curl [^\n]* -d '(\{.+?\})'$", TEXT, re.MULTILINE | re.DOTALL)
SHOWN = re.findall(r"```json\n(.+?)```", TEXT, re.DOTALL)


def test_every_call_is_looked_at():
    assert len(SENT) == TEXT.count("curl ") == TEXT.count("```sh")
    assert len(SHOWN) == TEXT.count("```json") > 0


@pytest.mark.parametrize("text", [*SENT, *SHOWN], ids=lambda text: json.loads(text)["name"])
def test_an_example_is_taken_and_asks_for_something(text):
    spec = load_spec(json.loads(text))
    assert spec.constraints != constraints.NONE or spec.retries


def test_the_examples_have_every_field_of_the_constraints_and_their_terms():
    asked = [load_spec(json.loads(text)).constraints for text in [*SENT, *SHOWN]]
    for field in dataclasses.fields(constraints.Constraints):
        assert any(getattr(each, field.name) for each in asked), field.name
    for kind in (constraints.Expression, constraints.Neighbour, constraints.Spread):
        for field in dataclasses.fields(kind):
            name = re.sub(r"_(.)", lambda found: found[1].upper(), field.name)
            assert f'"{name}": ' in TEXT


def test_every_operator_and_effect_is_described():
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", TEXT, re.MULTILINE)
    assert rows == [operator.value for operator in constraints.Operator]
    for effect in constraints.Effect:
        assert f"`{effect.value}`" in TEXT


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.+?)```", TEXT, re.DOTALL))
def test_the_settings_of_a_worker_load(tmp_path, text):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    [(name, value)] = yaml.safe_load(text)["node"].items()
    assert getattr(config.load(str(file), {}).node, name) == value


def test_the_variables_of_a_worker_load():
    given = re.findall(r"`(CRAWLER_NODE_\w+)=([^`]+)`", TEXT)
    node = config.load(None, dict(given)).node
    assert len(given) == 3
    assert node.capacity == {"cpu": 4, "memory": 8192, "browser": 2}
    assert node.labels == {"zone": "a", "disk": "500"}
    assert node.taints == ["spot=yes:NoSchedule"]

"""The rules for Prometheus and the dashboard for Grafana: each number in them is one of a node."""

import json
import re

import pytest
import yaml

from crawler.coordination.keys import MASTER, WORKER
from tests.source import ROOT
from tests.tls import Folder
from tests.unit.api.test_operations import metrics

RULES = yaml.safe_load((ROOT / "deploy/prometheus/crawler.rules.yaml").read_text())
DASHBOARD = json.loads((ROOT / "deploy/grafana/crawler.json").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What the nodes show: the names of metrics, and the names of the labels of each."""
    folder = tmp_path_factory.mktemp("tls")
    tls = {"tls": Folder(folder).settings, "folder": folder}
    text = "".join(metrics(role, **tls) for role in (MASTER, WORKER))
    kinds = re.findall(r"^# TYPE (\w+) (\w+)", text, re.MULTILINE)
    counted = {f"{name}_count" for name, kind in kinds if kind == "histogram"}
    return {name for name, _ in kinds} | counted


def used(expression):
    """The names of metrics in a query: they are neither functions, nor labels, nor words."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|by \([^)]*\)", " ", expression)
    return set(re.findall(r"\b(?:crawler|process|python)_\w+", bare))


@pytest.mark.parametrize(
    "expression", [each["expr"] for each in (*ALERTS, *TARGETS)], ids=lambda text: text[:60]
)
def test_each_number_is_shown_by_a_node(expression, shown):
    assert used(expression)
    assert used(expression) <= shown
    assert expression.count("(") == expression.count(")")


def test_each_rule_says_what_is_wrong_and_what_to_do():
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
        # a label that a sum has dropped is empty in the text
        kept = re.findall(r"by \(([^)]*)\)", rule["expr"])
        named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        if re.match(r"(sum|max|min)\b", rule["expr"].lstrip("(")):
            assert named <= set(re.split(r", ", kept[0]) if kept else ()), rule["alert"]


def test_the_panels_of_the_dashboard_have_their_places():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + dx, place["y"] + dy)
            for dx in range(place["w"])
            for dy in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert {target["datasource"]["uid"] for target in TARGETS} == {"${datasource}"}

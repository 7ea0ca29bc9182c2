"""docs/hooks.md and the hooks say the same."""

import inspect
import re
import sys
import types
from pathlib import Path

import pytest
import yaml

from crawler.scheduler import hookspecs
from crawler.scheduler.candidate import Candidate, Domain
from crawler.scheduler.framework import SLOW_S, Framework
from crawler.scheduler.hookspecs import Cluster, Strategy, Task
from crawler.scheduler.loader import ASKED, BUILT_IN
from tests.unit.scheduler.cluster import Cluster as Workers
from tests.unit.scheduler.cluster import counts, ids, run, tasks, worker

TEXT = (Path(__file__).parents[3] / "docs" / "hooks.md").read_text()
HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if hasattr(function, "crawler_spec")
}


@pytest.fixture
def example(monkeypatch):
    """A framework with the plugin and the settings of the example."""
    code = re.search(r"```python\n(.+?)```", TEXT, re.DOTALL)[1]
    module = types.ModuleType("mycompany.placement")
    exec(code, vars(module))
    monkeypatch.setitem(sys.modules, "mycompany.placement", module)
    return Framework(
        **yaml.safe_load(re.search(r"```yaml\n(.+?)```", TEXT, re.DOTALL)[1])["scheduler"]
    )


def test_every_hook_is_documented_with_its_arguments_and_no_other():
    signatures = [
        f"{name}({', '.join(inspect.signature(function).parameters)})"
        for name, function in HOOKS.items()
    ]
    assert re.findall(r"^### `(.+)`$", TEXT, re.MULTILINE) == signatures


def test_every_hook_says_what_it_is_for_and_what_comes_out():
    for name, function in HOOKS.items():
        assert function.__doc__
        assert inspect.signature(function).return_annotation is not inspect.Parameter.empty
        section = TEXT.split(f"### `{name}(")[1].split("\n#")[0]
        assert "Returns" in section
        may_be_none = "None" in inspect.signature(function).return_annotation
        assert may_be_none == ("None" in section), name
    assert set(ASKED) == HOOKS.keys() - {"strategies", "task_labels"}


@pytest.mark.parametrize("kind", [Task, Candidate, Domain, Cluster, Strategy])
def test_all_that_a_plugin_may_read_is_documented(kind):
    """What the cluster state alone calls is not for plugins."""
    private = {"spec", "of", "add", "workers", "key"}
    names = {name for name in dir(kind) if not name.startswith("_")} - private
    if kind is Candidate:
        names -= {"value"}
    for name in names:
        assert re.search(rf"\b{name}\b", TEXT), name


def test_the_table_of_the_built_in_plugins_is_complete_and_has_their_weights():
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (?:strateg|filter|score).+ \| (.*?) ?\|$", TEXT, re.MULTILINE
    )
    assert [name for name, _ in rows] == list(BUILT_IN)
    hooks = {"score_nodes", "score_room", "score_domains"}
    scoring = {p.name for p in Framework("least-load").plugins if hooks & p.hooks.keys()}
    for name, weight in rows:
        given = weight.partition(":")[0].replace(",", "")
        assert (float(given) if given else None) == (BUILT_IN[name] if name in scoring else None)


def test_the_time_after_which_a_plugin_is_slow_is_the_one_said():
    assert f"more than {SLOW_S:g} s" in TEXT


def test_the_example_filters(example):
    nodes = [worker(1, labels={"customer": "acme"}), worker(2)]
    assert counts(run(nodes, tasks(4), example)) == {"w-2": 4}
    assert set(counts(run(nodes, tasks(9, labels={"customer": "acme"}), example))) == {"w-1", "w-2"}
    plan = run(nodes[:1], tasks(1), example)
    assert plan.waiting["task-0"] == "no worker suits: w-1 is reserved for acme"


def test_the_example_rates(example):
    nodes = [worker(1, labels={"euros": "2.5"}), worker(2)]
    assert list(ids(run(nodes, tasks(5), example)).values()) == ["w-2"] * 3 + ["w-1"] + ["w-2"]


@pytest.mark.parametrize("said", ["many", "", ".", "-3", "1e3", "nan"])
def test_the_example_takes_any_label(example, said):
    nodes = [worker(1, labels={"euros": said}), worker(2, labels={"euros": "3"})]
    assert counts(run(nodes, tasks(3), example)) == {"w-1": 3}
    assert all(each.failures == 0 for each in example.plugins)


def test_the_example_scores(example):
    cluster = Workers([worker(1), worker(2)], tasks(3, labels={"customer": "acme"}), example)
    assert counts(cluster.run()) == {"w-1": 3}
    cluster.see(*tasks(5, "more", labels={"customer": "acme"}))
    assert set(ids(cluster.run()).values()) == {"w-1", "w-2"}


def test_the_example_fails_nowhere(example):
    run([worker(1)], tasks(2, labels={"customer": "acme"}), example)
    assert all(each.failures == 0 for each in example.plugins)

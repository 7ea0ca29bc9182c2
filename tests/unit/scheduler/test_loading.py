"""Plugins: found and checked when the node starts."""

import re
import sys

import pytest

from crawler.errors import ConfigError
from crawler.scheduler.framework import Framework
from crawler.scheduler.loader import BUILT_IN
from tests.unit.scheduler import plugins
from tests.unit.scheduler.cluster import ids, run, tasks, worker

PLUGIN = """
from crawler.scheduler.hookspecs import hookimpl

@hookimpl
def strategies():
    return {"last": lambda task, nodes: range(len(nodes))}
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package of one module that announces a plugin."""

    def install(code):
        (tmp_path / "shop_placement.py").write_text(code)
        about = tmp_path / "shop_placement-1.2.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: shop-placement\nVersion: 1.2\n"
        )
        (about / "entry_points.txt").write_text("[crawler.plugins]\nshop = shop_placement\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "shop_placement", raising=False)

    yield install
    sys.modules.pop("shop_placement", None)


def test_the_built_in_plugins_are_there_in_their_order():
    loaded = Framework("least-load").plugins
    assert {each.name: each.weight for each in loaded} == dict(BUILT_IN)
    assert [each.name for each in loaded] == list(BUILT_IN)
    assert {each.source for each in loaded} == {"built in"}
    assert all(each.on for each in loaded)


def test_a_plugin_of_the_settings_says_where_it_is_from(plugin):
    framework = Framework("least-load", [plugin("mine", filter_nodes=lambda task: None)])
    assert plugins.found(framework, "mine").source == "settings"


def test_a_misspelt_hook_is_an_error_at_load(plugin):
    with pytest.raises(ConfigError) as told:
        Framework("least-load", [plugin("odd", filter_node=lambda task: {})])
    assert str(told.value) == (
        "plugin 'odd': 'filter_node' is no hook; allowed: filter_domains, filter_nodes, "
        "filter_room, score_domains, score_nodes, score_room, strategies, task_labels, topology"
    )


def test_an_unknown_argument_is_an_error_at_load(plugin):
    with pytest.raises(ConfigError) as told:
        Framework("least-load", [plugin("odd", filter_nodes=lambda task, machines: {})])
    assert str(told.value) == (
        "plugin 'odd': filter_nodes has no argument 'machines'; allowed: task, nodes"
    )
    with pytest.raises(ConfigError, match=r"'odd': strategies has no argument 'me'; allowed: none"):
        Framework("least-load", [plugin("odd", strategies=lambda me: {})])


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (
            "def filter_nodes(task, node): pass",
            "filter_nodes has no argument 'node'; allowed: task",
        ),
        ("def filtr_nodes(task): pass", "'filtr_nodes' is no hook; allowed: filter_domains"),
    ],
)
def test_an_installed_plugin_with_a_misspelt_word_is_named(installed, code, fault):
    installed(f"from crawler.scheduler.hookspecs import hookimpl\n\n@hookimpl\n{code}\n")
    with pytest.raises(ConfigError) as told:
        Framework("least-load")
    assert re.match(rf"plugin 'shop(_placement)?': {re.escape(fault)}", str(told.value))


@pytest.mark.parametrize("labels", ["gpu", [1], 7])
def test_labels_that_are_no_texts_are_an_error_at_load(plugin, labels):
    with pytest.raises(ConfigError, match="'odd': task_labels returned"):
        Framework("least-load", [plugin("odd", task_labels=lambda: labels)])


@pytest.mark.parametrize(
    "strategies", [lambda: ["best"], lambda: {"best": 7}, lambda: {1: max}, lambda: 1 / 0]
)
def test_strategies_that_are_none_are_an_error_at_load(plugin, strategies):
    with pytest.raises(ConfigError, match="'odd': strategies "):
        Framework("least-load", [plugin("odd", strategies=strategies)])


def test_an_unknown_strategy_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"'best' is unknown; allowed: consistent-hash, least"):
        Framework("best")


def test_a_plugin_that_cannot_be_imported_is_named():
    with pytest.raises(ConfigError, match=r"scheduler.plugins: 'no.such.module'"):
        Framework("least-load", ["no.such.module"])


def test_two_strategies_of_one_name_are_an_error(plugin):
    name = plugin("twin", strategies=lambda: {"least-load": lambda task, nodes: []})
    with pytest.raises(ConfigError, match="'least-load' and 'twin' both bring"):
        Framework("least-load", [name])


def test_one_plugin_named_twice_is_an_error(plugin):
    name = plugin("twice", filter_nodes=lambda task, nodes: None)
    with pytest.raises(ConfigError, match="there is a plugin 'twice' already; name each once"):
        Framework("least-load", [name, name])


def test_a_plugin_that_fails_when_it_is_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "half_done.py").write_text("def filter_nodes(")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"'half_done' cannot be imported \(SyntaxError"):
        Framework("least-load", ["half_done"])


def test_an_installed_plugin_is_found_by_what_its_package_announces(installed):
    installed(PLUGIN)
    framework = Framework("last")
    assert plugins.found(framework, "shop").source == "shop-placement 1.2"
    assert ids(run([worker(1), worker(2)], tasks(1), framework)) == {"task-0": "w-2"}


def test_an_installed_plugin_that_cannot_be_loaded_is_an_error(installed):
    installed("import no_such_module")
    with pytest.raises(ConfigError, match=r"installed plugin cannot be loaded.*no_such_module"):
        Framework("least-load")

"""Finding spiders: modules, files, declarations; every fault of every entry at once."""

import sys

import pytest

from crawler.engine.spiders.loader import load_spiders
from crawler.errors import ConfigError

MODULE = """
from __future__ import annotations
import dataclasses
from crawler import Spider

@dataclasses.dataclass
class Item:
    title: str

class Base(Spider):
    pass

class {name}(Base):
    name = "{name}"
"""
DECLARATIONS = """
- {name: one, start_urls: [http://h/]}
- {name: two, start_urls: [http://h/]}
"""


@pytest.fixture
def folder(tmp_path):
    before = set(sys.modules)
    (tmp_path / "first.py").write_text(MODULE.replace("{name}", "first"))
    (tmp_path / "two.yaml").write_text(DECLARATIONS)
    (tmp_path / "single.yml").write_text("{name: single}")
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def fault(entries, folder):
    with pytest.raises(ConfigError) as raised:
        load_spiders(entries, folder)
    return str(raised.value)


def test_spiders_come_from_files_modules_and_the_settings_themselves(folder, monkeypatch):
    (folder / "a_module_of_spiders.py").write_text(MODULE.replace("{name}", "imported"))
    monkeypatch.syspath_prepend(folder)
    entries = ["first.py", "two.yaml", "single.yml", "a_module_of_spiders", {"name": "here"}]
    spiders = load_spiders(entries, folder)
    assert list(spiders) == ["first", "one", "two", "single", "imported", "here"]
    assert all(spiders[name].name == name for name in spiders)


def test_bases_without_a_name_and_imported_classes_are_no_spiders(folder):
    (folder / "imports.py").write_text("from crawler import Spider\nx = Spider\n")
    assert "no spider in it" in fault(["imports.py"], folder)


def test_two_files_may_have_one_name(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "first.py").write_text(MODULE.replace("{name}", "second"))
    assert set(load_spiders(["first.py", "sub/first.py"], folder)) == {"first", "second"}


def test_no_entries_are_no_spiders():
    assert load_spiders([]) == {}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("missing.py", "is not there; allowed: a Python module, a file"),
        ("missing.yaml", "cannot be read"),
        ("no.such.module", "cannot be imported (ModuleNotFoundError"),
        ("json", "no spider in it; allowed: a module with a subclass of Spider"),
        (7, "7 is not allowed; allowed: a Python module"),
        ("", "'' is not allowed"),
        ({"nam": 1}, "nam: unknown key"),
        ("raises.py", "cannot be imported (ValueError: at import)"),
        ("syntax.py", "cannot be imported (SyntaxError"),
        ("broken.yaml", "is not YAML"),
        ("bad.yaml", "[1].name: missing"),
        ("custom.py", "custom.custom_settings.delay_s: 'x' is not allowed"),
    ],
)
def test_a_fault_names_the_entry_and_what_is_wrong(folder, entry, says):
    (folder / "raises.py").write_text("raise ValueError('at import')")
    (folder / "syntax.py").write_text("def (")
    (folder / "broken.yaml").write_text("a: [")
    (folder / "bad.yaml").write_text("- {name: good}\n- {start_urls: []}")
    (folder / "custom.py").write_text(
        MODULE.replace("{name}", "custom") + "    custom_settings = {'delay_s': 'x'}\n"
    )
    text = fault(["first.py", entry], folder)
    assert text.startswith("spiders[1]")
    assert says in text


def test_a_spider_that_still_imports_scrapy_is_told_what_to_import(folder, monkeypatch):
    for name in ("scrapy", "scrapy.http"):
        monkeypatch.setitem(sys.modules, name, None)
    (folder / "theirs.py").write_text("import scrapy\n")
    (folder / "deeper.py").write_text("from scrapy.http import Request\n")
    (folder / "other.py").write_text("import scrapyd_of_nobody\n")
    told = fault(["theirs.py", "deeper.py", "other.py"], folder).splitlines()
    hint = "; import from crawler instead (docs/spiders.md)"
    assert [line.endswith(hint) for line in told] == [True, True, False]


def test_all_faults_come_in_one_message(folder):
    text = fault(["missing.py", {"name": "ok"}, {"name": 3}, "single.yml", "single.yml"], folder)
    assert [line[:10] for line in text.splitlines()] == ["spiders[0]", "spiders[2]", "spiders[4]"]
    assert "the name 'single' is not allowed, spiders[3] (single.yml) has it" in text

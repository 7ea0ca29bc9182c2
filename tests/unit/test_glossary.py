"""docs/glossary.md and the code use the same words, and nobody uses those that are retired."""

import ast
import importlib
import re

import pytest

from crawler.settings import config
from tests.source import ROOT, tree_of

DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "bench" / "README.md"]
DOCS += sorted((ROOT / "docs").rglob("*.md"))
ROWS = re.findall(
    r"^\| (?!term|---)([^|]+) \| ([^|]+) \| `([\w.]+)` \|$",
    (ROOT / "docs" / "glossary.md").read_text(),
    re.MULTILINE,
)
RETIRED = {
    "bereft": "orphaned",
    "breathe": "give way",
    "census": "cluster state",
    "courier": "sender",
    "desk": "backend",
    "hires": "schedulable",
    "hiring": "schedulable",
    "journeys": "scraper",
    "outlet": "item writer",
    "panel": "plugin run",
    "recall": "cache policy",
    "spill": "disk queue",
    "suspicion": "poison",
}
"""A word that the code and the docs used → what they say now."""


def is_setting(name):
    section, _, field = name.partition(".")
    kinds = dict(config.sections())
    return section in kinds and field in kinds[section].__dataclass_fields__


def found(name):
    """What a name below the package `crawler` means: a module, or something in one."""
    parts = f"crawler.{name}".split(".")
    for length in range(len(parts), 1, -1):
        try:
            meant = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            meant = getattr(meant, attribute)
        return meant
    raise AssertionError(f"nothing is called {name}")


def words_of(file):
    """The words of all names in a file of Python: of `_plugin_run` and `PluginRun` two each."""
    nodes = ast.walk(tree_of(file))
    names = {
        value
        for node in nodes
        for field in ("id", "attr", "name", "arg")
        if isinstance(value := getattr(node, field, None), str)
    }
    return {part.lower() for name in names for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)} | {
        part for part in file.stem.split("_")
    }


@pytest.mark.parametrize(("term", "meaning", "name"), ROWS, ids=[term for term, _, _ in ROWS])
def test_a_term_is_one_sentence_and_has_its_name_in_the_code(term, meaning, name):
    assert meaning.endswith(".")
    assert ". " not in meaning
    assert is_setting(name) or found(name) is not None


def test_every_row_is_read_and_every_term_told_once():
    text = (ROOT / "docs" / "glossary.md").read_text()
    assert len(ROWS) == len(re.findall(r"^\| (?!term|---)", text, re.MULTILINE)) > 100
    assert len({term for term, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_the_docs_use_no_retired_word(file):
    text = re.sub(r"`test_[^`]+`", "", file.read_text())
    used = set(re.findall(r"[a-z]+", text.lower())) & RETIRED.keys()
    assert not used, {word: RETIRED[word] for word in used}


def test_the_code_uses_no_retired_word_in_a_name():
    for file in sorted((ROOT / "crawler").rglob("*.py")):
        used = words_of(file) & RETIRED.keys()
        assert not used, f"{file}: { ({word: RETIRED[word] for word in used}) }"

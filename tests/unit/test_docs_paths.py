"""The docs name files that exist, and the architecture names every part of the program."""

import re
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify, unique

from tests.unit.test_layers import LAYERS

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", ROOT / "bench" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILES = {
    path.relative_to(ROOT).as_posix()
    for folder in ("bench", "crawler", "deploy", "docs", "examples", "tests")
    for path in (ROOT / folder).rglob("*.*")
}


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
def test_every_file_that_is_named_with_its_folder_exists(doc):
    named = re.findall(r"`([\w-]+/[\w/.-]+\.(?:py|md|yaml|proto))[`:]", doc.read_text())
    missing = [name for name in named if not any(f"/{each}".endswith(f"/{name}") for each in FILES)]
    assert not missing


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
def test_every_link_to_a_file_leads_to_one(doc):
    links = re.findall(r"\]\((?!http|#)([^)#]+)(?:#[^)]*)?\)", doc.read_text())
    assert not [link for link in links if not (doc.parent / link).exists()]


@pytest.mark.parametrize("doc", [*DOCS, ROOT / "CHANGELOG.md"], ids=lambda doc: doc.name)
def test_every_link_to_a_heading_leads_to_one(doc):
    links = re.findall(r"\]\((?!http)([^)#]*\.md)?#([^)]*)\)", doc.read_text())
    targets = ((doc.parent / path if path else doc, anchor) for path, anchor in links)
    assert not [(path.name, anchor) for path, anchor in targets if anchor not in anchors(path)]


def anchors(doc):
    """How the headings of a page are called in links, as MkDocs has it."""
    text = re.sub(r"^```.*?^```", "", doc.read_text(), flags=re.MULTILINE | re.DOTALL)
    taken: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        unique(slugify(re.sub(r"\]\([^)]*\)|[`\[*]", "", heading), "-"), taken)
    return taken


def test_the_architecture_names_every_part_of_every_layer():
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.split("\n## Layers\n")[1].split("\n## ")[0]
    parts = {part for layers in LAYERS.values() for layer in layers for part in layer}
    named = set(re.findall(r"`(\w+)`", section))
    assert parts - {"__main__"} <= named

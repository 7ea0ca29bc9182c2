"""The documentation builds as a site, strictly: every page is in the navigation, and every link and
anchor leads somewhere. What a reader opens needs no network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages as text: name → HTML."""
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: what is not told does not count, either.
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"make docs fails:\n{done.stdout}{done.stderr}"
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.html")
    }


def test_every_page_of_the_docs_is_one_of_the_site(pages):
    docs = ROOT / "docs"
    written = {
        path.relative_to(docs).with_suffix(".html").as_posix() for path in docs.rglob("*.md")
    }
    assert written <= pages.keys()


def test_no_page_loads_anything_from_elsewhere(pages):
    loaded = r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(?:https?:)?//[^>]*|"""
    loaded += r"""<link[^>]*rel=["']?(?:stylesheet|preconnect|preload)[^>]*//[^>]*"""
    assert not {name: found for name, text in pages.items() if (found := re.findall(loaded, text))}


def test_no_table_and_no_block_of_code_is_shown_as_text(pages):
    """As when a blank line before it is missing."""
    broken = re.compile(r"<p>[^<]*(?:^\||^```|^#+ |^[-*] )", re.MULTILINE)
    assert not [name for name, text in pages.items() if broken.search(text)]

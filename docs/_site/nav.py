"""Adds the decisions to the navigation of the site, so that nobody has to list them by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Let MkDocs show every decision, in the order of their numbers."""
    found = sorted(Path(config["docs_dir"], "decisions").glob("*.md"))
    config["nav"].append({"Decisions": [f"decisions/{path.name}" for path in found]})
    return config

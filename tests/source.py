"""The project's own code as trees: several tests read all of it, and each file is parsed once."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[1]


@functools.cache
def tree_of(file: Path) -> ast.Module:
    """What a file of Python says."""
    return ast.parse(file.read_text())


@functools.cache
def imports_of(file: Path) -> tuple[str, ...]:
    """The modules and names that a file imports, type-only imports included; none relatively."""
    found: list[str] = []
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return tuple(found)

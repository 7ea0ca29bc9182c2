"""Which files of a project's folder go into its bundle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from crawler.errors import InvalidArgument

MOST_FILES = 10_000
"""As many files a bundle may have."""

CONFIG = "config.yaml"
"""The settings of a project. They are left out: `bundle.json` has what counts of them, and the same
file may have passwords of a cluster, which no spider may read."""

LEFT_OUT = frozenset(
    {"__pycache__", "venv", "env", "node_modules", "build", "dist"}
    | {"items", "http-cache", "frontier", "states", "bundles", "logs"}
)
"""Names of folders whose content is no code. Those of the second line are what nodes write where
`crawler up` runs. Hidden ones (.git, .venv) are left out as well."""

HISTORY = "history.db"
"""How the names of the files begin in which masters keep the history by default."""


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name in the bundle, with slashes, and the path of each file, sorted.

    Raises InvalidArgument for too many files, and for a link that leads out of the folder.
    """
    root = folder.resolve()
    found = sorted(_walk(root))
    if len(found) > MOST_FILES:
        raise InvalidArgument(
            f"{folder}: has {len(found)} files; allowed are up to {MOST_FILES}; keep items and "
            "other data outside of the folder of the project"
        )
    yield from found


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    for at, folders, names in os.walk(root):
        here = Path(at)
        folders[:] = [name for name in folders if not _is_left_out(name)]
        links = [name for name in folders if (here / name).is_symlink()]
        for name in [*names, *links]:
            path = here / name
            is_left_out = name.startswith((".", HISTORY)) or name.endswith(".pyc")
            if is_left_out or path == root / CONFIG:
                continue
            _check_link(root, path)
            if path.is_file():
                yield path.relative_to(root).as_posix(), path


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name in LEFT_OUT or name.endswith(".egg-info")


def _check_link(root: Path, path: Path) -> None:
    if not path.is_symlink():
        return
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(root) or target.is_dir():
        raise InvalidArgument(
            f"{path}: is a link to {target}; allowed are links to files in {root}; copy what the "
            "project needs into its folder"
        )

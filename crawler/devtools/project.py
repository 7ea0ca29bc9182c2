"""Finds and loads the spiders of a project's folder: `python -m crawler.devtools.project`.

`spiders` of its `config.yaml` say what to load, and the section `crawl` is for all its tasks.
`crawler deploy` starts it in the environment of the project, and reads its answer from a file.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crawler.deploy.folder import CONFIG, files_of
from crawler.engine.spiders.described import described
from crawler.engine.spiders.loader import load_entry, load_spiders
from crawler.errors import ConfigError, CrawlerError
from crawler.settings import task_parameters, yaml_text

FAILED = 1

_SPIDER = re.compile(r"^class \w+\(.*Spider\b.*\):", re.MULTILINE)


def main(folder: str, answer: str) -> int:
    """Load a project, and write what was found. Return the exit status."""
    root = Path(folder)
    sys.path.insert(0, str(root))
    try:
        found = found_in(root)
    except CrawlerError as error:
        _tell(error, root)
        return FAILED
    Path(answer).write_text(json.dumps(found), encoding="utf-8")
    return 0


def found_in(root: Path) -> Mapping[str, Any]:
    """Return the sources, the spiders and the settings of a project. Raises ConfigError."""
    config = _config(root / CONFIG)
    sources = config.get("spiders") or list(_sources(root))
    if not sources:
        raise ConfigError(
            f"no spider in {root}; allowed: files .py with a subclass of Spider, files .yaml in "
            f"{root / 'spiders'}, or a list `spiders` in {CONFIG}"
        )
    for source in sources:
        load_entry(source, root)
    settings = config.get("crawl") or {}
    faults = task_parameters.faults({"settings": settings})
    if faults:
        raise ConfigError(f"{CONFIG}: " + "; ".join(faults).replace("parameters.settings", "crawl"))
    spiders = load_spiders(sources, root)
    return {
        "sources": sources,
        "spiders": sorted(spiders),
        "settings": settings,
        "described": {name: each.to_json() for name, each in described(spiders).items()},
    }


def _config(path: Path) -> Mapping[str, Any]:
    import yaml

    if not path.is_file():
        return {}
    try:
        found = yaml_text.parse(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{CONFIG}: is no YAML: {error}") from None
    if not isinstance(found or {}, dict):
        raise ConfigError(f"{CONFIG}: a mapping of sections is allowed")
    return found or {}


def _sources(root: Path) -> Iterator[str]:
    """Yield the files that have spiders: modules of packages by their dotted names."""
    for name, path in files_of(root):
        parts = name.split("/")
        if "tests" in parts or parts[-1].startswith("test_"):
            continue
        if parts[0] == "spiders" and path.suffix in (".yaml", ".yml"):
            yield name
        elif path.suffix == ".py" and _SPIDER.search(path.read_text(errors="replace")):
            yield _module(root, parts) or name


def _module(root: Path, parts: Sequence[str]) -> str:
    """Return the dotted name of a module of a package; empty for a file that is in none."""
    folders = parts[:-1]
    inits = (root.joinpath(*folders[: at + 1], "__init__.py") for at in range(len(folders)))
    if not folders or not all(init.is_file() for init in inits):
        return ""
    return ".".join([*folders, *([] if parts[-1] == "__init__.py" else [parts[-1][:-3]])])


def _tell(error: CrawlerError, root: Path) -> None:
    """Print the traceback of the project's own code, and what is wrong."""
    cause = error.__cause__
    if cause is not None:
        told = traceback.TracebackException.from_exception(cause)
        own = [frame for frame in told.stack if Path(frame.filename).is_relative_to(root)]
        told.stack = traceback.StackSummary.from_list(own)
        text = "".join(told.format(chain=False))
        print(text.replace(f"{root}/", ""), file=sys.stderr, end="")
    else:
        print(error, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

"""Imports point down only: the layers of docs/architecture.md hold."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYERS = [
    {"constraints"},
    {"records", "errors", "clock", "runtime", "steering"},
    {"setting"},
    {"crawl_settings"},
    {"settings", "logs", "parameters"},
    {"readers"},
    {"constraint_json"},
    {"schemas", "metrics", "supervision", "hub"},
    {"setting_fields", "steering_schemas"},
    {"config"},
    {"coordination", "scheduler", "engine"},
    {"api", "plugins"},
    {"node"},
    {"demo"},
    {"local"},
    {"cli", "gunicorn"},
    {"__main__"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}


def imports(file):
    """The parts of the package that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = (
                [node.module]
                if node.module != "crawler"
                else [f"crawler.{alias.name}" for alias in node.names]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("crawler."):
                yield name.split(".")[1]


def part_of(file):
    relative = file.relative_to(ROOT / "crawler")
    return relative.parts[0].removesuffix(".py")


FILES = [
    file
    for file in sorted((ROOT / "crawler").rglob("*.py"))
    if ("_pb2" not in file.name and file.parent != ROOT / "crawler") or file.name != "__init__.py"
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_imports_only_from_its_own_part_and_from_below(file):
    part = part_of(file)
    if part == "proto":
        return
    assert part in RANK, f"{part} has no layer yet"
    for other in set(imports(file)) - {part, "proto"}:
        assert RANK[other] < RANK[part], f"{file.name} imports {other}"


@pytest.mark.parametrize(
    "file", sorted((ROOT / "crawler" / "plugins").glob("*.py")), ids=lambda file: file.stem
)
def test_plugins_see_the_hooks_and_records_alone(file):
    tree = ast.parse(file.read_text())
    seen = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    inside = {name for name in seen if name and name.startswith("crawler")}
    assert inside <= {"crawler.constraints", "crawler.records", "crawler.scheduler.hookspecs"}


CLI = (
    *("__init__", "base", "cluster", "drain", "given", "local", "master", "nodes", "pages"),
    *("runspider", "spiders", "steering", "tables", "update"),
)
ETCD = [f"coordination/etcd{part}.py" for part in ("", "_connection", "_login", "_watch")]


@pytest.mark.parametrize(
    ("package", "owner"),
    [
        ("pyetcd", "coordination/wire.py coordination/renewer.py " + " ".join(ETCD)),
        (
            "pycurl",
            "engine/fetch.py engine/handles.py engine/jar.py engine/transfer.py"
            " coordination/renewer.py",
        ),
        (
            "pluggy",
            "scheduler/loader.py scheduler/hookspecs.py engine/fetchers.py engine/hookspecs.py",
        ),
        ("snowflake", "coordination/snowflake.py"),
        ("click", " ".join(f"cli/{part}.py" for part in CLI)),
    ],
)
def test_a_foreign_library_is_known_to_its_own_file_only(package, owner):
    for file in sorted((ROOT / "crawler").rglob("*.py")):
        tree = ast.parse(file.read_text())
        names = {
            alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names
        }
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        if any(name.split(".")[0] == package for name in names):
            relative = str(file.relative_to(ROOT / "crawler"))
            # The local etcd is asked whether it answers before anything else runs.
            assert relative in owner or (package, relative) == ("pyetcd", "local/etcd.py")

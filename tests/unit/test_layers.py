"""Imports point down only: the layers of docs/architecture.md hold."""

import pytest

import crawler
from tests.source import ROOT, imports_of

LAYERS = {
    "": [
        {
            "model",
            "errors",
            "clock",
            "runtime",
            "coroutines",
            "plural",
            "folders",
            "boot",
            "alike",
            "redacted_forms",
        },
        {"redaction", "schedules"},
        {"logs", "schemas", "items", "deploy"},
        {"settings", "metrics", "supervision", "hub"},
        {
            "coordination",
            "scheduler",
            "engine",
            "debugging",
            "audit_log",
            "history",
            "alerts",
            "tracing",
        },
        {"api", "plugins"},
        {"dashboard"},
        {"node"},
        {"demo", "terminal"},
        {"local", "devtools"},
        {"cli", "gunicorn", "gunicorn_conf"},
        {"__main__", "app"},
    ],
    "engine": [
        {"http"},
        {"hookspecs"},
        {"items", "frontier", "download"},
        {"spiders", "stats", "politeness", "plugins"},
        {"crawl"},
        {"engine"},
    ],
    "api": [
        {"addresses", "passed_on", "places"},
        {"proofs"},
        {"backend"},
        {"bundles", "failures", "health", "limiter", "doors", "oidc", "tls", "sparse", "cleaning"},
        {"workers", "log_pieces"},
        {"bounded", "fields", "trail"},
        {"audited"},
        {"spider_list"},
        {"service"},
        {"bounded_crawls", "task_items", "task_logs", "task_statistics"},
        {"http", "rpc"},
    ],
    "node": [
        {"guard", "access"},
        {"membership", "run"},
        {"crew"},
        {"master", "worker", "measures", "role"},
        {"faces"},
        {"node"},
    ],
}
"""For each package its parts, in layers: a part imports from layers before its own alone."""
GENERATED = "proto"


def part_of(name, package):
    """The part of a package that a dotted name lies in, if it lies in the package at all."""
    if name.removeprefix("crawler.") in crawler.__all__:
        name = "crawler.engine"  # what spiders import, those of the demo too
    inside = ".".join(filter(None, ("crawler", package))) + "."
    return name.removeprefix(inside).split(".")[0] if name.startswith(inside) else None


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_of(package):
    folder = ROOT.joinpath("crawler", *filter(None, package.split(".")))
    return [
        file
        for file in sorted(folder.rglob("*.py"))
        if GENERATED not in file.parts and file != folder / "__init__.py"
    ]


@pytest.mark.parametrize("package", LAYERS, ids=lambda package: package or "crawler")
def test_a_part_imports_only_from_the_layers_below(package):
    rank = {part: rank for rank, layer in enumerate(LAYERS[package]) for part in layer}
    for file in files_of(package):
        part = part_of(module_of(file), package)
        assert part in rank, f"{file} has no layer yet"
        for name in imports_of(file):
            other = part_of(name, package)
            if other not in (None, part, GENERATED):
                assert rank[other] < rank[part], f"{file} imports {name}"


PACKAGES = [
    module_of(file).removeprefix("crawler").removeprefix(".")
    for file in sorted((ROOT / "crawler").rglob("__init__.py"))
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package or "crawler")
def test_no_import_leads_back_to_where_it_came_from(package):
    arrows = {}
    for file in files_of(package):
        part = part_of(module_of(file), package)
        to = {part_of(name, package) for name in imports_of(file)}
        arrows.setdefault(part, set()).update(to - {None, part})
    while arrows:
        free = [part for part, to in arrows.items() if not to & arrows.keys()]
        assert free, f"these import each other in a circle: {', '.join(sorted(arrows))}"
        for part in free:
            del arrows[part]


@pytest.mark.parametrize(
    "file", sorted((ROOT / "crawler" / "plugins").glob("*.py")), ids=lambda file: file.stem
)
def test_plugins_see_the_hooks_and_records_alone(file):
    seen = {
        "crawler.model.constraints",
        "crawler.model.records",
        "crawler.scheduler.hookspecs",
    }
    inside = [name for name in imports_of(file) if part_of(name, "") is not None]
    assert {name.rpartition(".")[0] for name in inside} <= seen


CLI = (
    *(
        "__init__",
        "alerts",
        "audit",
        "base",
        "certs",
        "choosing",
        "cluster",
        "drain",
        "frontier",
        "history",
        "items",
        "life",
        "local",
        "master",
        "nodes",
        "options",
        "pages",
    ),
    *(
        "add",
        "as_json",
        "bundles",
        "completion",
        "delete",
        "deploy",
        "dry_run",
        "explain",
        "given",
        "task_names",
        "watching",
    ),
    *("resuming", "runspider", "schedule", "scheduler", "secret", "spiders", "offered"),
    *("stats", "token"),
    "update",
    "login",
    "logs",
    "reaching",
    "item_targets",
    "far_items",
)
ETCD = [f"coordination/etcd/{part}.py" for part in ("store", "connection", "login", "watch")]


@pytest.mark.parametrize(
    ("package", "owner"),
    [
        ("pyetcd", "coordination/etcd/wire.py coordination/etcd/renewer.py " + " ".join(ETCD)),
        (
            "pycurl",
            "engine/download/curl.py engine/download/curl_loop.py engine/download/curl_handle.py"
            " engine/download/curl_opener.py engine/download/curl_transfer.py"
            " engine/download/cookies.py"
            " coordination/etcd/renewer.py",
        ),
        (
            "pluggy",
            "scheduler/loader.py scheduler/hookspecs.py engine/plugins.py engine/hookspecs.py",
        ),
        ("cryptography", "coordination/sealing.py local/authority.py settings/tls_files.py"),
        ("snowflake", "coordination/snowflake.py"),
        (
            "msgspec",
            "coordination/codec.py coordination/stored.py coordination/by_field.py"
            " engine/frontier/journal.py api/http/bodies.py node/master/order.py",
        ),
        ("re2", "settings/patterns.py"),
        ("redis", "engine/frontier/redis_server.py"),
        (
            "alembic",
            "history/migrations/steps.py history/migrations/env.py"
            " history/migrations/versions/r0001_events.py"
            " history/migrations/versions/r0002_marks.py"
            " history/migrations/versions/r0003_bundles.py"
            " history/migrations/versions/r0004_run_statistics.py",
        ),
        ("opentelemetry", "tracing/otlp.py tracing/span_queue.py"),
        ("joserfc", "api/oidc/people.py api/oidc/keys.py"),
        ("apispec", "api/http/openapi/document.py api/http/openapi/requests.py"),
        ("click", " ".join(f"cli/{part}.py" for part in CLI)),
    ],
)
def test_a_foreign_library_is_known_to_its_own_file_only(package, owner):
    for file in sorted((ROOT / "crawler").rglob("*.py")):
        if any(name.split(".")[0] == package for name in imports_of(file)):
            relative = str(file.relative_to(ROOT / "crawler"))
            # The local etcd is asked whether it answers before anything else runs.
            assert relative in owner or (package, relative) == ("pyetcd", "local/etcd.py")

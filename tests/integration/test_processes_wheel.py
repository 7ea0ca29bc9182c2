"""What a user gets with `pip install`: the wheel has all, and runs outside a checkout."""

import zipfile

import pytest

from crawler.local.cluster import is_ready
from crawler.local.ports import free_ports
from tests.depth import deep
from tests.installed import Installed, build_wheel
from tests.integration.lab import ROOT, interrupt, terminate
from tests.waiting import PATIENCE_S, eventually

CONF = "python:crawler.gunicorn_conf"
OTHER_APP = "raise ImportError('the app.py of the user')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("user") / "env", wheel)


@pytest.fixture
def start(installed, tmp_path):
    """Starts commands of the wheel in an empty folder; what still runs at the end is stopped."""
    started = []

    def start(*command, **environment):
        name = f"command-{len(started)}"
        started.append(installed.start(name, *command, cwd=tmp_path, **environment))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel):
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "crawler").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == package | {"app.py"}


def test_the_wheel_asks_for_what_the_requirements_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = archive.read(name).decode()
    assert "Requires-Dist: gunicorn==" in metadata
    for extra in ("local", "sql", "parquet", "redis"):
        assert f"Provides-Extra: {extra}\n" in metadata
        assert f'extra == "{extra}"\n' in metadata


def test_it_is_the_wheel_that_runs(installed, tmp_path):
    told = installed.ask("import app, crawler; print(app.__file__, crawler.__file__)", tmp_path)
    assert len([path for path in told.split() if path.startswith(str(installed.bin.parent))]) == 2


def test_the_demo_crawls_the_bookshop(start, tmp_path):
    demo = start("crawler", "demo")
    assert demo.wait(2 * PATIENCE_S)
    assert demo.exit_code == 0, demo.tail(100)
    assert "all 1215 books of the shop" in demo.tail(100)
    assert (tmp_path / "items" / "travel").is_dir()


@deep
def test_a_cluster_is_up_until_it_is_interrupted(start):
    up = start("crawler", "up")
    eventually(lambda: "Ctrl-C" in up.tail(100), what="it says how to end it")
    interrupt(up)
    assert up.wait(PATIENCE_S)
    assert up.exit_code == 0
    assert "everything is stopped" in up.tail(100)


@pytest.mark.parametrize(
    ("command", "files"),
    [
        (("app:master",), {}),
        (("-c", CONF, "app:worker"), {}),
        (("-c", CONF, "crawler.app:master"), {"app.py": OTHER_APP}),
    ],
    ids=["app", "settings", "shadowed"],
)
def test_gunicorn_serves_a_node_in_any_folder(start, tmp_path, shared_etcd, command, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    http, grpc = (f"127.0.0.1:{port}" for port in free_ports(2))
    server = start(
        *("python", "-m", "gunicorn", "-k", "gevent", "--bind", http, *command),
        CRAWLER_ETCD_ENDPOINTS=shared_etcd.endpoint,
        CRAWLER_NODE_GRPC=grpc,
    )
    eventually(lambda: is_ready(http), what="it is ready")
    terminate(server)
    assert server.wait(PATIENCE_S)
    assert server.exit_code == 0


def test_gunicorn_with_the_settings_of_the_wheel_refuses_bad_ones_once(start):
    server = start("python", "-m", "gunicorn", "-c", CONF, "app:master", CRAWLER_LOGS_LEVEL="loud")
    assert server.wait(PATIENCE_S)
    assert server.exit_code == 2
    assert server.tail(100).count("crawler: bad settings, nothing was started:") == 1

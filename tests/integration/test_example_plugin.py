"""examples/scheduler-plugin as its reader would use it: installed, and switched to as it runs."""

import json
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

from tests.depth import deep
from tests.integration.lab import ROOT, Lab
from tests.waiting import PATIENCE_S, eventually

pytestmark = deep  # an environment of its own takes ten seconds to make

EXAMPLE = ROOT / "examples" / "scheduler-plugin"
CHEAP, DEAR = "worker-1", "worker-2"
LABELS = {CHEAP: "price=1,region=eu", DEAR: "price=3,region=us"}


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a fresh environment in which the example is installed.

    What the crawler needs comes from the environment of these tests, so that nothing is fetched.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "outer.pth").write_text("\n".join([*site.getsitepackages(), str(ROOT)]))
    python = folder / "bin" / "python"
    # A copy, as building leaves files behind.
    shutil.copytree(EXAMPLE, folder / "example")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    install = ["--python", python, "install", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, *install, folder / "example"], check=True)
    return python


def crawler(python, *arguments):
    """What the command line of that environment says."""
    command = [python, "-m", "crawler", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=3 * PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def add(lab, name, **labels):
    task = {**lab.specification(name), "labels": labels}
    assert lab["master-1"].call("POST", "/crawler/resource", task)[0] == 200


def owners(lab, *names):
    """Who owns these tasks, once all have an owner."""

    def look():
        found = [lab.resource(name)["AssignedNode"].partition("|")[0] for name in names]
        return [each.rpartition("server.")[2] for each in found] if all(found) else None

    return eventually(look, what="all have an owner")


def test_an_installed_plugin_places_tasks_of_a_running_cluster(tmp_path, python):
    with Lab(tmp_path, python=python) as lab:
        lab.start("master-1")
        for worker, labels in LABELS.items():
            lab.start(worker, CRAWLER_NODE_LABELS=labels)
        eventually(lambda: len(lab.registered()) == 3, what="all are registered")
        master = lab["master-1"]

        # The filter is in force at once: least-load alone would take the workers in turn.
        together = ["shop-1", "shop-2", "shop-3"]
        for name in together:
            add(lab, name, site="shop")
        before = owners(lab, *together)
        assert len(set(before)) == 1

        switched = master.call("PUT", "/crawler/scheduler", {"strategy": "cheapest"})
        assert switched[0] == 200, switched
        later = [f"task-{number}" for number in range(6)]
        for name in later:
            add(lab, name)
        assert owners(lab, *later) == [CHEAP] * len(later)
        assert owners(lab, *together) == before
        policy = json.loads(master.call("GET", "/crawler/scheduler")[2])
        assert policy["strategy"] == "cheapest"

        told = crawler(python, "plugins", f"--master=127.0.0.1:{master.grpc}")
        line = next(line for line in told.splitlines() if line.startswith("frugal "))
        assert "crawler-frugal 0.1.0" in line


def test_it_stays_short():
    assert len(Path(EXAMPLE / "crawler_frugal.py").read_text().splitlines()) < 60

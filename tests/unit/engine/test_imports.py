"""What the engine may know, and what importing the package costs."""

import subprocess
import sys
from pathlib import Path

import pytest

import crawler
from tests.source import imports_of

ENGINE = Path(crawler.__file__).parent / "engine"
FILES = sorted(ENGINE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_the_engine_knows_no_cluster(path):
    allowed = {"engine", "model", "settings", "errors", "clock", "coroutines"}
    allowed |= {"logs", "supervision", "hub", "folders", "items"}
    own = {name.split(".")[1] for name in imports_of(path) if name.startswith("crawler.")}
    assert own <= allowed


def test_importing_the_package_loads_nothing():
    """The process is prepared for gevent after `import crawler`, and before everything else."""
    code = (
        "import sys, crawler; early = {'gevent', 'pycurl', 'lxml', 'socket'} & set(sys.modules);"
        "assert not early, early;"
        "from crawler import *;"
        "assert all(name in globals() for name in crawler.__all__);"
        "assert set(crawler.__all__) == set(crawler._MODULES)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)

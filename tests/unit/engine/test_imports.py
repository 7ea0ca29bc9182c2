"""What the engine may know, and what importing the package costs."""

import subprocess
import sys
from pathlib import Path

import crawler
from tests.source import imports_of

ENGINE = Path(crawler.__file__).parent / "engine"
FILES = sorted(ENGINE.rglob("*.py"))


def test_the_engine_knows_no_cluster():
    allowed = {"engine", "model", "settings", "errors", "clock", "coroutines", "plural"}
    allowed |= {"logs", "redaction", "redacted_forms", "supervision", "hub", "folders", "items"}
    for path in FILES:
        own = {name.split(".")[1] for name in imports_of(path) if name.startswith("crawler.")}
        assert own <= allowed, path


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

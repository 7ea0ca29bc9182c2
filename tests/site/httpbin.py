"""httpbin, in a process of its own: a site that others wrote, to ask how a request arrived."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(sys.prefix, "httpbin")
"""Where `make` installs it, apart: what it needs is not what we need."""
_SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from httpbin import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def httpbin() -> Iterator[str]:
    """The URL of a running one, without the slash at its end."""
    command = [sys.executable, "-I", "-c", _SERVER, str(FOLDER)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

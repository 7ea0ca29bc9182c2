"""A crawl process that is started by itself, and not forked from one that has loaded the engine.

    python -m crawler.node.crew.started PARENT USER [PYTHON PATH]

Its channel, its page and the file for its stacks are open as `FILES`. PYTHON is the interpreter of
a bundle, which finds modules in PATH. Packages may have code that it runs as soon as it begins. So
the process is the other user's before that.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from crawler import runtime
from crawler.node.crew.child import become, forget_path, leave_signals_to_worker, step_down

FILES = 3, 4, 5
MODULE = "crawler.node.crew.started"


def main(arguments: list[str]) -> int:
    """Load the engine, and crawl."""
    parent, user, *of_bundle = arguments
    if of_bundle:
        python, path = of_bundle
        become(user)
        _go_on_in(python, path, parent)
    forget_path()
    leave_signals_to_worker()
    step_down(user, int(parent))
    runtime.patch()
    from crawler.node.crew import crawl_process

    return crawl_process.run(*FILES)


def _go_on_in(python: str, path: str, parent: str) -> NoReturn:
    """Be a process of that interpreter."""
    os.environ["PYTHONPATH"] = path
    os.execv(python, [python, "-P", "-m", MODULE, parent, ""])


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

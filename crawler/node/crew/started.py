"""A crawl process that is started by itself, and not forked from one that has loaded the engine.

    python -m crawler.node.crew.started PARENT [USER]

Its channel, its page and the file for its stacks are open as `FILES`.
"""

from __future__ import annotations

import os
import sys

from crawler import runtime
from crawler.node.crew.child import forget_path, leave_signals_to_worker, step_down

FILES = 3, 4, 5


def main(arguments: list[str]) -> int:
    """Load the engine, and crawl."""
    parent, *user = arguments
    forget_path()
    leave_signals_to_worker()
    step_down("".join(user), int(parent))
    runtime.patch()
    from crawler.node.crew import crawl_process

    return crawl_process.run(*FILES)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

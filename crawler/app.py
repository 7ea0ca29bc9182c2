"""What gunicorn loads: `gunicorn -k gevent crawler.app:master`, or `crawler.app:worker`.

Access to `master` or `worker` starts that node in this process. Importing this module alone starts
nothing. The node leaves in order when gunicorn stops the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

    master: Flask
    worker: Flask


def __getattr__(name: str) -> Any:
    """Start the node whose application is requested."""
    if name not in ("master", "worker"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crawler import boot
    from crawler.runtime import prepare

    boot.hold_stops()  # the node takes them
    prepare()  # before anything else is imported: see crawler/runtime.py
    from crawler.gunicorn import start_node

    globals()[name] = application = start_node(name)
    return application

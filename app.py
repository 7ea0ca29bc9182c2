"""What gunicorn loads: `gunicorn -k gevent app:master`, `gunicorn -k gevent app:worker`.

All of it is in crawler/app.py, which gunicorn also finds where another app.py hides this one.
`python app.py` is the command line, the same as `crawler`.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

    master: Flask
    worker: Flask


def __getattr__(name: str) -> Any:
    """Start the node whose application is requested."""
    from crawler import app

    return getattr(app, name)


if __name__ == "__main__":
    from crawler.cli import main

    sys.exit(main())

"""Gives one process a wall clock that can be set: Python imports this file at its start.

The process must find this folder in PYTHONPATH and the name of a file in CRAWLER_TESTS_CLOCK. The
file holds nanoseconds to add to the machine's clock, which stays as it is.
"""

import os
import time

_path = os.environ.get("CRAWLER_TESTS_CLOCK", "")
_machine_ns = time.time_ns


def _time_ns():
    try:
        with open(_path) as file:
            return _machine_ns() + int(file.read() or 0)
    except FileNotFoundError:
        return _machine_ns()


if _path:
    time.time_ns = _time_ns

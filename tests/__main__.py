"""Runs the whole suite: seven sessions of pytest side by side, and the check of types.

    python -m tests [OPTION …]

Tests wait a lot, so seven take not much longer than the longest of them. One session has the tests
that start our own processes, one those of etcds and databases and the tour, one those of whole
crawls within one process, of crawl processes, of crawls that go on and of the wheel, one those of
what callers reach, one those that join other parts within one process, one those in a browser, one
all the rest. Options are given to each. Their lines of progress are shown as they come, each with
the name of its session; what failed, when a session has ended; then the slowest tests, and the sum
of all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from tests.tally import COUNTED, under_way

HERE = Path(__file__).parent
PROCESSES = (
    "faults",
    "integration/test_processes_*.py",
    "integration/test_overload.py",
)
SERVERS = ("contract/test_*.py", "integration/test_processes_tour.py")
CRAWLS = (
    "integration/test_engine_*.py",
    "integration/test_processes_c[hr]*.py",  # crawl processes
    "integration/test_processes_guard.py",
    "integration/test_processes_resume.py",
    "integration/test_processes_wheel.py",
    "integration/test_demo_bookshop.py",
    "integration/test_demo_crawl.py",
    "integration/test_ported.py",
)
FACES = (
    "integration/test_api_*.py",
    "integration/test_audit.py",
    "integration/test_cli_*.py",
    "integration/test_doors*.py",
    "integration/test_first_token.py",
    "integration/test_openapi.py",
    "integration/test_processes_gunicorn.py",
    "integration/test_processes_secrets.py",
    "integration/test_processes_tls.py",
    "integration/test_startup.py",
)
BROWSER = ("browser/test_*.py",)
JOINED = ("integration/test_*.py",)
SLOWEST = 10
LAST = 40
"""Lines of a session that broke down which are shown once more at the end."""
PROGRESS = re.compile(r"[.sxXFE]+ *\[ *\d+%\]$")


class Command:
    """A command that runs beside others, and shows what it says when it has ended."""

    def __init__(self, name: str, arguments: list[str], **environment: str) -> None:
        self.name = name
        self.last = deque[str](maxlen=LAST)
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**_keeping_bytecode(os.environ), **environment},
        )
        self._reader = Thread(target=self._read)
        self._reader.start()

    def wait(self) -> int:
        """Its status, once it has ended and has told what failed."""
        self._reader.join()
        return self._process.wait()

    def tally(self) -> dict[str, Any]:
        """What it came to, once it has ended."""
        return {"counts": {"error": int(self.wait() != 0)}, "took_s": {}}

    def _read(self) -> None:
        assert self._process.stdout is not None
        report = [f"{self.name:10} has ended"]
        for line in map(str.rstrip, self._process.stdout):
            if PROGRESS.match(line):
                print(f"{self.name:10} {line}", flush=True)
            else:
                report.append(line)
                self.last.append(line)
        print("\n".join(report), flush=True)


class Session(Command):
    """One session of pytest."""

    def __init__(self, name: str, arguments: list[str], folder: str) -> None:
        self._tally = Path(folder, name)
        told = str(self._tally)
        super().__init__(name, ["pytest", "-p", "tests.tally", *arguments], TESTS_TALLY=told)

    def tally(self) -> dict[str, Any]:
        """What it came to; an error when it broke down, with the way it did."""
        status = self.wait()
        if self._tally.exists():
            return json.loads(self._tally.read_text())
        test = under_way(self._tally)
        where = f"in {test.read_text()}" if test.exists() else "before its first test"
        broken = f"{self.name} broke down with status {status}, {where}; its last lines:"
        return {"counts": {"error": 1}, "took_s": {}, "broken": [broken, *self.last]}


def main(options: list[str]) -> int:
    """Run them; 0 when all tests passed."""
    began_s = time.monotonic()
    started, servers, crawls, faces = map(_files, (PROCESSES, SERVERS, CRAWLS, FACES))
    processes = [file for file in started if file not in [*servers, *crawls, *faces]]
    taken = [*processes, *servers, *crawls, *faces]
    browser = _files(BROWSER)
    joined = [file for file in _files(JOINED) if file not in taken]
    others = [*taken, *browser, *joined]
    rest = [*(f"--ignore={file}" for file in others), str(HERE)]
    print(
        "processes: what starts processes of ours; servers: etcds, databases, the tour; "
        "crawls: whole crawls, those that go on, crawl processes, the wheel; "
        "faces: API, commands, gunicorn; "
        "joined: other parts in one process; "
        "browser: the page in Chromium; "
        "units: all the rest; types: mypy",
        flush=True,
    )
    with TemporaryDirectory() as folder:
        beside = [
            Session("processes", [*options, *processes], folder),
            Session("servers", [*options, *servers], folder),
            Session("crawls", [*options, *crawls], folder),
            Session("faces", [*options, *faces], folder),
            Session("joined", [*options, *joined], folder),
            Session("browser", [*options, *browser], folder),
            Session("units", [*options, *rest], folder),
            Command("types", ["mypy"]),
        ]
        failed = [each.wait() for each in beside]
        tallies = [each.tally() for each in beside]
    broken = [line for tally in tallies for line in tally.get("broken", ())]
    took_s = time.monotonic() - began_s
    print(*broken, *_slowest(tallies), _sum(tallies, took_s), sep="\n", flush=True)
    return int(any(failed))


def _keeping_bytecode(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the wish to keep no bytecode: tests start hundreds of processes, and
    each would compile the whole program."""
    return {key: value for key, value in environment.items() if key != "PYTHONDONTWRITEBYTECODE"}


def _files(patterns: Iterable[str]) -> list[str]:
    return [str(path) for pattern in patterns for path in sorted(HERE.glob(pattern))]


def _slowest(tallies: list[dict[str, Any]]) -> list[str]:
    took_s = [(each, name) for tally in tallies for name, each in tally["took_s"].items()]
    lines = [f"{each:7.2f}s {name}" for each, name in sorted(took_s, reverse=True)[:SLOWEST]]
    return [f"the {SLOWEST} slowest:", *lines]


def _sum(tallies: list[dict[str, Any]], took_s: float) -> str:
    """As pytest tells what one session came to."""
    counts = Counter[str]()
    for tally in tallies:
        counts.update(tally["counts"])
    told = [
        f"{counts[kind]} {kind}{'s' if kind == 'error' and counts[kind] > 1 else ''}"
        for kind in COUNTED
        if counts[kind]
    ]
    minutes, seconds = divmod(int(took_s), 60)
    return f"{', '.join(told)} in {took_s:.2f}s (0:{minutes:02}:{seconds:02})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

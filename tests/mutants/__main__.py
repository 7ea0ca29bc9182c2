"""Puts known faults back into the code, one in each copy of it: for each, a test must fail.

    python -m tests.mutants [NAME …]

Each mutant is a copy of the project with one change. The first ones are the faults of the reference
design (docs/guarantees.md); the others take out what our own promises rest on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants import (
    alerts,
    api,
    audit,
    coordination,
    crew,
    dashboard,
    deploy,
    doors,
    engine,
    going_on,
    guard,
    history,
    interruptions,
    items,
    life,
    listing,
    logs,
    node,
    oidc,
    redis_shards,
    redis_store,
    reference,
    scheduler,
    schedules,
    secrets,
    shards,
    shared_crawls,
    shared_hosts,
    shared_items,
    tasks_going_on,
    tls,
    tracing,
)
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".git", ".venv", "*.egg-info", "__pycache__", ".mypy_cache", ".hypothesis")
ITEMS = "items"
"""The folder in which runs leave their items; a package has that name too."""
PARTS = (
    reference,
    coordination,
    node,
    scheduler,
    schedules,
    deploy,
    engine,
    going_on,
    interruptions,
    guard,
    history,
    crew,
    doors,
    secrets,
    oidc,
    tls,
    redis_store,
    redis_shards,
    shards,
    shared_crawls,
    shared_hosts,
    shared_items,
    tasks_going_on,
    life,
    listing,
    logs,
    items,
    api,
    alerts,
    dashboard,
    audit,
    tracing,
)
_PASSED, _FAILED = 0, 1
"""How pytest ends when it ran a test."""
MUTANTS = [mutant for part in PARTS for mutant in part.MUTANTS]


TIME_S = 900
"""The seconds for the tests of one mutant, on a busy machine too."""


def found(mutant: Mutant) -> bool:
    """Whether a test fails on the mutant in time. Exits when it cannot be made, or no test runs on
    it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder, "project")
        copy_project(copy)
        file = copy / mutant.file
        text = file.read_text()
        if text.count(mutant.before) != 1:
            sys.exit(f"{mutant.name}: {mutant.file} does not hold its text once; mend the mutant")
        file.write_text(text.replace(mutant.before, mutant.after))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "", "-p", "no:cacheprovider"]
        try:
            ran = subprocess.run(
                [*command, *_split(mutant.tests)],
                cwd=copy,
                timeout=TIME_S,
                capture_output=True,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            print(f"its tests took longer than {TIME_S} s: {mutant.name}", flush=True)
            return False
        if ran.returncode not in (_PASSED, _FAILED):
            sys.exit(
                f"{mutant.name}: no test ran, pytest ended with status {ran.returncode};"
                f" mend the mutant\n{ran.stdout}{ran.stderr}"
            )
        return ran.returncode == _FAILED


def copy_project(target: Path) -> None:
    """Copy what the project is made of, without what its runs have left."""
    anywhere = shutil.ignore_patterns(*LEFT_OUT)

    def left_out(folder: str, names: list[str]) -> set[str]:
        return anywhere(folder, names) | ({ITEMS} if Path(folder) == ROOT else set())

    shutil.copytree(ROOT, target, ignore=left_out)


def _split(tests: str) -> list[str]:
    files, _, expression = tests.partition(" -k ")
    return files.split() + (["-k", expression] if expression else [])


def main(wanted: list[str]) -> int:
    """Try the mutants of these names, or all; the number of those that no test found.

    As many are tried at once as there are cores.
    """
    mutants = [mutant for mutant in MUTANTS if not wanted or mutant.name in wanted]
    missed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for mutant, is_found in zip(mutants, pool.map(found, mutants)):
                missed += not is_found
                print(f"{'found ' if is_found else 'MISSED'}  {mutant.name}", flush=True)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    print(f"{missed} missed")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What the system tells of a process."""

from __future__ import annotations

import os


def memory_of(pid: int) -> int:
    """The bytes of memory that a process takes; 0 if it is gone."""
    try:
        return int(_read(pid, "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def cpu_of(pid: int) -> float:
    """The seconds of processors that all threads of a process have taken; 0 if it is gone."""
    try:
        after_name = _read(pid, "stat").rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def _read(pid: int, name: str) -> str:
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
        return file.read()

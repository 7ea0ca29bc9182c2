"""Names lines of code and functions as people read them: by their module's path, and no values."""

from __future__ import annotations

import sys
from functools import lru_cache
from types import CodeType

from crawler.hub import Place


@lru_cache(maxsize=10_000)
def short(file: str) -> str:
    """Return the path of a file without the folder from which it is imported."""
    found = [each for each in sys.path if each and file.startswith(f"{each}/")]
    return file[len(max(found, key=len)) + 1 :] if found else file


def shown_code(code: CodeType) -> str:
    """Return the name of a function and of its file."""
    return f"{code.co_qualname} ({short(code.co_filename)})"


def shown_place(place: Place) -> str:
    """Return the name of the function that a line of code is in, and of its file."""
    return f"{place.function} ({short(place.file)})"


def shown_line(file: str, line: int, function: str) -> str:
    """Return a line of a stack."""
    return f"    {function} ({short(file)}:{line})"

"""Says which argument of a spider is missing, when its code raises because of that."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Container
from pathlib import Path
from typing import Any

_EMPTY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def missing(spider_class: type[Any], given: Container[str], error: BaseException) -> list[str]:
    """The arguments of a constructor that were not given, if its error may come from that.

    Those without a default are certainly missing. Those whose default is None may be.
    """
    wanted = _parameters(spider_class, given)
    required = [each.name for each in wanted if each.default is each.empty]
    if required and isinstance(error, TypeError):
        return required
    lacking = _attribute_of(spider_class, error)
    if lacking:
        return [lacking]
    if isinstance(error, (TypeError, AttributeError)) and "None" in str(error):
        return [each.name for each in wanted if each.default is None and each.name != "name"]
    return []


def explained(spider: Any, error: BaseException) -> str:
    """What the start of a spider raised, where, and which argument to give."""
    said = f"start raised {type(error).__name__}: {error}{_place(type(spider), error)}"
    name = _attribute_of(type(spider), error)
    return f"{said}; if {name!r} is an argument of the spider, {advice([name])}" if name else said


def advice(names: list[str]) -> str:
    """How to give arguments to a spider."""
    flags = " ".join(f"-a {name}=VALUE" for name in names)
    return f"give it as a parameter of the task, on the command line: {flags}"


def _parameters(spider_class: type[Any], given: Container[str]) -> list[inspect.Parameter]:
    try:
        found = list(inspect.signature(spider_class).parameters.values())
    except (TypeError, ValueError):
        return []
    return [each for each in found if each.kind not in _EMPTY and each.name not in given]


def _attribute_of(spider_class: type[Any], error: BaseException) -> str:
    """The attribute that the error says the spider lacks."""
    if not isinstance(error, AttributeError) or not isinstance(error.obj, spider_class):
        return ""
    return error.name or ""


def _place(spider_class: type[Any], error: BaseException) -> str:
    """The line of the spider's own file that raised: ` at shop.py:12`."""
    file = getattr(sys.modules.get(spider_class.__module__), "__file__", None)
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == file]
    return f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""

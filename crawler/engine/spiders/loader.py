"""Loads the spiders that a configuration names: from modules, from files, or declared in place."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from crawler.engine.http.failures import FAULTS
from crawler.engine.spiders.spider import Spider
from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.settings import scrapy_names, scrapy_unsupported, yaml_text

log = get_logger(__name__)

_NEVER_CALLED = {
    "from_crawler": "the constructor gets the parameters, and start finds self.settings",
    "update_settings": "custom_settings holds the settings of a spider",
}
"""What Scrapy calls in a spider and nobody here does, and what to use instead."""
ALLOWED = "a Python module, a file .py, .yaml or .yml, or a mapping that declares a spider"


def load_spiders(entries: Iterable[Any], folder: str | Path = ".") -> dict[str, type[Spider]]:
    """Load spiders. Returns them by name. Relative paths start at `folder`.

    Raises ConfigError with all faults of all entries, one line each.
    """
    spiders: dict[str, type[Spider]] = {}
    origins: dict[str, str] = {}
    faults: list[str] = []
    for number, entry in enumerate(entries):
        where = f"spiders[{number}]"
        try:
            found = list(_load(entry, Path(folder), where))
        except ConfigError as error:
            faults.append(str(error))
            continue
        for spider in found:
            faults += _faults(spider, where, origins)
            origins.setdefault(spider.name, f"{where} ({_short(entry)})")
            spiders.setdefault(spider.name, spider)
    if faults:
        raise ConfigError("\n".join(faults))
    return spiders


def load_entry(entry: Any, folder: str | Path = ".") -> list[type[Spider]]:
    """Load the spiders of one entry. Raises ConfigError, whose cause is the error of the import if
    there was one."""
    return list(_load(entry, Path(folder), _short(entry)))


def load_file(path: Path) -> dict[str, type[Spider]]:
    """Load the spiders of one file, Python or YAML. Returns them by name.

    Raises ConfigError with all faults, one line each, with the line in the file if known.
    """
    if path.suffix in (".yaml", ".yml"):
        found = _declared(path, str(path))
    elif path.suffix == ".py":
        found = _spiders_in(_import_file(path, str(path)), str(path))
    else:
        raise ConfigError(f"{path}: not a spider's file; allowed: a file .py, .yaml or .yml")
    spiders: dict[str, type[Spider]] = {}
    faults: list[str] = []
    for spider in found:
        faults += _faults(spider, f"{path}: spider", dict.fromkeys(spiders, str(path)))
        spiders.setdefault(spider.name, spider)
    if faults:
        raise ConfigError("\n".join(faults))
    return spiders


def _load(entry: Any, folder: Path, where: str) -> Iterator[type[Spider]]:
    if isinstance(entry, Mapping):
        yield _compiled(entry, where)
    elif not isinstance(entry, str) or not entry:
        raise ConfigError(f"{where}: {entry!r} is not allowed; allowed: {ALLOWED}")
    elif entry.endswith((".yaml", ".yml")):
        yield from _declared(folder / entry, f"{where} ({Path(entry).name})")
    elif entry.endswith(".py"):
        yield from _spiders_in(_import_file(folder / entry, where), f"{where} ({entry})")
    else:
        yield from _spiders_in(_import(entry, where), f"{where} ({entry})")


def _declared(path: Path, where: str) -> list[type[Spider]]:
    """The spiders of a YAML file, which holds one declaration or a list of them."""
    import yaml

    try:
        data = yaml_text.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {str(path)!r} cannot be read ({error})") from error
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{where}: {str(path)!r} is not YAML ({text})") from error
    declarations = data if isinstance(data, list) else [data]
    spiders: list[type[Spider]] = []
    faults: list[str] = []
    for number, declaration in enumerate(declarations):
        place = f"[{number}]" if isinstance(data, list) else ""
        try:
            spiders.append(_compiled(declaration, f"{where}{place}"))
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return spiders


def _compiled(declaration: Any, where: str) -> type[Spider]:
    from crawler.engine.spiders.declarative import compile_declaration  # brings marshmallow

    return compile_declaration(declaration, where)


def _import(name: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except FAULTS as error:
        raise ConfigError(
            f"{where}: {name!r} cannot be imported ({type(error).__name__}: {error})"
            f"{_instead_of(error)}; allowed: {ALLOWED}"
        ) from error


def _import_file(path: Path, where: str) -> ModuleType:
    """Import a file under a unique module name, because two files may have the same name."""
    mark = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    name = f"crawler_spiders_{mark}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"{where}: {str(path)!r} is not there; allowed: {ALLOWED}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses in a spider's file look up their module
    try:
        spec.loader.exec_module(module)
    except FAULTS as error:
        del sys.modules[name]
        raise ConfigError(_why_not(error, path, where)) from error
    return module


def _instead_of(error: BaseException) -> str:
    """What to import instead of Scrapy, which need not be here; empty for all other faults."""
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    is_scrapy = missing.partition(".")[0] == "scrapy"
    return "; import from crawler instead (docs/spiders.md)" if is_scrapy else ""


def _why_not(error: BaseException, path: Path, where: str) -> str:
    """Why a file cannot be imported. If `where` is that very file, the message names it once, with
    the line and the column."""
    is_syntax = isinstance(error, SyntaxError) and error.filename
    text = error.msg if isinstance(error, SyntaxError) and is_syntax else str(error)
    why = f"cannot be imported ({type(error).__name__}: {text})"
    file, place = _place_of(error, path)
    hint = _instead_of(error)
    if where != str(path):
        return f"{where}: {str(path)!r} {why} at {file.name}{place}{hint}"
    if file.absolute() == path.absolute():
        return f"{path}{place}: {why}{hint}"
    return f"{path}: {why} at {file.name}{place}{hint}"


def _place_of(error: BaseException, path: Path) -> tuple[Path, str]:
    """The file of an import error, and the line there with the column if it is known: `:3:7`. It is
    the last line in that very file, or that of the syntax error, in whatever file."""
    if isinstance(error, SyntaxError) and error.filename:
        numbers = [number for number in (error.lineno, error.offset) if number]
        return Path(error.filename), "".join(f":{number}" for number in numbers)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename) == path.absolute()]
    return path, f":{own[-1].lineno}" if own else ""


def _spiders_in(module: ModuleType, where: str) -> list[type[Spider]]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Spider)
        and value.__module__ == module.__name__
        and value.name
    ]
    if not found:
        raise ConfigError(
            f"{where}: no spider in it; allowed: a module with a subclass of Spider that has a name"
        )
    return found


def _faults(spider: type[Spider], where: str, origins: Mapping[str, str]) -> list[str]:
    """The faults of a spider among the others."""
    place = f"{where}.{spider.name}.custom_settings"
    found = scrapy_names.faults(scrapy_names.of_class(spider), place)
    _warn_of_unknown(spider, place, found)
    if spider.name in origins:
        found.append(
            f"{where}: the name {spider.name!r} is not allowed, {origins[spider.name]} has it;"
            " allowed: a name of its own for each spider"
        )
    return found


def _warn_of_unknown(spider: type[Spider], place: str, found: list[str]) -> None:
    for name in [] if found else _without_effect(scrapy_names.of_class(spider)):
        log.warning(scrapy_unsupported.told(name), spider=spider.name, place=place)
    for method, advice in _NEVER_CALLED.items():
        if hasattr(spider, method):
            log.warning(f"{method} is never called: {advice}", spider=spider.name, place=place)


def _without_effect(settings: Mapping[str, Any]) -> list[str]:
    """The settings of a spider that have no effect here."""
    always = {name for name in scrapy_unsupported.TOLD_OF_SPIDERS if settings.get(name) is not None}
    return sorted({*scrapy_names.unknown(settings), *always})


def _short(entry: Any) -> str:
    return entry if isinstance(entry, str) else "declared in place"

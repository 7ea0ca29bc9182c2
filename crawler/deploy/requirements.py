"""What a project needs besides the crawler, and the lock that is made of it at its deployment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

from crawler.errors import InvalidArgument, Unavailable

PROGRAM = "distributed-crawler"
"""The name under which the crawler itself is installed."""
CHILDS = ("sql", "parquet", "redis")
"""The options of the crawler that a process which crawls may need, whatever machine it is on."""
RESOLVE_S = 300.0
"""How many seconds uv has to resolve requirements, or to install them."""
NO_UV = (
    "the project has requirements, and resolving them needs uv, which is not here; install it: pip "
    "install distributed-crawler[deploy]"
)


def requirements_of(folder: Path) -> Sequence[str]:
    """Return what a folder asks for: its requirements.txt, or else the dependencies of its
    pyproject.toml, or of the wheel that it was. Raises InvalidArgument."""
    for name, read in (("requirements.txt", _lines), ("pyproject.toml", _dependencies)):
        path = folder / name
        if path.is_file():
            return list(read(path))
    for path in folder.glob("*.dist-info/METADATA"):
        return list(_of_wheel(path))
    return []


def lock_of(requirements: Sequence[str], python: str) -> str:
    """Return the lock of requirements together with those of the crawler: each package with its
    version and its hashes. `python` is the version for which it is made.

    Raises InvalidArgument with uv's own words if they do not go together.
    """
    with tempfile.TemporaryDirectory(prefix="crawler-lock-") as folder:
        asked = Path(folder, "requirements.in")
        asked.write_text("\n".join([*requirements, *own_requirements()]) + "\n")
        done = run_uv(
            *("pip", "compile", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
            *("--python-version", python, str(asked)),
        )
    return done


def own_requirements() -> Iterator[str]:
    """Yield what the crawler itself needs in a process that crawls."""
    try:
        found = metadata.requires(PROGRAM) or []
    except metadata.PackageNotFoundError:
        found = []
    for line in found:
        requirement, _, marker = line.partition(";")
        if "extra" not in marker or any(f'"{name}"' in marker for name in CHILDS):
            yield requirement.strip()


def build(
    lock: str,
    folder: Path,
    env: Mapping[str, str] | None = None,
    only_wheels: bool = False,
    held: Sequence[int] = (),
) -> Path:
    """Make an environment of a lock. Return its interpreter. uv, and what builds packages, has the
    variables `env`, or ours, and the open files `held`. With `only_wheels` no code of a package
    runs. Raises as `lock_of` does."""
    wanted = folder / "requirements.lock"
    wanted.write_text(lock)
    venv = ("venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    run_uv(*venv, env=env, held=held)
    python = folder / "venv" / "bin" / "python"
    run_uv(
        *("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--link-mode", "copy"),
        *(["--no-build"] if only_wheels else []),
        *("--python", str(python), "-r", str(wanted)),
        env=env,
        held=held,
    )
    return python


def run_uv(*words: str, env: Mapping[str, str] | None = None, held: Sequence[int] = ()) -> str:
    """Run uv with the variables `env`, or ours, and the open files `held`. Return what it prints.
    Raises InvalidArgument with its own words if it refuses, and Unavailable if it does not end or
    is not here."""
    program = uv()
    try:
        done = subprocess.run(
            [program, *words],
            capture_output=True,
            text=True,
            timeout=RESOLVE_S,
            check=False,
            env=env,
            pass_fds=held,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"uv did not end within {RESOLVE_S:g} s; try again") from None
    if done.returncode:
        raise InvalidArgument(f"requirements: uv refuses them:\n{done.stderr.strip()}")
    return done.stdout


def uv() -> str:
    """Return the path of uv. Raises Unavailable."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise Unavailable(NO_UV)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path.name}: is no text in UTF-8: {error}; save it so") from None


def _lines(path: Path) -> Iterator[str]:
    for line in _text(path).splitlines():
        text = line.partition(" #")[0].strip()
        if text.startswith("-"):
            raise InvalidArgument(
                f"{path.name}: {text!r} is not allowed; allowed are requirements, one a line, as "
                "six>=1.16"
            )
        if text and not text.startswith("#"):
            yield text


def _dependencies(path: Path) -> Iterator[str]:
    try:
        found = tomllib.loads(_text(path)).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"{path.name}: is no TOML: {error}") from None
    names = found.get("dependencies", []) if isinstance(found, dict) else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidArgument(f"{path.name}: project.dependencies: a list of text is allowed")
    yield from names


def _of_wheel(path: Path) -> Iterator[str]:
    about = HeaderParser().parsestr(_text(path))
    for line in about.get_all("Requires-Dist", []):
        if "extra ==" not in line:
            yield line

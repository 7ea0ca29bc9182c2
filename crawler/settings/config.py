"""Loads the settings: the file, then the environment, then flags. Each overrides those before it.

One `ConfigError` reports every fault in all three: its place, what was given and what is allowed.
In the file and in the variables, texts may stand elsewhere (`references.py`).

    CRAWLER_COORDINATION_LEASE_TTL_S=10        sets coordination.lease_ttl_s
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from crawler import redaction
from crawler.errors import ConfigError, InvalidArgument, shown
from crawler.model.records import Spec
from crawler.model.shards import is_like_shard
from crawler.schemas.readers import Faulty
from crawler.settings import forms, yaml_text
from crawler.settings.references import References
from crawler.settings.schema import from_text, meant_or_allowed, read
from crawler.settings.sections import CoordinationSettings, EtcdSettings, Settings, TlsSettings
from crawler.settings.worker import IN_PROCESS, FrontierSettings, WorkerSettings

ENVIRONMENT = "CRAWLER_"
"""The prefix of the environment variables."""

DEFAULT_FILE = "config.yaml"
"""The file that is read from the working directory if no file is named and it exists."""

DASHBOARD = "dashboard"
"""A setting of the section `api` that may also stand by itself."""

LEAST_PROCESS_MEMORY = 100_000_000
"""The smallest limit that holds for a process of crawls: an idle one takes half of it."""


def load(
    path: str | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a process. `flags` are by path: `{"node.id": "2"}`. Raises
    ConfigError."""
    file = _file(path)
    folder = file.parent if file else Path()
    references = References(environment, folder)
    loader = _Loader(str(file) if file else "settings", references)
    loader.take(_read(file) if file else {})
    loader.check_variables(environment)
    loader.refer(_from_environment(environment), "environment")
    loader.override(flags or {}, "command line")
    settings = loader.settings()
    redaction.hide_also(references.secrets())
    return dataclasses.replace(settings, folder=str(folder))


def sections() -> Iterator[tuple[str, type[Any]]]:
    """Yield the sections of settings with their classes, in their order."""
    hints = get_type_hints(Settings)
    for item in dataclasses.fields(Settings):
        if dataclasses.is_dataclass(hints[item.name]):
            yield item.name, hints[item.name]


def variable(section: str, name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{ENVIRONMENT}{section}_{name}".upper()


def _file(path: str | None) -> Path | None:
    if path is None:
        default = Path(DEFAULT_FILE)
        return default if default.is_file() else None
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such file; give the path of a settings file with --config")
    return Path(path)


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml_text.parse(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is no YAML: {_without_text(error)}") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: {shown(content)} given; a mapping of sections is allowed")
    return content


def _without_text(error: Exception) -> str:
    """Return what is wrong with YAML, and where, but not what stands there: it may be a
    password."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error)
    problem = re.sub(r"'[^']{2,}'", "another text", str(getattr(error, "problem", "")))
    return f"{problem}, in line {mark.line + 1}, column {mark.column + 1}"


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that variables give."""
    return {path: environment[name] for name, path in _variables().items() if name in environment}


def _variables() -> dict[str, str]:
    """Return the variables with the settings that they set."""
    return {
        variable(section, item.name): f"{section}.{item.name}"
        for section, kind in sections()
        for item in dataclasses.fields(kind)
    }


class _Loader:
    """Collects values and faults."""

    def __init__(self, source: str, references: References) -> None:
        self._source = source
        self._references = references
        self._faults: list[str] = []
        self._origins: dict[str, str] = {}
        self._values: dict[str, dict[str, Any]] = {name: {} for name, _ in sections()}
        self._spiders: Sequence[Any] = ()
        self._tasks: list[Spec] = []

    def take(self, given: Mapping[str, Any]) -> None:
        """Take the content of the file."""
        for key, value in given.items():
            if key in self._values:
                self._take_section(key, value)
            elif key == "tasks":
                self._take_tasks(value)
            elif key == "spiders":
                self._take_spiders(value)
            elif key == DASHBOARD:
                self._take_section("api", {DASHBOARD: value})
            else:
                allowed = [*self._values, "spiders", "tasks"]
                if key in ("name", "follow", "items", "start_urls"):
                    hint = "this is a spider's declaration; list its file under spiders: of another"
                    self._fault(str(key), f"unknown section; {hint}")
                    continue
                self._fault(str(key), f"unknown section{meant_or_allowed(key, allowed)}")

    def override(self, given: Mapping[str, Any], origin: str) -> None:
        """Take single settings by path. They override what was taken before."""
        for path, value in given.items():
            section, _, name = path.partition(".")
            self._values[section][name] = from_text(value, _hint(section, name))
            self._origins[path] = origin

    def refer(self, given: Mapping[str, str], origin: str) -> None:
        """Take single settings by path, with what they refer to."""
        self._origins |= dict.fromkeys(given, origin)
        filled = {path: self._references.filled(text, path) for path, text in given.items()}
        self.override(filled, origin)
        for path in given:
            section, _, name = path.partition(".")
            self._values[section][name] = self._read(section, name, self._values[section][name])

    def check_variables(self, environment: Mapping[str, str]) -> None:
        """Report a variable that begins like a variable of a section but is none: it is a typing
        error."""
        known = _variables()
        beginnings = tuple(variable(section, "") for section, _ in sections())
        for name in sorted(environment):
            if name.startswith(beginnings) and name not in known:
                self._faults.append(
                    f"environment: {name}: unknown{meant_or_allowed(name, list(known), 0)}"
                )

    def settings(self) -> Settings:
        """Return the settings. Raises ConfigError with every fault found."""
        for path, what in self._references.faults:
            self._fault(path, what)
        built = {name: self._section(name, kind) for name, kind in sections()}
        if not self._faults:
            self._check_relations(built)
        if self._faults:
            raise ConfigError("\n".join(self._faults))
        return Settings(**built, spiders=self._spiders, tasks=tuple(self._tasks))

    def _take_section(self, name: str, value: Any) -> None:
        if isinstance(value, dict):
            self._values[name] |= {key: self._given(name, key, value[key]) for key in value}
        elif value is not None:
            self._fault(name, f"{shown(value)} given; a mapping of settings is allowed")

    def _given(self, section: str, name: Any, value: Any) -> Any:
        """Return a value of the file with what it refers to. A text that stands elsewhere is read
        as that of a variable."""
        filled = self._references.filled(value, f"{section}.{name}")
        if filled != value and isinstance(filled, str):
            filled = from_text(filled, _hint(section, name))
        return self._read(section, name, filled)

    def _read(self, section: str, name: Any, value: Any) -> Any:
        read = self._references.read(value, f"{section}.{name}")
        if read != value:
            read = from_text(read, _hint(section, name))
        self._references.note_parts(read, f"{section}.{name}")
        return read

    def _take_spiders(self, value: Any) -> None:
        value = self._references.filled_alone(value, "spiders")
        if isinstance(value, list):
            self._spiders = tuple(value)
        elif value is not None:
            self._fault("spiders", f"{shown(value)} given; a list is allowed")

    def _take_tasks(self, value: Any) -> None:
        value = self._references.filled_alone(value, "tasks")
        if value is not None and not isinstance(value, list):
            self._fault("tasks", f"{shown(value)} given; a list is allowed")
            return
        seen: set[str] = set()
        for number, entry in enumerate(value or []):
            self._take_task(f"tasks[{number}]", entry, seen)

    def _take_task(self, path: str, entry: Any, seen: set[str]) -> None:
        if not isinstance(entry, dict):
            self._fault(path, f"{shown(entry)} given; a mapping with a name is allowed")
            return
        from crawler.schemas.task_schemas import load_spec
        from crawler.settings import task_parameters

        try:
            spec = load_spec(entry)
        except InvalidArgument as error:
            self._fault(path, str(error))
            return
        for fault in task_parameters.faults(spec.parameters):
            self._fault(path, fault)
        if is_like_shard(spec.name):
            self._fault(
                f"{path}.name",
                f"{shown(spec.name)} given; names that end in ~ and a number are those of shards",
            )
        if spec.name in seen:
            self._fault(f"{path}.name", f"{shown(spec.name)} given twice; names are unique")
        seen.add(spec.name)
        self._tasks.append(spec)

    def _section(self, name: str, kind: type[Any]) -> Any:
        try:
            return read(kind, self._values[name])
        except Faulty as faulty:
            for path, what in faulty.below(name):
                self._fault(path, what)
            return None

    def _check_relations(self, built: Mapping[str, Any]) -> None:
        crawl, coordination = built["crawl"], built["coordination"]
        if crawl.connect_timeout_s > crawl.timeout_s:
            self._fault(
                "crawl.connect_timeout_s",
                f"{crawl.connect_timeout_s} given; at most crawl.timeout_s ({crawl.timeout_s}) "
                "is allowed",
            )
        self._check_etcd(built["etcd"])
        for name, what in built["api"].oidc_faults():
            self._fault(f"api.{name}", f"{what} allowed")
        for name, what in built["alerts"].faults():
            self._fault(f"alerts.{name}", what)
        self._check_tls(built["tls"])
        self._check_frontier(built["frontier"])
        self._check_shared(built["frontier"])
        self._check_processes(built["worker"])
        self._check_prefixes(coordination)
        if coordination.master_service == coordination.worker_service:
            self._fault("coordination.master_service", "given for workers too; they must differ")

    def _check_etcd(self, etcd: EtcdSettings) -> None:
        """Check the settings that have no effect without others."""
        if not etcd.endpoints:
            self._fault("etcd.endpoints", "none given; a list of host:port is allowed")
        for name, other in (
            ("cert", "key"),
            ("key", "cert"),
            ("cert", "ca"),
            ("user", "password"),
            ("password", "user"),
        ):
            if getattr(etcd, name) and not getattr(etcd, other):
                self._fault(
                    f"etcd.{other}",
                    f"nothing given, but etcd.{name} is; set {variable('etcd', other)} too",
                )

    def _check_tls(self, tls: TlsSettings) -> None:
        """Check the settings that have no effect without others. An authority alone has one: the
        command line takes it from the same variable."""
        for name, other in (("cert", "key"), ("key", "cert"), ("cert", "ca")):
            if getattr(tls, name) and not getattr(tls, other):
                self._fault(
                    f"tls.{other}",
                    f"nothing given, but tls.{name} is; set {variable('tls', other)} too",
                )
        if tls.client_certificates != "none" and not tls.cert:
            self._fault(
                "tls.client_certificates",
                f"{tls.client_certificates} given, but tls.cert is empty; none is allowed without",
            )

    def _check_frontier(self, frontier: FrontierSettings) -> None:
        """Check the settings that have no effect without others. A password alone has one:
        `runspider --resume` names a Redis by itself."""
        is_tls = frontier.url.startswith("rediss")
        for name in ("ca", "cert", "key"):
            if getattr(frontier, name) and not is_tls:
                self._fault(
                    f"frontier.{name}", "given, but frontier.url does not begin with rediss"
                )
        for name, other in (("cert", "key"), ("key", "cert")):
            if getattr(frontier, name) and not getattr(frontier, other):
                self._fault(
                    f"frontier.{other}",
                    f"nothing given, but frontier.{name} is; set {variable('frontier', other)} too",
                )

    def _check_shared(self, frontier: FrontierSettings) -> None:
        """Check that tasks on several workers have something that these share."""
        for number, task in enumerate(self._tasks):
            if task.workers > 1 and not frontier.url:
                self._fault(
                    f"tasks[{number}].workers",
                    f"{task.workers} given, but frontier.url is empty; more than 1 is allowed with"
                    " a Redis there",
                )

    def _check_processes(self, worker: WorkerSettings) -> None:
        """Check the settings of crawl processes, which have no effect without any."""
        for name in ("process_memory", "run_as"):
            value = getattr(worker, name)
            if value and worker.processes == IN_PROCESS:
                self._fault(
                    f"worker.{name}",
                    f"{value} given, but worker.processes is {IN_PROCESS}; 0 or more processes"
                    " are allowed with it",
                )
        if 0 < worker.process_memory < LEAST_PROCESS_MEMORY:
            self._fault(
                "worker.process_memory",
                f"{worker.process_memory} given; 0 or at least {LEAST_PROCESS_MEMORY} bytes is"
                " allowed",
            )

    def _check_prefixes(self, names: CoordinationSettings) -> None:
        """Check that no kind of key is inside another. Only the election may be below the tasks."""
        paths = {
            each.name: getattr(names, each.name)
            for each in dataclasses.fields(names)
            if each.metadata.get("form") is forms.PATH
        }
        for (key, path), (other, above) in itertools.permutations(paths.items(), 2):
            is_usual = (key, path) == ("election", f"{names.resources}/election")
            if not is_usual and f"{path}/".startswith(f"{above}/"):
                self._fault(
                    f"coordination.{key}",
                    f"{path!r} given; a path outside of coordination.{other} ({above}) is allowed"
                    + (f", or {above}/election" if key == "election" else ""),
                )

    def _fault(self, path: str, what: str) -> None:
        origin = self._origins.get(path.partition("[")[0], self._source)
        self._faults.append(f"{origin}: {path}: {self._references.hide(path, what)}")


def _hint(section: str, name: Any) -> Any:
    """Return the type of a setting; that of any text if there is no such setting."""
    return get_type_hints(dict(sections())[section]).get(name, str)

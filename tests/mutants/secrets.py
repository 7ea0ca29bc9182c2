"""What keeps the values of secrets where they belong, and hides them everywhere else."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_SEALING = "crawler/coordination/sealing.py"
_STORED = "tests/unit/coordination/test_secrets.py"
_REDACTION = "tests/unit/test_redaction.py"
_RUNS = "tests/unit/node/test_run_secrets.py"
_REFERENCES = "tests/unit/test_references.py"
_CANARY = "tests/integration/test_processes_secrets.py"

MUTANTS = [
    Mutant(
        "the name of a secret is no part of what its seal covers",
        _SEALING,
        'return f"crawler/secret/{name}".encode()',
        'return b"crawler/secret"',
        f"{_STORED} -k under_its_name",
    ),
    Mutant(
        "only the first key opens secrets",
        _SEALING,
        "for key in self._keys:",
        "for key in self._keys[:1]:",
        f"{_STORED} -k first_key_seals",
    ),
    Mutant(
        "who sets a secret gets its value back",
        "crawler/api/http/cluster_routes.py",
        "answer(bodies.secret(backend(call).set_secret(wish, call)))",
        'answer(bodies.secret(backend(call).set_secret(wish, call)) | {"value": wish.value})',
        f"{_CANARY} -k over_http",
    ),
    Mutant(
        "the name of a secret in a list stays a name",
        "crawler/model/secrets.py",
        "        return [filled(each, secrets) for each in value]",
        "        return list(value)",
        f"{_STORED} -k names_secrets_by_texts",
    ),
    Mutant(
        "the former value of a secret is not kept",
        "crawler/coordination/secrets.py",
        "return opened.former if opened.value == wish.value else opened.value",
        'return ""',
        f"{_STORED} -k value_before",
    ),
    Mutant(
        "a crawl process does not hide former values",
        "crawler/node/crew/distant_run.py",
        "given = (dict(self.secrets), dict(self.former))",
        "given: tuple[dict[str, str], ...] = (dict(self.secrets), {})",
        f"{_RUNS} -k gives_the_values",
    ),
    Mutant(
        "a task fails on a worker that lacks the key",
        "crawler/node/worker/run_secrets.py",
        "run.interrupt(str(error), charged=False)",
        "run.fail(str(error))",
        f"{_RUNS} -k lacks_the_key",
    ),
    Mutant(
        "the fields of a log have values of secrets",
        "crawler/logs.py",
        "if key in _RESERVED else key] = hidden(value)",
        "if key in _RESERVED else key] = value",
        "tests/unit/test_logs.py -k like_a_secret",
    ),
    Mutant(
        "reasons have values of secrets",
        "crawler/node/run/run.py",
        "self._state, self._reason = State.FAILED, hide(reason)\n        self._awaits",
        "self._state, self._reason = State.FAILED, reason\n        self._awaits",
        f"{_RUNS} -k reason_is_kept",
    ),
    Mutant(
        "what a checkpoint counts has values of secrets",
        "crawler/engine/stats/counters.py",
        "**{name: hidden(getattr(self, name)) for name in _REASONS},",
        "**{name: dict(getattr(self, name)) for name in _REASONS},",
        "tests/unit/engine/test_counted_secrets.py",
    ),
    Mutant(
        "statistics have values of secrets",
        "crawler/engine/crawl/crawl.py",
        "{name: hidden(getattr(found, name)) for name in _TEXTS}",
        "{name: getattr(found, name) for name in _TEXTS}",
        "tests/unit/engine/test_crawl.py -k value_of_a_secret",
    ),
    Mutant(
        "what spiders print has values of secrets",
        "crawler/node/crew/output.py",
        'hide((lines + newline).decode(errors="replace"))',
        '(lines + newline).decode(errors="replace")',
        "tests/unit/node/test_output.py",
    ),
    Mutant(
        "a long line that a spider prints is cut before its secrets are hidden",
        "crawler/node/crew/printed.py",
        "part, rest = hide_begun(rest)",
        'part, rest = rest, ""',
        "tests/unit/node/test_printed.py -k long_line",
    ),
    Mutant(
        "values are hidden for ever",
        "crawler/redaction.py",
        "        self.redactor.forget(",
        "        print(",
        f"{_RUNS} -k forgotten",
    ),
    Mutant(
        "values are forgotten while a run has them",
        "crawler/redaction.py",
        "            if self._runs[value] <= 0:\n",
        "            if True:\n",
        f"{_RUNS} -k forgotten",
    ),
    Mutant(
        "the beginning of a value before dots is told",
        "crawler/redaction.py",
        "cuts = [dots.start() for dots in _DOTS.finditer(plain)]",
        "cuts: list[int] = []",
        f"{_REDACTION} -k cuts_off",
    ),
    Mutant(
        "a value is told as the engine writes it in URLs",
        "crawler/engine/http/url_forms.py",
        "for form in (*_as_part(value), *_as_part(begun), *_as_whole(value)):",
        "for form in ():",
        f"{_REDACTION} -k as_the_engine",
    ),
    Mutant(
        "what is like a reference stays in a setting",
        "crawler/settings/references.py",
        "            self._refuse(path)\n",
        "            pass\n",
        f"{_REFERENCES} -k is_none",
    ),
    Mutant(
        "a variable names files to read",
        "crawler/settings/references.py",
        ".replace(FILE, _OF_VARIABLE)",
        "",
        f"{_REFERENCES} -k elsewhere_is_read",
    ),
    Mutant(
        "crawl processes get the token of commands",
        "crawler/node/crew/spawner.py",
        '    "CRAWLER_TOKEN",  # commands take it from there\n',
        "",
        f"{_RUNS} -k the_token",
    ),
]
